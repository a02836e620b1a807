# Toolchain file: bare metal on RISC-V with 32 bits. MICRODOT_CPU names another core than the ESP32-C3's, with its flags.
set(CMAKE_SYSTEM_PROCESSOR riscv32)
set(CMAKE_C_COMPILER riscv64-unknown-elf-gcc)
set(CMAKE_CXX_COMPILER riscv64-unknown-elf-g++)
# In version 2.2 the instructions for control registers are a part of the base; later ones give them a name
# (zicsr), for which the compiler has no libraries.
set(MICRODOT_CPU "-march=rv32imc -mabi=ilp32 -misa-spec=2.2" CACHE STRING "Flags for the processor")

# The C library is picolibc, in the variant that copies words and not bytes. Of the C++ library there are only headers,
# those that come with the compiler for ARM: they have the sizes of types in them, but nothing of the processor.
file(GLOB folders "/usr/include/newlib/c++/*")
if(NOT folders)
  message(FATAL_ERROR "No headers of the C++ library in /usr/include/newlib (libstdc++-arm-none-eabi-newlib)")
endif()
list(GET folders -1 headers)
set(CMAKE_C_FLAGS_INIT "--specs=picolibc.specs --picolibc-buildtype=release")
set(CMAKE_CXX_FLAGS_INIT "-nostdinc++ -D_GLIBCXX_EXTERN_TEMPLATE=0 -isystem ${headers} -isystem ${headers}/arm-none-eabi/thumb/v7-m/nofp")
set(CMAKE_EXE_LINKER_FLAGS_INIT -nodefaultlibs)
set(CMAKE_CXX_STANDARD_LIBRARIES_INIT "-Wl,--start-group -lgcc -lc -Wl,--end-group")
include("${CMAKE_CURRENT_LIST_DIR}/bare-metal.cmake")
