#include <microdot/http/chunked.hpp>

#include <algorithm>
#include <cstring>

#include <microdot/http/chars.hpp>

#include "../base/packed_texts.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {
constexpr std::uint64_t kExtensionBudget = 4096;
constexpr std::uint8_t kMaxSizeDigits = 16;

// What can be wrong, in words: looked up only by who logs it.
constexpr std::string_view kChunkErrors[] = {
    "",
    "bare CR after a chunk size",
    "chunk longer than its size",
    "invalid chunk size",
    "chunk size out of range",
    "chunk size has too many digits",
    "body too large",
    "bare LF after a chunk size",
    "invalid chunk size or extension",
    "chunk extensions too long",
    "invalid chunk extension",
    "trailer fields too large",
    "forbidden trailer field",
    "invalid trailer field name",
    "invalid byte in a trailer field",
    "bare CR in a trailer field",
    "bare CR after the trailer fields",
};
constexpr auto kChunkErrorTexts = detail::pack_texts<kChunkErrors>();

consteval std::uint8_t chunk_error(std::string_view reason) {
  return detail::place_of(kChunkErrorTexts, reason);
}

}  // namespace

std::string_view ChunkedDecoder::error_reason() const noexcept { return kChunkErrorTexts[reason_]; }

bool ChunkedDecoder::fail(int status, std::uint8_t reason) noexcept {
  error_status_ = static_cast<std::uint16_t>(status);
  reason_ = reason;
  state_ = State::failed;
  return false;
}

ChunkedResult ChunkedDecoder::decode(std::span<char> bytes) noexcept {
  const char* in = bytes.data();
  const char* const end = in + bytes.size();
  char* out = bytes.data();
  while (in < end && state_ != State::done && state_ != State::failed) {
    if (state_ != State::data) {
      if (step(*in)) ++in;
      continue;
    }
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(left_, static_cast<std::uint64_t>(end - in)));
    if (out != in) std::memmove(out, in, size);
    in += size;
    out += size;
    left_ -= size;
    total_ += size;
    if (left_ == 0) state_ = State::data_cr;
  }
  ParseStatus status = ParseStatus::need_more;
  if (state_ == State::done) status = ParseStatus::complete;
  if (state_ == State::failed) status = ParseStatus::error;
  return {status, static_cast<std::size_t>(in - bytes.data()), static_cast<std::size_t>(out - bytes.data())};
}

// Takes one byte that is not content. False when it is wrong.
bool ChunkedDecoder::step(char c) noexcept {
  switch (state_) {
    case State::size_first:
    case State::size: return step_size(c);
    case State::size_lf:
      if (c != '\n') return fail(400, chunk_error("bare CR after a chunk size"));
      line_bytes_ = 0;
      state_ = left_ == 0 ? State::trailer_first : State::data;
      return true;
    case State::data_cr:
      if (c != '\r') return fail(400, chunk_error("chunk longer than its size"));
      state_ = State::data_lf;
      return true;
    case State::data_lf:
      if (c != '\n') return fail(400, chunk_error("chunk longer than its size"));
      state_ = State::size_first;
      return true;
    case State::trailer_first:
    case State::trailer_name:
    case State::trailer_value:
    case State::trailer_lf:
    case State::last_lf: return step_trailer(c);
    default: return step_extension(c);
  }
}

bool ChunkedDecoder::step_size(char c) noexcept {
  const int digit = hex_value(c);
  if (digit < 0) {
    if (state_ == State::size_first) return fail(400, chunk_error("invalid chunk size"));
    return end_of_size(c);
  }
  if (state_ == State::size_first) {
    left_ = 0;
    digits_ = 0;
    state_ = State::size;
  }
  if (left_ >> 60 != 0) return fail(413, chunk_error("chunk size out of range"));
  if (++digits_ > kMaxSizeDigits) return fail(400, chunk_error("chunk size has too many digits"));
  left_ = left_ << 4 | static_cast<unsigned>(digit);
  return left_ <= limits_.content_bytes - total_ || fail(413, chunk_error("body too large"));
}

// The byte after the size, or after an extension that may end here.
bool ChunkedDecoder::end_of_size(char c) noexcept {
  if (c == '\r') {
    state_ = State::size_lf;
  } else if (c == ';') {
    state_ = State::extension_name_first;
  } else if (c == ' ' || c == '\t') {
    state_ = state_ == State::extension_name ? State::extension_after_name : State::extension_space;
  } else {
    return fail(400, c == '\n' ? chunk_error("bare LF after a chunk size")
                               : chunk_error("invalid chunk size or extension"));
  }
  return true;
}

