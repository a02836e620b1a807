# cmake --install: headers, libraries, the CMake package and the pkg-config files. All of it works from any
# prefix, also after the tree was moved.
if(NOT PROJECT_IS_TOP_LEVEL)
  return()
endif()
include(CMakePackageConfigHelpers)

set(MICRODOT_PACKAGE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/microdot")

install(DIRECTORY include/microdot TYPE INCLUDE FILES_MATCHING PATTERN "*.hpp")
install(FILES LICENSE TYPE DOC OPTIONAL)

# One export for the core and one for each part with a dependency, so that asking for one part never needs
# the library behind another.
get_property(targets GLOBAL PROPERTY MICRODOT_TARGETS)
foreach(target IN LISTS targets)
  if(target MATCHES "rapidjson")
    set(export microdotRapidjson)
  elseif(target MATCHES "json")
    set(export microdotJson)
  elseif(target MATCHES "re2")
    set(export microdotRe2)
  elseif(target MATCHES "websocket_deflate")
    set(export microdotWebsocketDeflate)
  elseif(target MATCHES "mqtt")
    set(export microdotMqtt)
  else()
    set(export microdot)
  endif()
  install(TARGETS ${target} EXPORT ${export} INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
  list(APPEND exports ${export})
endforeach()
list(REMOVE_DUPLICATES exports)
foreach(export IN LISTS exports)
  install(EXPORT ${export} NAMESPACE microdot:: FILE ${export}Targets.cmake
          DESTINATION "${MICRODOT_PACKAGE_DIR}")
endforeach()

configure_package_config_file(cmake/microdotConfig.cmake.in "${PROJECT_BINARY_DIR}/microdotConfig.cmake"
  INSTALL_DESTINATION "${MICRODOT_PACKAGE_DIR}" NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/microdotConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/microdotConfig.cmake"
  "${PROJECT_BINARY_DIR}/microdotConfigVersion.cmake"
  cmake/FindMosquitto.cmake
  cmake/FindRE2.cmake
  cmake/MicrodotEmbed.cmake
  DESTINATION "${MICRODOT_PACKAGE_DIR}")

# ---- pkg-config ------------------------------------------------------------------------------------
# The way from the .pc file up to the prefix; an absolute library folder leaves only the prefix itself.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" OR IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  set(MICRODOT_PC_PREFIX "${CMAKE_INSTALL_PREFIX}")
  set(MICRODOT_PC_LIBDIR "${CMAKE_INSTALL_FULL_LIBDIR}")
  set(MICRODOT_PC_INCLUDEDIR "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
else()
  file(RELATIVE_PATH up "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
  string(REGEX REPLACE "/$" "" up "${up}")
  set(MICRODOT_PC_PREFIX "\${pcfiledir}/${up}")
  set(MICRODOT_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
  set(MICRODOT_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()

function(microdot_install_pc target description flags requires)
  if(TARGET ${target})
    set(MICRODOT_PC_NAME ${target})
    set(MICRODOT_PC_DESCRIPTION "${description}")
    set(MICRODOT_PC_FLAGS "${flags}")
    set(MICRODOT_PC_REQUIRES "${requires}")
    configure_file(cmake/microdot.pc.in "${PROJECT_BINARY_DIR}/${target}.pc" @ONLY)
    install(FILES "${PROJECT_BINARY_DIR}/${target}.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
  endif()
endfunction()
microdot_install_pc(microdot "${PROJECT_DESCRIPTION}" "" "")
microdot_install_pc(microdot_noexcept "${PROJECT_DESCRIPTION}; without exceptions and RTTI"
                    " -fno-exceptions -fno-rtti" "")
microdot_install_pc(microdot_websocket_deflate "Compressed WebSockets for microdot" "" "microdot zlib")
microdot_install_pc(microdot_websocket_deflate_noexcept "Compressed WebSockets for microdot; without exceptions and RTTI"
                    "" "microdot_noexcept zlib")
microdot_install_pc(microdot_mqtt "MQTT for microdot, over libmosquitto" "" "microdot libmosquitto")
microdot_install_pc(microdot_mqtt_noexcept "MQTT for microdot, over libmosquitto; without exceptions and RTTI"
                    "" "microdot_noexcept libmosquitto")
