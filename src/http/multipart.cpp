#include <microdot/http/multipart.hpp>

#include <algorithm>
#include <cstring>

#include <microdot/http/chars.hpp>
#include <microdot/http/utf8.hpp>

#include "../base/packed_texts.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

constexpr std::uint8_t kMaxPadding = 64;
// The CRLF before a boundary, which belongs to the delimiter (RFC 2046 5.1.1), is the end of another line
// where a body or a part's content begins with the boundary.
constexpr std::uint8_t kLineEnd = 2;

constexpr std::string_view kMultipartErrors[] = {
    "",
    "invalid boundary",
    "no delimiter",
    "invalid delimiter",
    "too many parts",
    "head of a part too large",
    "bare LF in the head of a part",
    "invalid field in the head of a part",
    "invalid Content-Disposition",
    "field sent twice in the head of a part",
    "unsupported Content-Transfer-Encoding",
    "part without a name",
    "missing last delimiter",
};
constexpr auto kMultipartErrorTexts = detail::pack_texts<kMultipartErrors>();

consteval std::uint8_t multipart_error(std::string_view reason) {
  return detail::place_of(kMultipartErrorTexts, reason);
}

// bchars (RFC 2046 5.1.1) but the space.
bool is_boundary_char(char c) noexcept {
  return is_char(c, kCharDigit) || (to_lower(c) >= 'a' && to_lower(c) <= 'z') ||
         std::string_view("'()+_,-./:=?").find(c) != std::string_view::npos;
}

bool is_boundary(std::string_view text) noexcept {
  return !text.empty() && text.size() <= kMaxBoundary && text.back() != ' ' &&
         std::all_of(text.begin(), text.end(), [](char c) { return c == ' ' || is_boundary_char(c); });
}

/// Goes through the parameters behind a value: *( OWS ";" OWS [ name "=" ( token / quoted-string ) ] ). What
/// stands between quotes is given as it was sent; unquoted values may have `is_value` characters.
class Parameters {
 public:
  Parameters(std::string_view text, bool (*is_value)(char c) noexcept) noexcept
      : at_(text.data()), end_(at_ + text.size()), is_value_(is_value) {}

  std::string_view name;
  std::string_view value;
  bool quoted = false;

  /// The next one. False at the end, or if something is wrong.
  bool next() noexcept {
    for (;;) {
      skip_space();
      if (at_ == end_) return false;
      if (*at_ != ';') return fail();
      ++at_;
      skip_space();
      if (at_ == end_) return false;
      if (*at_ != ';') break;
    }
    const char* const begin = at_;
    while (at_ != end_ && is_char(*at_, kCharToken)) ++at_;
    name = {begin, static_cast<std::size_t>(at_ - begin)};
    if (name.empty() || at_ == end_ || *at_ != '=') return fail();
    ++at_;
    quoted = at_ != end_ && *at_ == '"';
    return quoted ? take_quoted() : take_plain();
  }
  bool failed() const noexcept { return failed_; }

 private:
  void skip_space() noexcept {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\t')) ++at_;
  }
  bool take_plain() noexcept {
    const char* const begin = at_;
    while (at_ != end_ && is_value_(*at_)) ++at_;
    value = {begin, static_cast<std::size_t>(at_ - begin)};
    return !value.empty() || fail();
  }
  bool take_quoted() noexcept {
    const char* const begin = ++at_;
    for (; at_ != end_ && *at_ != '"'; ++at_) {
      // Quotes that end the text can only be what ends it: a browser sent a name that ends with a backslash.
      if (*at_ == '\\' && end_ - at_ > 2 && (at_[1] == '"' || at_[1] == '\\')) ++at_;
    }
    if (at_ == end_) return fail();
    value = {begin, static_cast<std::size_t>(at_ - begin)};
    ++at_;
    return true;
  }
  bool fail() noexcept {
    failed_ = true;
    return false;
  }

