# tests/fuzz/<name>_fuzzer.cpp is a libFuzzer program with its seeds in tests/fuzz/corpus/<name>/ and,
# where it helps, words in tests/fuzz/dictionaries/<name>.dict. Each gives two tests: every seed once, then
# MICRODOT_FUZZ_SECONDS of search from them. tests/fuzz/run searches for longer.

set(MICRODOT_FUZZ_SECONDS 5 CACHE STRING "How long each fuzzer searches when it is run as a test")

if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  message(FATAL_ERROR "MICRODOT_FUZZ=ON needs Clang (libFuzzer); this is ${CMAKE_CXX_COMPILER_ID}")
endif()

file(GLOB sources CONFIGURE_DEPENDS "fuzz/*_fuzzer.cpp")
foreach(source IN LISTS sources)
  get_filename_component(program "${source}" NAME_WE)
  string(REGEX REPLACE "_fuzzer$" "" name "${program}")
  if(name STREQUAL "rapidjson" AND NOT (MICRODOT_RAPIDJSON_ON AND MICRODOT_JSON_ON))
    continue()
  endif()
  if(name STREQUAL "websocket_deflate" AND NOT MICRODOT_DEFLATE_ON)
    continue()
  endif()
  set(seeds "${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${name}")
  if(NOT IS_DIRECTORY "${seeds}")
    message(FATAL_ERROR "tests/fuzz/${program}.cpp has no seeds: tests/fuzz/corpus/${name}/ is missing")
  endif()
  microdot_program(${program} "${source}")
  target_link_options(${program} PRIVATE -fsanitize=fuzzer)
  if(name STREQUAL "rapidjson")
    target_link_libraries(${program} PRIVATE microdot::rapidjson microdot::json)
    # RapidJSON 1.1 adds to the null that its stack begins with, and compares.
    target_compile_options(${program} PRIVATE -fno-sanitize=pointer-overflow)
  endif()
  if(name STREQUAL "websocket_deflate")
    target_link_libraries(${program} PRIVATE ${MICRODOT_TEST_DEFLATE})
  endif()

  set(dictionary "")
  if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/fuzz/dictionaries/${name}.dict")
    set(dictionary "-dict=${CMAKE_CURRENT_SOURCE_DIR}/fuzz/dictionaries/${name}.dict")
  endif()

  # Without -entropic=0 libFuzzer spends most of its time on counting what the larger ones reach. What a search
  # finds goes to the build folder; seeds are added by hand.
  set(found "${CMAKE_CURRENT_BINARY_DIR}/corpus/${name}")
  file(MAKE_DIRECTORY "${found}")
  add_test(NAME fuzz/${name}.seeds COMMAND ${program} -runs=0 "${seeds}")
  add_test(NAME fuzz/${name}.search COMMAND ${program} -max_total_time=${MICRODOT_FUZZ_SECONDS} -entropic=0 -timeout=100 -rss_limit_mb=2048
    ${dictionary} "-artifact_prefix=${CMAKE_CURRENT_BINARY_DIR}/${name}-" "${found}" "${seeds}")
  math(EXPR patience "${MICRODOT_FUZZ_SECONDS} + 300")  # they give way to others in a whole run
  set_tests_properties(fuzz/${name}.seeds fuzz/${name}.search PROPERTIES TIMEOUT ${patience} LABELS fuzz)
endforeach()
