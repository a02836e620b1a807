# cmake --install: headers, libraries, the CMake package and the pkg-config files.
if(NOT PROJECT_IS_TOP_LEVEL)
  return()
endif()
