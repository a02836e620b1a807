# firmware_update_assets(<target>): the page as a part of a program, for devices.
function(firmware_update_assets target)
  microdot_embed(${target} "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/index.html" NAME firmware_update_assets)
endfunction()
