#pragma once
/// Files as answers: what `send_file` and `static_files` asked for becomes a response for the request at
/// hand.

#include <microdot/request.hpp>
#include <microdot/response.hpp>

#include "router.hpp"

namespace microdot::inline MICRODOT_ABI::detail {

/// What `send_file` was called with; its texts are copies in the arena it lies in. Whoever answers calls
/// `open`: so programs that send no files have no part of it.
struct FileRequest {
  std::string_view path;
  SendFileOptions options;
  void (*open)(Response& response, Request& request) noexcept;
};

/// Opens what `response` (of kind `file_request`) asks for and makes it the one for this request: the whole
/// file or a precompressed variant of it, parts of it, 304, 412, 416; or an aborted one with 404, 403, 503.
/// Fields that were set on it are kept.
void open_file(Response& response, Request& request) noexcept;

/// The same for the file at `rest` in a directory: what follows its prefix in the request's path, still
/// percent-encoded, with the slash; "" for the prefix itself, which is sent on to the slash.
Response serve_directory(const StaticDirectory& directory, std::string_view rest, Request& request) noexcept;

}  // namespace microdot::inline MICRODOT_ABI::detail
