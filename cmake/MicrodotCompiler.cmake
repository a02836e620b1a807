# Flags for our own code: warnings, sanitizers. None of them is exported to users.

set(MICRODOT_WARNINGS -Wall -Wextra -Wconversion -Wshadow)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # Sees overlaps in std::string where there are none (GCC bug 105651).
  list(APPEND MICRODOT_WARNINGS -Wno-restrict)
endif()
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # Takes the sources that are compiled together for headers.
  list(APPEND MICRODOT_WARNINGS -Wno-subobject-linkage)
endif()

if(MICRODOT_SANITIZE)
  add_compile_options("-fsanitize=${MICRODOT_SANITIZE}" -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options("-fsanitize=${MICRODOT_SANITIZE}")
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    # Coroutine frames are resumed through pointers whose types this check does not know.
    add_compile_options(-fno-sanitize=function)
    add_link_options(-fno-sanitize=function)
  endif()
endif()

if(MICRODOT_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)  # coverage for libFuzzer
endif()

# Where a compiler cache is installed, use it (the sloppiness is what it needs for precompiled headers).
if(PROJECT_IS_TOP_LEVEL AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(MICRODOT_CCACHE ccache)
  mark_as_advanced(MICRODOT_CCACHE)
  if(MICRODOT_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env
        CCACHE_SLOPPINESS=pch_defines,time_macros "${MICRODOT_CCACHE}")
    if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
      add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fno-pch-timestamp>")
    endif()
  endif()
endif()

# microdot_program(<target> <source>...): an executable of ours (test, example, benchmark) on the core.
function(microdot_program target)
  add_executable(${target} ${ARGN})
  target_link_libraries(${target} PRIVATE ${MICRODOT_CORE})
  target_compile_options(${target} PRIVATE ${MICRODOT_WARNINGS})
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}")
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
endfunction()
