# microdot_embed: a folder of files as a part of the program, in read-only memory (flash on a device).
#
#   microdot_embed(<target> <path>... NAME <name>
#                  [URL <prefix>] [EXCLUDE <pattern>...] [NO_GZIP | GZIP_ONLY])
#
# <target>     An executable or library, made in the same CMakeLists.txt. It gets the file <name>.hpp to include,
#              in which `<name>` is a microdot::EmbeddedFolder: app.static_files("/static", <name>).
# <path>       A directory: all files below it are taken but hidden ones (.git; not .well-known). Or a file, which
#              has no directory in the folder. Relative to the current source directory. The same name twice is an
#              error. Files that come or go are noticed by the next build, as are changes.
# NAME         A C++ identifier.
# URL          Where the folder will be served, "/static": `<name>.url("app.css")` is then
#              "/static/app.css?v=…" with the start of the content's SHA-256. Without it "app.css?v=…".
# EXCLUDE      Names to leave out, relative to their directory; * stands for anything, slashes too.
# NO_GZIP      No compressed variants. Otherwise each file of a type that shrinks (text, JSON, SVG …) gets one
#              beside it, name.gz, if that saves a tenth.
# GZIP_ONLY    Only the variant where there is one: saves flash, and is of no use to clients without gzip. All
#              browsers have it.
#
# The same content gives the same program, whenever and wherever it is built. CMake itself does the work, when the
# program is built: it is there in any build, and has hashes and gzip.

set(MICRODOT_EMBED_SCRIPT "${CMAKE_CURRENT_LIST_FILE}")

function(microdot_embed target)
  cmake_parse_arguments(PARSE_ARGV 1 embed "NO_GZIP;GZIP_ONLY" "NAME;URL" "EXCLUDE")
  set(what "microdot_embed(${target}):")
  if(NOT TARGET ${target})
    message(FATAL_ERROR "${what} there is no such target")
  endif()
  get_target_property(type ${target} TYPE)
  get_target_property(source_dir ${target} SOURCE_DIR)
  if(NOT type MATCHES "^(EXECUTABLE|(STATIC|SHARED|MODULE|OBJECT)_LIBRARY)$" OR
     NOT source_dir STREQUAL CMAKE_CURRENT_SOURCE_DIR)
    message(FATAL_ERROR "${what} the target must be an executable or library of this CMakeLists.txt")
  endif()
  if(NOT "${embed_NAME}" MATCHES "^[A-Za-z_][A-Za-z0-9_]*$")
    message(FATAL_ERROR "${what} NAME must be a C++ identifier, not \"${embed_NAME}\"")
  endif()
  if(NOT "${embed_URL}" MATCHES "^(/[A-Za-z0-9._~@+,=-]+)*$")
    message(FATAL_ERROR "${what} URL must be like /static, not \"${embed_URL}\"")
  endif()
  if(embed_NO_GZIP AND embed_GZIP_ONLY)
    message(FATAL_ERROR "${what} NO_GZIP or GZIP_ONLY?")
  endif()
  if(NOT embed_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "${what} which directory is to be embedded?")
  endif()
  get_target_property(embedded ${target} MICRODOT_EMBEDDED)
  if(embed_NAME IN_LIST embedded)
    message(FATAL_ERROR "${what} it has an embedded folder called ${embed_NAME} already")
  endif()
  set_property(TARGET ${target} APPEND PROPERTY MICRODOT_EMBEDDED ${embed_NAME})

  set(names "")
  set(files "")
  foreach(path IN LISTS embed_UNPARSED_ARGUMENTS)
    microdot_embed_list("${what}" "${path}" "${embed_EXCLUDE}" found paths)
    foreach(name IN LISTS found)
      if(name IN_LIST names)
        message(FATAL_ERROR "${what} there is more than one file \"${name}\"")
      endif()
    endforeach()
    list(APPEND names ${found})
    list(APPEND files ${paths})
  endforeach()

  set(folder "${CMAKE_CURRENT_BINARY_DIR}/microdot_embed/${target}")
  set(list "${folder}/${embed_NAME}.cmake")
  # Written only if something of it has changed.
  file(CONFIGURE OUTPUT "${list}" CONTENT "set(name [[@embed_NAME@]])\nset(url [[@embed_URL@]])\n\
set(no_gzip @embed_NO_GZIP@)\nset(gzip_only @embed_GZIP_ONLY@)\nset(names [[@names@]])\nset(files [[@files@]])\n" @ONLY)
  set(outputs "${folder}/${embed_NAME}.cpp" "${folder}/${embed_NAME}.hpp")
  add_custom_command(OUTPUT ${outputs}
    COMMAND "${CMAKE_COMMAND}" "-DMICRODOT_EMBED_LIST=${list}" -P "${MICRODOT_EMBED_SCRIPT}"
    DEPENDS "${list}" "${MICRODOT_EMBED_SCRIPT}" ${files}
    COMMENT "Embedding ${embed_NAME}"
    VERBATIM)
  target_sources(${target} PRIVATE ${outputs})
  set_source_files_properties(${outputs} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON SKIP_PRECOMPILE_HEADERS ON)
  if(type STREQUAL "EXECUTABLE")
    target_include_directories(${target} PRIVATE "${folder}")
  else()
    target_include_directories(${target} PUBLIC "$<BUILD_INTERFACE:${folder}>")
  endif()
