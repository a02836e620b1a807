# gallery_assets(<target> [SMALL]): the gallery's page and images as a part of a program, for devices.
# examples/gallery/main.cpp includes the gallery_assets.hpp that this makes. SMALL is for those with little flash:
# the same forty pictures in a smaller size, 130 KB in all instead of 1.5 MB.
function(gallery_assets target)
  set(folder "${CMAKE_CURRENT_FUNCTION_LIST_DIR}")
  set(paths "${folder}/static")
  if("SMALL" IN_LIST ARGN)
    set(paths "${folder}/small" "${folder}/static/style.css" "${folder}/static/gallery.js" "${folder}/static/icon.svg"
        GZIP_ONLY)
  endif()
  microdot_embed(${target} ${paths} NAME gallery_assets URL /static)
endfunction()
