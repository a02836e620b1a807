#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <microdot/base/config.hpp>
#include <microdot/base/result.hpp>

/// Bodies of the type multipart/form-data (RFC 7578, RFC 2046 5.1). Pure bytes: nothing here allocates.
namespace microdot::inline MICRODOT_ABI {

/// Bytes of a boundary, at most (RFC 2046 5.1.1).
inline constexpr std::size_t kMaxBoundary = 70;

/// The boundary that a Content-Type names, quoted or not: a view of it. `Error::unsupported` if the type is
/// not multipart/form-data, `Error::invalid` if it has no boundary, two, or one that is none.
Result<std::string_view> multipart_boundary(std::string_view content_type) noexcept;

/// What a client called a file, as the name of one in a directory of ours (RFC 7578 4.2): without the
/// directories that it was in there, control characters, what is special to systems (`< > : " | ? *` become
/// '_'), and leading dots. Written into `out`, cut to its size without breaking a character; "upload" if
/// nothing is left of it. Always `is_local_path`, and never with a '/'. `out` has at least 16 bytes.
std::string_view safe_filename(std::string_view filename, std::span<char> out) noexcept;

/// What a call of `MultipartParser::parse` found.
enum class MultipartEvent : std::uint8_t {
  need_more,    ///< All bytes were used.
  part,         ///< The head of a part: see the parser's `part()`.
  data,         ///< Some of the part's content; never empty.
  end_of_part,  ///< The part is complete, and its delimiter right.
  end,          ///< The last part was complete. All that follows is used and dropped (RFC 2046 5.1.1).
  error,        ///< Final: see the parser's `error_status()`.
};

struct MultipartResult {
  MultipartEvent event;
  /// Bytes used from the front.
  std::size_t consumed = 0;
  /// With `data`: in the bytes given, or in the parser until the next call.
  std::string_view data = {};
};

/// The head of a part. Views of the parser's window, valid until the next part begins.
struct MultipartPart {
  std::string_view name;
  /// As sent, with what browsers encode decoded: not the name of a file of ours, see `safe_filename`. "" also
  /// where a form was sent without choosing a file.
  std::string_view filename;
  std::string_view content_type;  ///< "" if it was not sent: then it is text/plain (RFC 7578 4.4).
  bool is_file = false;           ///< It has a filename, be it empty.
};

/// What a body may cost, beside the parser's window for heads.
struct MultipartLimits {
  std::uint32_t parts = 64;             ///< More: 413.
  std::uint32_t preamble_bytes = 1024;  ///< Before the first delimiter; RFC 7578 has none. More: 400.
};

/// Reads a multipart/form-data body in pieces of any size; nothing of it is copied but the heads of its
/// parts.
///
///     char head[512];
///     MultipartParser parser(boundary, head);
///     std::string_view rest = …;  // the next bytes of the body
///     for (;;) {
///       const MultipartResult r = parser.parse(rest);
///       rest.remove_prefix(r.consumed);
///       if (r.event == MultipartEvent::need_more) break;  // and after the last bytes: parser.finish()
///       …
///     }
///
/// Strict where it matters: only CRLF ends the lines of heads and delimiters (a bare LF in content is
/// content); what follows a boundary is the end of its line or "--", with spaces and tabs before a line's
/// end; heads have no folded lines, one Content-Disposition that is form-data with one name, and no
/// Content-Transfer-Encoding that would have to be decoded (RFC 7578 4.7). In a name or filename %22, %0D and
/// %0A are what browsers make of a quote and of line ends, and no other percent sign means anything; a
/// backslash quotes another and the quotes that end nothing, else it is one (of "C:\dir\a.txt"). `filename*`
/// is left out (RFC 7578 4.2), as are fields and parameters that are not known. The outcome does not depend
/// on how the bytes were split, but for the sizes of data.
class MultipartParser {
 public:
  using Limits = MultipartLimits;

  /// `head` is the window for one part's head and must stay valid; longer heads: 413. A `boundary` that is
  /// none is an error of the first `parse`.
  MultipartParser(std::string_view boundary, std::span<char> head, const Limits& limits = {}) noexcept;

  /// Reads `bytes`, the next part of the body, up to the next event.
  MultipartResult parse(std::string_view bytes) noexcept;
  /// The body has ended. False, with an error, if its last delimiter is missing.
  bool finish() noexcept;

  /// After `MultipartEvent::part`.
  const MultipartPart& part() const noexcept { return part_; }
  bool done() const noexcept { return state_ == State::epilogue; }
  /// After `error`: the status to answer (400 or 413) and what was wrong (static storage).
  int error_status() const noexcept { return error_status_; }
  std::string_view error_reason() const noexcept;

 private:
  enum class State : std::uint8_t {
    preamble,
    content,
    after_boundary,
    padding,
    boundary_lf,
    close_dash,
    closed,
    head,
    epilogue,
    failed,
  };

  bool take_content(std::string_view bytes, MultipartResult& result) noexcept;
  bool take_head(std::string_view bytes, MultipartResult& result) noexcept;
  bool step(char c) noexcept;
  bool end_part(MultipartResult& result) noexcept;
  bool read_head() noexcept;
  bool read_disposition(std::string_view value) noexcept;
  std::string_view delimiter() const noexcept { return {delimiter_, delimiter_size_}; }
  [[gnu::cold, gnu::noinline]] bool fail(int status, std::uint8_t reason) noexcept;

  MultipartPart part_;
  std::span<char> head_;
  std::uint32_t head_size_ = 0;
  std::uint32_t parts_left_;
  std::uint32_t preamble_left_;
  std::uint16_t error_status_ = 0;
  State state_ = State::preamble;
  std::uint8_t reason_ = 0;
  std::uint8_t delimiter_size_;
  std::uint8_t matched_;   // bytes of the delimiter that were seen
  std::uint8_t borrowed_;  // of them, those that are no content in any case
  std::uint8_t padding_ = 0;
  bool in_part_ = false;
  char delimiter_[4 + kMaxBoundary];
};

}  // namespace microdot::inline MICRODOT_ABI