endfunction()

# The names that are to be embedded of a directory or a file, and where they are.
function(microdot_embed_list what path exclude names_out paths_out)
  cmake_path(ABSOLUTE_PATH path BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}" NORMALIZE OUTPUT_VARIABLE directory)
  if(IS_DIRECTORY "${directory}")
    file(GLOB_RECURSE found LIST_DIRECTORIES false CONFIGURE_DEPENDS RELATIVE "${directory}" "${directory}/*")
  elseif(EXISTS "${directory}")
    cmake_path(GET directory FILENAME found)
    cmake_path(GET directory PARENT_PATH directory)
  else()
    message(FATAL_ERROR "${what} there is no directory or file \"${directory}\"")
  endif()
  set(excluded "^$")
  foreach(pattern IN LISTS exclude)
    string(REGEX REPLACE "([][+.?^$(){}|\\\\])" "\\\\\\1" pattern "${pattern}")
    string(REPLACE "*" ".*" pattern "${pattern}")
    string(APPEND excluded "|^${pattern}$")
  endforeach()
  set(names "")
  set(paths "")
  foreach(name IN LISTS found)
    string(REPLACE "/.well-known/" "/" visible "/${name}")
    if(visible MATCHES "/\\." OR name MATCHES "${excluded}")
      continue()
    endif()
    # Such names need no encoding in a URL, and mean nothing to CMake or to a compiler.
    if(NOT name MATCHES "^[A-Za-z0-9._~@+,=/-]+$" OR NOT EXISTS "${directory}/${name}")
      message(FATAL_ERROR "${what} cannot embed \"${name}\" of \"${directory}\": names may have letters and digits "
              "of ASCII and . _ ~ @ + , = -")
    endif()
    list(APPEND names "${name}")
    list(APPEND paths "${directory}/${name}")
  endforeach()
  if(NOT names)
    message(FATAL_ERROR "${what} there is nothing to embed in \"${directory}\"")
  endif()
  set(${names_out} "${names}" PARENT_SCOPE)
  set(${paths_out} "${paths}" PARENT_SCOPE)
endfunction()

if(NOT DEFINED MICRODOT_EMBED_LIST)
  return()
endif()

# ---- As a script, while the program is built: writes <name>.cpp and <name>.hpp beside the list --------------------
cmake_minimum_required(VERSION 3.20...3.25)  # ESP-IDF may bring 3.22
include("${MICRODOT_EMBED_LIST}")
cmake_path(REMOVE_EXTENSION MICRODOT_EMBED_LIST LAST_ONLY OUTPUT_VARIABLE output)