// chunk-ext = *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )
bool ChunkedDecoder::step_extension(char c) noexcept {
  ++extension_total_;
  if (line_bytes_++ >= limits_.extension_bytes || extension_total_ > kExtensionBudget + total_) {
    return fail(400, chunk_error("chunk extensions too long"));
  }
  const bool space = c == ' ' || c == '\t';
  const bool token = is_char(c, kCharToken);
  switch (state_) {
    case State::extension_space:
      if (space) return true;
      if (c != ';') break;
      state_ = State::extension_name_first;
      return true;
    case State::extension_name_first:
      if (space) return true;
      if (!token) break;
      state_ = State::extension_name;
      return true;
    case State::extension_name:
      if (token) return true;
      if (c != '=') return end_of_size(c);
      state_ = State::extension_value_first;
      return true;
    case State::extension_after_name:
      if (space) return true;
      if (c != '=' && c != ';') break;
      state_ = c == '=' ? State::extension_value_first : State::extension_name_first;
      return true;
    case State::extension_value_first:
      if (space) return true;
      if (c != '"' && !token) break;
      state_ = c == '"' ? State::extension_quoted : State::extension_value;
      return true;
    case State::extension_value: return token || end_of_size(c);
    case State::extension_end: return end_of_size(c);
    case State::extension_quoted:
      if (!is_char(c, kCharField)) break;
      if (c == '\\') state_ = State::extension_escaped;
      if (c == '"') state_ = State::extension_end;
      return true;
    case State::extension_escaped:
      if (!is_char(c, kCharField)) break;
      state_ = State::extension_quoted;
      return true;
    default: break;
  }
  return fail(400, chunk_error("invalid chunk extension"));
}

bool ChunkedDecoder::step_trailer(char c) noexcept {
  // The empty line that ends the body is no part of it. Never counted beyond the limit, which may be the
  // largest.
  const bool ends = state_ == State::last_lf || (state_ == State::trailer_first && c == '\r');
  if (!ends && line_bytes_++ >= limits_.trailer_bytes)
    return fail(431, chunk_error("trailer fields too large"));
  switch (state_) {
    case State::trailer_first:
      digits_ = 0;
      if (c == '\r') {
        state_ = State::last_lf;
        return true;
      }
      state_ = State::trailer_name;
      [[fallthrough]];
    case State::trailer_name:
      if (c == ':' && digits_ != 0) {
        if (is_forbidden_trailer()) return fail(400, chunk_error("forbidden trailer field"));
        state_ = State::trailer_value;
        return true;
      }
      if (!is_char(c, kCharToken)) return fail(400, chunk_error("invalid trailer field name"));
      if (digits_ < sizeof name_) name_[digits_] = to_lower(c);
      if (digits_ <= sizeof name_) ++digits_;
      return true;
    case State::trailer_value:
      if (c == '\r') {
        state_ = State::trailer_lf;
        return true;
      }
      return is_char(c, kCharField) || fail(400, chunk_error("invalid byte in a trailer field"));
    case State::trailer_lf:
      if (c != '\n') return fail(400, chunk_error("bare CR in a trailer field"));
      state_ = State::trailer_first;
      return true;
    default:  // last_lf
      if (c != '\n') return fail(400, chunk_error("bare CR after the trailer fields"));
      state_ = State::done;
      return true;
  }
}

bool ChunkedDecoder::is_forbidden_trailer() const noexcept {
  if (digits_ > sizeof name_) return false;
  const std::string_view name(name_, digits_);
  for (const char* forbidden : {"content-length", "transfer-encoding", "host"}) {
    if (name == forbidden) return true;
  }
  return false;
}

std::size_t write_chunk_head(std::uint64_t size, std::span<char, kMaxChunkHead> out) noexcept {
  char digits[kMaxHex];
  const std::size_t count = write_hex(digits, size);
  char* head = out.data() + out.size() - 2 - count;
  std::memcpy(head, digits, count);
  std::memcpy(head + count, "\r\n", 2);
  return count + 2;
}

}  // namespace microdot::inline MICRODOT_ABI