  const char* at_;
  const char* end_;
  bool (*is_value_)(char c) noexcept;
  bool failed_ = false;
};

bool is_token_char(char c) noexcept { return is_char(c, kCharToken); }

// What a browser meant by what it sent between quotes, in place.
std::string_view decode_quoted(char* text, std::size_t size) noexcept {
  char* out = text;
  const char* const end = text + size;
  for (const char* in = text; in != end; ++in) {
    char c = *in;
    if (c == '\\' && end - in > 1 && (in[1] == '"' || in[1] == '\\')) {
      c = *++in;
    } else if (c == '%' && end - in > 2) {
      const std::string_view code(in + 1, 2);
      const char decoded = code == "22"                     ? '"'
                           : equals_ignore_case(code, "0d") ? '\r'
                           : equals_ignore_case(code, "0a") ? '\n'
                                                            : '\0';
      if (decoded != '\0') {
        c = decoded;
        in += 2;
      }
    }
    *out++ = c;
  }
  return {text, static_cast<std::size_t>(out - text)};
}

// Takes the text up to `separator`, which is dropped.
std::string_view take_until(std::string_view& text, std::string_view separator) noexcept {
  const std::size_t end = text.find(separator);
  const std::string_view front = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + separator.size());
  return front;
}

}  // namespace

Result<std::string_view> multipart_boundary(std::string_view content_type) noexcept {
  const std::size_t end = std::min(content_type.find(';'), content_type.size());
  if (!equals_ignore_case(trim_ows(content_type.substr(0, end)), "multipart/form-data"))
    return Error::unsupported;
  // Many senders do not quote a boundary that HTTP would want quoted.
  Parameters parameters(content_type.substr(end), is_boundary_char);
  std::string_view boundary;
  while (parameters.next()) {
    if (!equals_ignore_case(parameters.name, "boundary")) continue;
    if (!boundary.empty() || !is_boundary(parameters.value)) return Error::invalid;
    boundary = parameters.value;
  }
  if (parameters.failed() || boundary.empty()) return Error::invalid;
  return boundary;
}

std::string_view safe_filename(std::string_view filename, std::span<char> out) noexcept {
  // npos + 1 is 0.
  filename.remove_prefix(filename.find_last_of("/\\") + 1);
  const bool unreadable = !is_utf8(filename);
  std::size_t size = 0;
  for (const char c : filename) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || (size == 0 && (c == '.' || c == ' '))) continue;
    if (size == out.size()) break;
    const bool special = std::string_view("<>:\"|?*").find(c) != std::string_view::npos;
    out[size++] = special || (unreadable && byte >= 0x80) ? '_' : c;
  }
  // A character that was cut.
  while (size != 0 && !is_utf8({out.data(), size})) --size;
  while (size != 0 && (out[size - 1] == '.' || out[size - 1] == ' ')) --size;
  if (size == 0) size = std::string_view("upload").copy(out.data(), out.size());
  return {out.data(), size};
}

MultipartParser::MultipartParser(std::string_view boundary, std::span<char> head,
                                 const Limits& limits) noexcept
    : head_(head),
      parts_left_(limits.parts),
      preamble_left_(limits.preamble_bytes),
      matched_(kLineEnd),
      borrowed_(kLineEnd) {
  std::memcpy(delimiter_, "\r\n--", 4);
  delimiter_size_ = static_cast<std::uint8_t>(4 + boundary.copy(delimiter_ + 4, kMaxBoundary));
  if (!is_boundary(boundary)) fail(400, multipart_error("invalid boundary"));
}

std::string_view MultipartParser::error_reason() const noexcept { return kMultipartErrorTexts[reason_]; }

bool MultipartParser::fail(int status, std::uint8_t reason) noexcept {
  error_status_ = static_cast<std::uint16_t>(status);
  reason_ = reason;
  state_ = State::failed;
  return false;
}

