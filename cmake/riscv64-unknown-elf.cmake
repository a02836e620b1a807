# Toolchain file: bare metal on RISC-V, 32 bits. MICRODOT_CPU names another core than the ESP32-C3's, with its flags.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR riscv32)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)  # nothing links without a board's memory map
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES MICRODOT_CPU)

set(CMAKE_C_COMPILER riscv64-unknown-elf-gcc)
set(CMAKE_CXX_COMPILER riscv64-unknown-elf-g++)
# In version 2.2 the instructions for control registers are a part of the base; later ones give them a name
# (zicsr) for which the compiler comes without libraries.
set(MICRODOT_CPU "-march=rv32imc -mabi=ilp32 -misa-spec=2.2" CACHE STRING "Flags for the processor")

# The C library is picolibc. The C++ library has nothing to link: it is the headers that come with the compiler for
# ARM, which say how long an int is, but nothing of the processor.
file(GLOB folders "/usr/include/newlib/c++/*")
list(GET folders -1 headers)
set(cxx_library "-nostdinc++ -D_GLIBCXX_EXTERN_TEMPLATE=0 -isystem ${headers} -isystem ${headers}/arm-none-eabi/thumb/v7-m/nofp")

# As in arm-none-eabi.cmake.
set(CMAKE_C_FLAGS_INIT "${MICRODOT_CPU} --specs=picolibc.specs -g -ffunction-sections -fdata-sections")
set(CMAKE_CXX_FLAGS_INIT "${CMAKE_C_FLAGS_INIT} ${cxx_library} -fno-threadsafe-statics -fno-use-cxa-atexit -Wno-maybe-uninitialized")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-nostartfiles -nodefaultlibs -Wl,--gc-sections")
set(CMAKE_CXX_STANDARD_LIBRARIES_INIT "-Wl,--start-group -lgcc -lc -Wl,--end-group")
foreach(language C CXX)
  set(CMAKE_${language}_FLAGS_RELEASE "-O2 -DNDEBUG" CACHE STRING "Flags for speed")
endforeach()

set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
