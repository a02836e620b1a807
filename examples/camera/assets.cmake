# camera_assets(<target>): the frames as a part of a program, which includes the camera_assets.hpp that this makes.
function(camera_assets target)
  microdot_embed(${target} "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/frames" NAME camera_assets)
endfunction()