bool MultipartParser::finish() noexcept {
  if (done()) return true;
  if (state_ == State::failed) return false;
  return fail(400, state_ == State::preamble ? multipart_error("no delimiter")
                                             : multipart_error("missing last delimiter"));
}

MultipartResult MultipartParser::parse(std::string_view bytes) noexcept {
  MultipartResult result{MultipartEvent::need_more};
  std::size_t& at = result.consumed;
  for (;;) {
    switch (state_) {
      case State::failed: result.event = MultipartEvent::error; return result;
      case State::epilogue: at = bytes.size(); return result;
      case State::closed:
        if (end_part(result)) return result;
        state_ = State::epilogue;
        result.event = MultipartEvent::end;
        return result;
      case State::preamble:
      case State::content:
        if (take_content(bytes, result)) return result;
        break;
      case State::head:
        if (take_head(bytes, result)) return result;
        break;
      default:
        if (at == bytes.size()) return result;
        if (step(bytes[at])) ++at;
        if (state_ == State::head && end_part(result)) return result;
    }
    if (at == bytes.size() && state_ != State::failed && state_ != State::closed) return result;
  }
}

// Whether there is the end of a part to be told.
bool MultipartParser::end_part(MultipartResult& result) noexcept {
  if (!in_part_) return false;
  in_part_ = false;
  result.event = MultipartEvent::end_of_part;
  return true;
}

// Content up to the next delimiter, and that. True when there is something to return.
bool MultipartParser::take_content(std::string_view bytes, MultipartResult& result) noexcept {
  std::size_t& at = result.consumed;
  if (at == bytes.size()) return false;
  const std::size_t begin = at;
  std::string_view data;
  if (matched_ != 0) {
    while (at != bytes.size() && matched_ != delimiter_size_ && bytes[at] == delimiter_[matched_]) {
      ++at;
      ++matched_;
    }
    if (matched_ == delimiter_size_) {
      matched_ = padding_ = 0;
      state_ = State::after_boundary;
      return false;
    }
    if (at == bytes.size()) return false;
    // It was none, so it was content: here are the same bytes. No other can have begun within it, for CR is
    // no character of a boundary.
    data = delimiter().substr(borrowed_, matched_ - borrowed_);
    matched_ = borrowed_ = 0;
  } else {
    for (;; ++at) {
      const void* const found = std::memchr(bytes.data() + at, '\r', bytes.size() - at);
      if (found == nullptr) {
        at = bytes.size();
        break;
      }
      at = static_cast<std::size_t>(static_cast<const char*>(found) - bytes.data());
      if (delimiter().starts_with(bytes.substr(at, delimiter_size_))) break;
    }
    data = bytes.substr(begin, at - begin);
    if (at != bytes.size()) {
      matched_ = 1;
      ++at;
    }
  }
  if (state_ == State::preamble) {
    if (data.size() > preamble_left_) return fail(400, multipart_error("no delimiter"));
    preamble_left_ -= static_cast<std::uint32_t>(data.size());
    return false;
  }
  if (data.empty()) return false;
  result.event = MultipartEvent::data;
  result.data = data;
  return true;
}

// Takes one byte that follows a boundary. False when it is wrong.
bool MultipartParser::step(char c) noexcept {
  switch (state_) {
    case State::after_boundary:
      if (c == '-') {
        state_ = State::close_dash;
        return true;
      }
      [[fallthrough]];
    case State::padding:
      if (c == '\r') {
        state_ = State::boundary_lf;
        return true;
      }
      state_ = State::padding;
      if ((c == ' ' || c == '\t') && padding_++ != kMaxPadding) return true;
      break;
    case State::boundary_lf:
      if (c != '\n') break;
      if (parts_left_ == 0) return fail(413, multipart_error("too many parts"));
      --parts_left_;
      state_ = State::head;
      head_size_ = 0;
      return true;
    default:  // close_dash
      if (c != '-') break;
      state_ = State::closed;
      return true;
  }
  return fail(400, multipart_error("invalid delimiter"));
}

