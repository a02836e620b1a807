# The library as a component of ESP-IDF: the core with ports/posix over lwIP's sockets.
set(root "${CMAKE_CURRENT_LIST_DIR}/..")
file(GLOB_RECURSE sources "${root}/src/*.cpp")
list(FILTER sources EXCLUDE REGEX "/src/(testing|ext/(re2|json|websocket_deflate|mqtt_mosquitto))")
list(APPEND sources "${root}/ports/common/errors.cpp" "${root}/ports/common/files.cpp" "${root}/ports/common/sockets.cpp")
foreach(source IN ITEMS files_esp_idf poller port sockets system_esp_idf system_port wake)
  list(APPEND sources "${root}/ports/posix/${source}.cpp")
endforeach()
idf_component_register(SRCS ${sources}
  INCLUDE_DIRS "${root}/include" PRIV_INCLUDE_DIRS "${root}"
  PRIV_REQUIRES esp_event esp_hw_support esp_netif log lwip vfs)
target_compile_features(${COMPONENT_LIB} PUBLIC cxx_std_20)
include("${CMAKE_CURRENT_LIST_DIR}/MicrodotEmbed.cmake")
microdot_embed(${COMPONENT_LIB} "${root}/src/ext/status.html" NAME microdot_status_page GZIP_ONLY)
