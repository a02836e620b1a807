# What the toolchain files for bare metal have in common. They set CMAKE_C_FLAGS_INIT, CMAKE_CXX_FLAGS_INIT (beyond
# C's) and CMAKE_EXE_LINKER_FLAGS_INIT to what is their own, then include this.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)  # nothing links without a board's memory map
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES MICRODOT_CPU)

# Debugging information is not loaded onto the board: scripts/image_sizes reads it. In it the project lies in /microdot,
# wherever it is: a compiler's cache may give what was made from another copy.
# Sections, so that the linker leaves out what nobody calls. Objects of static storage are never destroyed, and
# one thread initialises them. Off is a warning that GCC 12 gives at -O2 since it does not see that the error of a
# Result is never `none`.
string(APPEND CMAKE_C_FLAGS_INIT " ${MICRODOT_CPU} -g -ffile-prefix-map=${CMAKE_SOURCE_DIR}=/microdot -ffunction-sections -fdata-sections")
string(PREPEND CMAKE_CXX_FLAGS_INIT "${CMAKE_C_FLAGS_INIT} -fno-threadsafe-statics -fno-use-cxa-atexit -Wno-maybe-uninitialized ")
string(PREPEND CMAKE_EXE_LINKER_FLAGS_INIT "-nostartfiles -Wl,--gc-sections ")
foreach(language C CXX)
  set(CMAKE_${language}_FLAGS_RELEASE "-O2 -DNDEBUG" CACHE STRING "Flags for speed")
endforeach()

set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