// Lines of a part's head. True when it is complete.
bool MultipartParser::take_head(std::string_view bytes, MultipartResult& result) noexcept {
  std::size_t& at = result.consumed;
  while (at != bytes.size()) {
    const std::size_t lf = bytes.find('\n', at);
    const std::size_t end = lf == std::string_view::npos ? bytes.size() : lf + 1;
    const std::string_view piece = bytes.substr(at, end - at);
    if (piece.size() > head_.size() - head_size_)
      return fail(413, multipart_error("head of a part too large"));
    std::memcpy(head_.data() + head_size_, piece.data(), piece.size());
    head_size_ += static_cast<std::uint32_t>(piece.size());
    at = end;
    if (lf == std::string_view::npos) return false;
    const std::string_view lines(head_.data(), head_size_);
    if (!lines.ends_with("\r\n")) return fail(400, multipart_error("bare LF in the head of a part"));
    if (lines.size() != 2 && !lines.ends_with("\r\n\r\n")) continue;
    if (!read_head()) return false;
    state_ = State::content;
    in_part_ = true;
    matched_ = borrowed_ = kLineEnd;
    result.event = MultipartEvent::part;
    return true;
  }
  return false;
}

bool MultipartParser::read_head() noexcept {
  part_ = {};
  bool has_disposition = false;
  std::string_view lines(head_.data(), head_size_ - kLineEnd);
  while (!lines.empty()) {
    std::string_view value = take_until(lines, "\r\n");
    const std::string_view line = value;
    const std::string_view name = take_until(value, ":");
    if (name.empty() || name.size() == line.size() || !all_chars(name, kCharToken) ||
        !all_chars(value, kCharField))
      return fail(400, multipart_error("invalid field in the head of a part"));
    value = trim_ows(value);
    if (equals_ignore_case(name, "Content-Disposition")) {
      if (has_disposition) return fail(400, multipart_error("field sent twice in the head of a part"));
      has_disposition = true;
      if (!read_disposition(value)) return false;
    } else if (equals_ignore_case(name, "Content-Type")) {
      if (!part_.content_type.empty())
        return fail(400, multipart_error("field sent twice in the head of a part"));
      part_.content_type = value;
    } else if (equals_ignore_case(name, "Content-Transfer-Encoding")) {
      if (!equals_ignore_case(value, "binary") && !equals_ignore_case(value, "8bit") &&
          !equals_ignore_case(value, "7bit"))
        return fail(400, multipart_error("unsupported Content-Transfer-Encoding"));
    }
  }
  return has_disposition || fail(400, multipart_error("part without a name"));
}

bool MultipartParser::read_disposition(std::string_view value) noexcept {
  const std::size_t end = std::min(value.find(';'), value.size());
  if (!equals_ignore_case(trim_ows(value.substr(0, end)), "form-data"))
    return fail(400, multipart_error("invalid Content-Disposition"));
  Parameters parameters(value.substr(end), is_token_char);
  bool has_name = false;
  while (parameters.next()) {
    const bool is_name = equals_ignore_case(parameters.name, "name");
    if (!is_name && !equals_ignore_case(parameters.name, "filename")) continue;
    bool& seen = is_name ? has_name : part_.is_file;
    if (seen) return fail(400, multipart_error("invalid Content-Disposition"));
    seen = true;
    std::string_view& to = is_name ? part_.name : part_.filename;
    to = parameters.value;
    if (parameters.quoted)
      to = decode_quoted(&head_[static_cast<std::size_t>(to.data() - head_.data())], to.size());
  }
  if (parameters.failed()) return fail(400, multipart_error("invalid Content-Disposition"));
  return has_name || fail(400, multipart_error("part without a name"));
}

}  // namespace microdot::inline MICRODOT_ABI
