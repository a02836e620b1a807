# The core library: every source below src/ except the optional extensions, and the port of this system.

if(NOT MICRODOT_BARE_METAL)
  find_package(Threads REQUIRED)
endif()

file(GLOB_RECURSE MICRODOT_SOURCES CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}"
     "${PROJECT_SOURCE_DIR}/src/*.cpp" "${PROJECT_SOURCE_DIR}/ports/sim/*.cpp")
if(MICRODOT_BARE_METAL)  # the port is the firmware's; tests run on hosts
  list(FILTER MICRODOT_SOURCES EXCLUDE REGEX "^(src/testing|ports/sim)/")
endif()
if(MICRODOT_BARE_METAL)
  set(port none)
elseif(MICRODOT_PORT STREQUAL "AUTO")
  if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    set(port linux)
  elseif(UNIX)
    set(port posix)
  else()
    set(port none)
  endif()
else()
  set(port "${MICRODOT_PORT}")
endif()
if(NOT port STREQUAL "none")
  file(GLOB sources CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}"
       "${PROJECT_SOURCE_DIR}/ports/common/*.cpp" "${PROJECT_SOURCE_DIR}/ports/${port}/*.cpp")
  list(FILTER sources EXCLUDE REGEX "esp_idf")  # for devices: see cmake/MicrodotEspIdf.cmake
  list(APPEND MICRODOT_SOURCES ${sources})
endif()
set(MICRODOT_PORT_USED "${port}")
list(FILTER MICRODOT_SOURCES EXCLUDE REGEX "^src/ext/(re2|json|websocket_deflate|mqtt_mosquitto)")
if(NOT MICRODOT_SOURCES)
  file(WRITE "${PROJECT_BINARY_DIR}/empty.cpp" "")
  set(MICRODOT_SOURCES "${PROJECT_BINARY_DIR}/empty.cpp")
endif()

# What every request goes through, in one translation unit where the compiler optimises: one in twenty instructions
# fewer for a small request, since its many small steps are inlined into each other.
set_source_files_properties(
  src/server/connection.cpp src/server/exchange.cpp src/server/exchange_response.cpp src/server/body_reader.cpp
  src/server/dispatch.cpp src/server/server.cpp src/server/admission.cpp src/request.cpp src/response.cpp src/response_headers.cpp src/route.cpp src/router.cpp
  src/http/request_parser.cpp src/http/response_writer.cpp
  PROPERTIES UNITY_GROUP request)

# microdot_add_library(<target> <name>): the core as <target>, for users microdot::<name>.
function(microdot_add_library target name)
  add_library(${target} ${MICRODOT_SOURCES})
  add_library(microdot::${name} ALIAS ${target})
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_compile_options(${target} PRIVATE ${MICRODOT_WARNINGS})
  target_include_directories(${target}
    PUBLIC "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>"
    PRIVATE "${PROJECT_SOURCE_DIR}")
  if(NOT MICRODOT_BARE_METAL)
    target_link_libraries(${target} PUBLIC Threads::Threads)
    # Position-independent, so that it can go into users' shared libraries; calls inside it stay direct.
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    # Each function in a section of its own, for programs that are linked with --gc-sections. No two words in one
    # instruction: they were often just written one by one, and wait until both are stored.
    target_compile_options(${target} PRIVATE -fno-semantic-interposition -ffunction-sections -fdata-sections
                           -fno-tree-slp-vectorize)
  endif()
  set_target_properties(${target} PROPERTIES
    EXPORT_NAME ${name}
    CXX_EXTENSIONS OFF
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  if(CMAKE_BUILD_TYPE MATCHES "Rel")  # Release, RelWithDebInfo, MinSizeRel
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  endif()
  # Where that group is one unit, and nowhere else: a unity build in batches cuts it elsewhere.
  set(one_unit "$<AND:$<BOOL:$<TARGET_PROPERTY:UNITY_BUILD>>,$<STREQUAL:$<TARGET_PROPERTY:UNITY_BUILD_MODE>,GROUP>>")
  target_compile_definitions(${target} PRIVATE "$<${one_unit}:MICRODOT_REQUEST_UNIT>")
  microdot_embed(${target} "${PROJECT_SOURCE_DIR}/src/ext/status.html" NAME microdot_status_page GZIP_ONLY)
  set_property(GLOBAL APPEND PROPERTY MICRODOT_TARGETS ${target})
endfunction()
