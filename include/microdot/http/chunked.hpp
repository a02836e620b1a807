#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <microdot/base/config.hpp>
#include <microdot/http/parse_status.hpp>

namespace microdot::inline MICRODOT_ABI {

/// What a chunked body may cost.
struct ChunkedLimits {
  std::uint16_t extension_bytes = 256;  ///< Extensions of one chunk. Above: 400.
  std::uint16_t trailer_bytes = 2048;   ///< The whole trailer section. Above: 431.
  /// All content. Above: 413, as soon as the size of a chunk says so.
  std::uint64_t content_bytes = ~std::uint64_t{0};
};

/// What one call of `ChunkedDecoder::decode` did.
struct ChunkedResult {
  ParseStatus status;  ///< `need_more` until the empty line after the last chunk; `error` is final.
  std::size_t
      consumed;  ///< Encoded bytes used. With `complete`, what follows is the next request, untouched.
  std::size_t produced;  ///< Bytes of content, now at the beginning of the buffer.
};

/// Decodes a body in the chunked transfer coding (RFC 9112 7.1) in place, in pieces of any size.
///
///     ChunkedResult r = decoder.decode({buffer, bytes_read});
///     use(std::string_view(buffer, r.produced));
///     // r.status == need_more: all bytes were used; read again into the same buffer
///
/// Strict: only CRLF ends a line, no whitespace around sizes. Extensions are checked and dropped; so are
/// trailer fields, of which Content-Length, Transfer-Encoding and Host are refused. Over the whole body,
/// extensions may cost no more than the content itself and 4 KiB. The outcome does not depend on how the
/// bytes were split.
class ChunkedDecoder {
 public:
  using Limits = ChunkedLimits;

  ChunkedDecoder() noexcept = default;
  explicit ChunkedDecoder(Limits limits) noexcept : limits_(limits) {}

  /// Starts over, for the next body.
  void reset() noexcept { *this = ChunkedDecoder(limits_); }

  /// Decodes `bytes`, the next part of the body. With `error`, `produced` still counts the good content
  /// before it.
  ChunkedResult decode(std::span<char> bytes) noexcept;

  bool done() const noexcept { return state_ == State::done; }
  /// Bytes of content so far.
  std::uint64_t total() const noexcept { return total_; }
  /// After `error`: the status to answer (400, 413 or 431) and what was wrong (static storage).
  int error_status() const noexcept { return error_status_; }
  std::string_view error_reason() const noexcept;

 private:
  enum class State : std::uint8_t {
    size_first,
    size,
    extension_space,
    extension_name_first,
    extension_name,
    extension_after_name,
    extension_value_first,
    extension_value,
    extension_quoted,
    extension_escaped,
    extension_end,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer_first,
    trailer_name,
    trailer_value,
    trailer_lf,
    last_lf,
    done,
    failed,
  };

  bool step(char c) noexcept;
  bool step_size(char c) noexcept;
  bool step_extension(char c) noexcept;
  bool step_trailer(char c) noexcept;
  bool end_of_size(char c) noexcept;
  bool is_forbidden_trailer() const noexcept;
  [[gnu::cold, gnu::noinline]] bool fail(int status, std::uint8_t reason) noexcept;

  std::uint64_t left_ = 0;   // of this chunk's size or data
  std::uint64_t total_ = 0;  // content so far
  std::uint64_t extension_total_ = 0;
  Limits limits_;
  std::uint16_t line_bytes_ = 0;  // extension bytes of this chunk, or bytes of the trailer section
  std::uint16_t error_status_ = 0;
  State state_ = State::size_first;
  std::uint8_t reason_ = 0;
  std::uint8_t digits_ = 0;  // of the size; then bytes of the trailer's name
  char name_[17] = {};       // the trailer's name in lower case, as far as it has room
};

/// Room for any chunk head: 16 digits and CRLF.
inline constexpr std::size_t kMaxChunkHead = 18;

/// Writes the head of a chunk of `size` > 0 bytes ("1f\r\n") at the END of `out`, so that content that lies
/// right behind `out` follows it. `out` has room for `kMaxChunkHead` bytes. Returns the bytes written.
std::size_t write_chunk_head(std::uint64_t size, std::span<char, kMaxChunkHead> out) noexcept;

/// What ends the content of each chunk.
inline constexpr std::string_view kChunkEnd = "\r\n";
/// What ends the body: the last chunk and an empty trailer section.
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace microdot::inline MICRODOT_ABI
