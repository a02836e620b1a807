# Toolchain file: bare metal on ARM Cortex-M. MICRODOT_CPU names another core, with its flags.
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_CXX_COMPILER arm-none-eabi-g++)
set(MICRODOT_CPU "-mcpu=cortex-m3" CACHE STRING "Flags for the processor")

set(CMAKE_C_FLAGS_INIT -mthumb)
set(CMAKE_CXX_FLAGS_INIT -Wno-psabi)  # a note about an ABI from before C++20
set(CMAKE_EXE_LINKER_FLAGS_INIT "")
include("${CMAKE_CURRENT_LIST_DIR}/bare-metal.cmake")
