# tests/fuzz/<name>_fuzzer.cpp is a libFuzzer program with its seeds in tests/fuzz/corpus/<name>/ and,
# where it helps, words in tests/fuzz/dictionaries/<name>.dict. Each gives
# two tests: every seed once, then five seconds of search from them.

if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  message(FATAL_ERROR "MICRODOT_FUZZ=ON needs Clang (libFuzzer); this is ${CMAKE_CXX_COMPILER_ID}")
endif()

file(GLOB sources CONFIGURE_DEPENDS "fuzz/*_fuzzer.cpp")
foreach(source IN LISTS sources)
  get_filename_component(program "${source}" NAME_WE)
  string(REGEX REPLACE "_fuzzer$" "" name "${program}")
  set(seeds "${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${name}")
  if(NOT IS_DIRECTORY "${seeds}")
    message(FATAL_ERROR "tests/fuzz/${program}.cpp has no seeds: tests/fuzz/corpus/${name}/ is missing")
  endif()
  microdot_program(${program} "${source}")
  target_link_options(${program} PRIVATE -fsanitize=fuzzer)

  set(dictionary "")
  if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/fuzz/dictionaries/${name}.dict")
    set(dictionary "-dict=${CMAKE_CURRENT_SOURCE_DIR}/fuzz/dictionaries/${name}.dict")
  endif()

  # What a search finds goes to the build folder; seeds are added by hand.
  set(found "${CMAKE_CURRENT_BINARY_DIR}/corpus/${name}")
  file(MAKE_DIRECTORY "${found}")
  add_test(NAME fuzz/${name}.seeds COMMAND ${program} -runs=0 "${seeds}")
  add_test(NAME fuzz/${name}.search COMMAND ${program} -max_total_time=5 -timeout=5 -rss_limit_mb=1024
    ${dictionary} "-artifact_prefix=${CMAKE_CURRENT_BINARY_DIR}/${name}-" "${found}" "${seeds}")
  set_tests_properties(fuzz/${name}.seeds fuzz/${name}.search PROPERTIES TIMEOUT 120 LABELS fuzz)
endforeach()
