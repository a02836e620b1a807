# lwIP with its port for microdot, compiled together: lwIP's options decide about the sizes of both.

# microdot_add_lwip(<target> <folder> [MQTT]): a static library with lwIP's core (TCP over IPv4, DHCP, Ethernet) and
# ports/lwip; MQTT: and lwIP's mqtt application, names (DNS) and what takes their place in `microdot::mqtt`. <folder> holds the
# lwipopts.h. Needs the language C and MICRODOT_LWIP_DIR.
function(microdot_add_lwip target folder)
  cmake_parse_arguments(PARSE_ARGV 2 lwip "MQTT" "" "")
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/ports/lwip/*.cpp")
  set(lwip "${MICRODOT_LWIP_DIR}/src")
  file(GLOB lwip_sources "${lwip}/core/*.c" "${lwip}/core/ipv4/*.c" "${lwip}/core/ipv6/*.c")
  if(lwip_MQTT)
    list(APPEND lwip_sources "${lwip}/apps/mqtt/mqtt.c")
  else()
    list(FILTER sources EXCLUDE REGEX "/mqtt[^/]*$")
  endif()
  add_library(${target} STATIC ${sources} ${lwip_sources} "${lwip}/netif/ethernet.c")
  target_compile_definitions(${target} PUBLIC MICRODOT_LWIP_MQTT=$<BOOL:${lwip_MQTT}>)
  target_include_directories(${target} SYSTEM PUBLIC "${lwip}/include")
  target_include_directories(${target} PUBLIC "${folder}" "${PROJECT_SOURCE_DIR}/ports/lwip" "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${target} PUBLIC ${MICRODOT_CORE})
  target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:${MICRODOT_WARNINGS}>")
  # All of its C is lwIP's. In a table of one name, dns.c looks for others, and GCC believes that there are some.
  target_compile_options(${target} PRIVATE "$<$<COMPILE_LANG_AND_ID:C,GNU>:-Wno-stringop-overflow>")
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF UNITY_BUILD OFF)
endfunction()
