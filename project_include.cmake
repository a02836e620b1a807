# ESP-IDF reads this for its projects: microdot_embed for their components.
include("${CMAKE_CURRENT_LIST_DIR}/cmake/MicrodotEmbed.cmake")