# Types that shrink: those for which send_file looks for a variant (microdot::is_compressible).
set(shrinks "\\.(bmp|css|csv|html?|ico|ics|js|json|jsonld|log|map|md|mjs|otf|svg|ttf|txt|vtt|wasm|webmanifest|xhtml|\
xml|ya?ml)$")
set(ENV{SOURCE_DATE_EPOCH} 0)  # no time in what gzip writes
set(all ${names})
foreach(file_name path IN ZIP_LISTS names files)
  set("path_of_${file_name}" "${path}")
  file(SHA256 "${path}" hash)
  string(SUBSTRING "${hash}" 0 8 "version_${file_name}")
  string(TOLOWER "${file_name}" lower)
  if(no_gzip OR NOT lower MATCHES "${shrinks}" OR "${file_name}.gz" IN_LIST names)
    continue()
  endif()
  string(SHA256 packed "${file_name}")
  string(PREPEND packed "${output}-gz/")
  file(MAKE_DIRECTORY "${output}-gz")
  file(ARCHIVE_CREATE OUTPUT "${packed}" PATHS "${path}" FORMAT raw COMPRESSION GZip COMPRESSION_LEVEL 9)
  file(SIZE "${path}" size)
  file(SIZE "${packed}" packed_size)
  math(EXPR saved "${size} * 9 - ${packed_size} * 10")
  if(saved GREATER_EQUAL 0 AND gzip_only)
    set("path_of_${file_name}" "${packed}")
    set("gzip_${file_name}" ", true")
  elseif(saved GREATER_EQUAL 0)
    list(APPEND all "${file_name}.gz")
    set("path_of_${file_name}.gz" "${packed}")
  endif()
endforeach()
list(SORT all)  # byte by byte, as the program looks for them

set(head "// Made by microdot_embed; changes are lost.\n")
string(CONCAT cpp "${head}#include \"${name}.hpp\"\n\nnamespace embedded_${name} {\n"
  "#pragma GCC diagnostic ignored \"-Woverlength-strings\"\n")
string(CONCAT hpp "${head}#pragma once\n#include <microdot/embedded_files.hpp>\n\nnamespace embedded_${name} {\n")
set(table "")
set(number 0)
file(WRITE "${output}.cpp" "${cpp}")
foreach(file_name IN LISTS all)
  set(path "${path_of_${file_name}}")
  file(SHA256 "${path}" hash)
  file(SIZE "${path}" size)
  string(SUBSTRING "${hash}" 0 16 tag)
  set(file_url "")
  if(file_name IN_LIST names)
    set(file_url "${file_name}?v=${version_${file_name}}")
    if(url)
      string(PREPEND file_url "${url}/")
    endif()
  endif()
  string(APPEND table
    "    {\"${file_name}\", \"${file_url}\", \"\\\"${tag}\\\"\", {file_${number}, ${size}}${gzip_${file_name}}},\n")
  math(EXPR room "${size} + 1")  # a string literal brings its zero
  string(APPEND hpp "extern const char file_${number}[${room}];\n")

  file(READ "${path}" hex HEX)
  string(LENGTH "${hex}" length)
  string(REGEX REPLACE "(..)" "\\\\x\\1" hex "${hex}")
  math(EXPR length "${length} * 2")
  set(text "\nconst char file_${number}[${room}] =  // ${file_name}\n")
  if(length EQUAL 0)
    string(APPEND text "    \"\"\n")
  endif()
  set(at 0)
  while(at LESS length)
    string(SUBSTRING "${hex}" ${at} 4000 line)
    string(APPEND text "    \"${line}\"\n")
    math(EXPR at "${at} + 4000")
  endwhile()
  string(REGEX REPLACE "\n$" ";\n" text "${text}")
  file(APPEND "${output}.cpp" "${text}")
  math(EXPR number "${number} + 1")
endforeach()
file(APPEND "${output}.cpp" "\n}  // namespace embedded_${name}\n")
file(REMOVE_RECURSE "${output}-gz")
# Not inline: GCC with -fsanitize=undefined asks whether an inline object has an address, which no constant says.
file(WRITE "${output}.hpp" "${hpp}
constexpr microdot::EmbeddedFile files[] = {
${table}};

}  // namespace embedded_${name}

constexpr microdot::EmbeddedFolder ${name}{embedded_${name}::files};
")
