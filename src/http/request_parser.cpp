#include <microdot/http/request_parser.hpp>

#include <array>
#include <bit>
#include <cstring>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <microdot/http/chars.hpp>

#include "../base/address.hpp"
#include "../base/packed_texts.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

constexpr unsigned kMaxEmptyLines = 4;

// What can be wrong, in words: looked up only by who logs it.
constexpr std::string_view kHeadErrors[] = {
    "",
    "request line too long",
    "header fields too large",
    "bare CR before the request line",
    "too many empty lines before the request line",
    "invalid method",
    "invalid percent-encoding in the target",
    "NUL in the target",
    "no HTTP version",
    "invalid byte in the target",
    "empty target",
    "bare LF",
    "malformed HTTP version",
    "unsupported HTTP version",
    "CONNECT needs host:port",
    "target * is for OPTIONS only",
    "invalid target",
    "invalid authority in the target",
    "more than one Host",
    "invalid Host",
    "unknown expectation",
    "no Host",
    "Transfer-Encoding in HTTP/1.0",
    "Content-Length beside Transfer-Encoding",
    "the last transfer coding is not chunked",
    "unknown transfer coding",
    "bare CR",
    "obsolete line folding",
    "whitespace before the colon",
    "empty field name",
    "invalid field name",
    "control byte in a field value",
    "too many header fields",
    "more than one Content-Length",
    "invalid Content-Length",
    "Content-Length out of range",
    "invalid Transfer-Encoding",
    "chunked is not the last transfer coding",
    "chunked has no parameters",
};
constexpr auto kHeadErrorTexts = detail::pack_texts<kHeadErrors>();

consteval std::uint8_t head_error(std::string_view reason) {
  return detail::place_of(kHeadErrorTexts, reason);
}

#if defined(__SSE2__)

// Which of the 16 bytes may not stand in a field value, and tabs. Comparisons are signed: what one more makes
// larger than a space is 0x20 to 0x7e, and a byte above 0x7f has the bit that is looked at.
inline unsigned find_unusual_in_value(const char* p) noexcept {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const __m128i visible = _mm_cmpgt_epi8(_mm_add_epi8(bytes, _mm_set1_epi8(1)), _mm_set1_epi8(' '));
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(visible, bytes))) ^ 0xffffU;
}

// Which of the 16 bytes are no letters, digits, '-' or '.'.
inline unsigned find_unusual_in_name(const char* p) noexcept {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  // Whether a byte is one of the `count` up to `last`, which come to stand at the upper end of a signed byte.
  const auto among = [](__m128i all, char last, int count) noexcept {
    return _mm_cmpgt_epi8(_mm_add_epi8(all, _mm_set1_epi8(static_cast<char>(127 - last))),
                          _mm_set1_epi8(static_cast<char>(127 - count)));
  };
  __m128i good = among(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), 'z', 26);
  good = _mm_or_si128(good, among(bytes, '9', 10));
  good = _mm_or_si128(good, among(bytes, '.', 2));
  return static_cast<unsigned>(_mm_movemask_epi8(good)) ^ 0xffffU;
}

// The first byte in [p, end) that `Find` finds, or end. The last few are looked at together with what is
// before them, as far as `base`: nothing past end is read.
template <unsigned (&Find)(const char*) noexcept>
inline const char* skip_by_16(const char* base, const char* p, const char* end) noexcept {
  if (end - base < 16) return p;
  const char* const last = end - 16;
  for (; p <= last; p += 16) {
    if (const unsigned found = Find(p); found != 0) return p + std::countr_zero(found);
  }
  const unsigned found = p != end ? Find(last) >> (p - last) : 0;
  return found != 0 ? p + std::countr_zero(found) : end;
}

#endif

// The first byte in [p, end) that may not stand in a field value, or end; or one before it, as a tab. Reads
// nothing before base or past end.
inline const char* skip_visible([[maybe_unused]] const char* base, const char* p, const char* end) noexcept {
#if defined(__SSE2__)
  return skip_by_16<find_unusual_in_value>(base, p, end);
#else
  using Word = std::size_t;
  constexpr Word kOnes = static_cast<Word>(-1) / 0xff;
  while (static_cast<std::size_t>(end - p) >= sizeof(Word)) {
    Word word;
    std::memcpy(&word, p, sizeof word);
    const Word del = word ^ (kOnes * 0x7f);
    const Word below_space = (word - kOnes * 0x20) & ~word;
    const Word is_del = (del - kOnes) & ~del;
    if (((below_space | is_del) & (kOnes * 0x80)) != 0) {
      const char* stop = p + sizeof(Word);
      while (p < stop && is_char(*p, kCharField)) ++p;
      if (p < stop) return p;
    } else {
      p += sizeof(Word);
    }
  }
  return p;
#endif
}

// The line's end in [p, end), or the first byte before it that may not stand in a field value, or end.
inline const char* skip_field_bytes(const char* p, const char* end) noexcept {
  while (p < end && is_char(*p, kCharField)) ++p;
  return p;
}

inline bool is_line_end(const char* p, const char* end) noexcept {
  constexpr auto kCrLf = std::bit_cast<std::uint16_t>(std::array{'\r', '\n'});
  std::uint16_t bytes;
  if (end - p < 2) return false;
  std::memcpy(&bytes, p, sizeof bytes);  // in one comparison
  return bytes == kCrLf;
}

// Letters, digits, '-' and '.' (and other unreserved ones, where bytes are looked at one by one): the first
// other byte in [p, end), or one before it.
inline const char* skip_usual([[maybe_unused]] const char* base, const char* p, const char* end) noexcept {
#if defined(__SSE2__)
  p = skip_by_16<find_unusual_in_name>(base, p, end);
#else
  while (p < end && is_char(*p, kCharUnreserved)) ++p;
#endif
  return p;
}

// The first byte in [p, end) that may not stand in a field name, or end.
inline const char* skip_token(const char* base, const char* p, const char* end) noexcept {
  p = skip_usual(base, p, end);
  if (p != end && *p == ':') return p;  // nearly every name
  while (p < end && is_char(*p, kCharToken)) ++p;
  return p;
}

// Whether the token at `name` (N - 1 bytes) is `lower`, without case. Setting bit 5 maps no other token
// character to a letter or '-'.
template <std::size_t N>
inline bool is_name(const char* name, const char (&lower)[N]) noexcept {
  if ((name[0] | 0x20) != lower[0]) return false;
  unsigned difference = 0;
  for (std::size_t i = 1; i < N - 1; ++i) {
    difference |= static_cast<unsigned>((name[i] | 0x20) ^ lower[i]);
  }
  return difference == 0;
}

bool is_valid_port(std::string_view text) noexcept {
  std::uint64_t port = 0;
  return text.empty() || (parse_decimal(text, port) == DecimalStatus::ok && port <= 65535);
}

// Splits "host[:port]" into a host and the text after ':'. False when the host is not valid.
bool split_host(std::string_view text, std::string_view& host, std::string_view& port,
                bool& has_port) noexcept {
  std::size_t end = 0;
  if (!text.empty() && text.front() == '[') {
    end = text.find(']');
    std::array<std::uint8_t, 16> address;
    if (end == std::string_view::npos || !detail::parse_ipv6(text.substr(1, end - 1), address)) return false;
    ++end;
  } else {
    for (;;) {
      while (end < text.size() && is_char(text[end], kCharRegName)) ++end;
      if (end == text.size() || text[end] == ':') break;
      if (text[end] == '%') {
        if (text.size() - end < 3 || !is_char(text[end + 1], kCharHex) || !is_char(text[end + 2], kCharHex)) {
          return false;
        }
        end += 3;
        continue;
      }
      return false;
    }
  }
  host = text.substr(0, end);
  has_port = end < text.size();
  if (has_port && text[end] != ':') return false;
  port = has_port ? text.substr(end + 1) : std::string_view{};
  return true;
}

}  // namespace

bool is_valid_host(std::string_view text) noexcept {
  if (all_chars(text, kCharUnreserved)) return true;  // nearly every name and IPv4 address without a port
  std::string_view host;
  std::string_view port;
  bool has_port = false;
  return split_host(text, host, port, has_port) && is_valid_port(port) && !(host.empty() && has_port);
}

void RequestParser::reset() noexcept {
  headers_.clear();
  base_ = "";
  reason_ = 0;
  line_ = scan_ = 0;
  method_text_ = target_ = path_ = query_ = host_ = {};
  error_status_ = 0;
  flags_ = 0;
  stage_ = Stage::request_line;
  method_ = Method::other;
  form_ = TargetForm::origin;
  minor_ = 1;
  empty_lines_ = 0;
}

std::string_view RequestParser::path() const noexcept {
  if (path_.size == 0 && form_ == TargetForm::absolute) return method_ == Method::options ? "*" : "/";
  return view(path_);
}

std::string_view RequestParser::error_reason() const noexcept { return kHeadErrorTexts[reason_]; }

ParseStatus RequestParser::fail(int status, std::uint8_t reason) noexcept {
  error_status_ = static_cast<std::uint16_t>(status);
  reason_ = reason;
  stage_ = Stage::error;
  return ParseStatus::error;
}

ParseStatus RequestParser::too_long() noexcept {
  return stage_ == Stage::request_line ? fail(414, head_error("request line too long"))
                                       : fail(431, head_error("header fields too large"));
}

bool RequestParser::line_fits(const char* lf) const noexcept {
  return lf - (base_ + line_) <= limits_.max_readline + 1;
}

// The bytes end before the line does. Called only when the line has no LF yet.
ParseStatus RequestParser::incomplete(const char* end) noexcept {
  scan_ = static_cast<std::uint32_t>(end - base_);
  if (!line_fits(end)) return too_long();
  if (scan_ >= limits_.head_bytes) return too_long();
  return ParseStatus::need_more;
}

// Something is wrong in this line. It counts when the line is complete and not too long, so that the outcome
// is the same however the bytes were split.
ParseStatus RequestParser::bad_line(const char* end, std::uint8_t reason) noexcept {
  const char* line = base_ + line_;
  const auto* lf = static_cast<const char*>(std::memchr(line, '\n', static_cast<std::size_t>(end - line)));
  if (lf == nullptr) return incomplete(end);
  return line_fits(lf) ? fail(400, reason) : too_long();
}

// This and parse_fields have one caller, `parse`, but exceed what the compiler inlines by itself.
[[gnu::always_inline]] inline ParseStatus RequestParser::parse_request_line(const char* end) noexcept {
  const char* p = base_ + line_;
  while (p < end && *p == '\r') {  // RFC 9112 2.2: empty lines before the request line
    if (end - p < 2) return incomplete(end);
    if (p[1] != '\n') return bad_line(end, head_error("bare CR before the request line"));
    if (++empty_lines_ > kMaxEmptyLines)
      return fail(400, head_error("too many empty lines before the request line"));
    p += 2;
    line_ = static_cast<std::uint32_t>(p - base_);
  }
  if (p == end) return incomplete(end);
  const char* method = p;
  if (end - p >= 4 && std::memcmp(p, "GET ", 4) == 0) {
    p += 3;
    method_ = Method::get;
  } else {
    if (!is_char(*p, kCharToken))
      return fail(400, head_error("invalid method"));  // at once: e.g. a TLS handshake
    while (p < end && is_char(*p, kCharToken)) ++p;
    if (p == end) return incomplete(end);
    if (*p != ' ') return bad_line(end, head_error("invalid method"));
    method_ = parse_method({method, static_cast<std::size_t>(p - method)});
  }
  method_text_ = slice(method, p);

  const char* target = ++p;
  const char* question = nullptr;
  while (true) {
    while (p < end && is_char(*p, kCharTarget)) ++p;
    if (p == end) return incomplete(end);
    if (*p == ' ') break;
    if (*p == '%') {
      for (int digit = 1; digit <= 2; ++digit) {
        if (p + digit == end) return incomplete(end);
        if (!is_char(p[digit], kCharHex))
          return bad_line(end, head_error("invalid percent-encoding in the target"));
      }
      if (p[1] == '0' && p[2] == '0') return bad_line(end, head_error("NUL in the target"));
      p += 3;
    } else if (*p == '?') {
      if (question == nullptr) question = p;
      ++p;
    } else if (*p == '\\' && question != nullptr) {
      ++p;
    } else {
      return bad_line(end,
                      *p == '\r' ? head_error("no HTTP version") : head_error("invalid byte in the target"));
    }
  }
  if (p == target) return bad_line(end, head_error("empty target"));
  const char* target_end = p++;

  const char* next = p + 10;
  if (end - p >= 10 && same_bytes(p, "HTTP/1.1\r\n", 10)) {
    minor_ = 1;
    if (!line_fits(next - 1)) return too_long();
  } else {
    const ParseStatus status = parse_slow_version(p, end, next);
    if (status != ParseStatus::complete) return status;
  }
  target_ = slice(target, target_end);
  path_ = slice(target, question == nullptr ? target_end : question);
  if (question != nullptr) query_ = slice(question + 1, target_end);
  if (*target != '/' || method_ == Method::connect) {
    const ParseStatus status = parse_target();
    if (status != ParseStatus::complete) return status;
  }
  line_ = scan_ = static_cast<std::uint32_t>(next - base_);
  stage_ = Stage::fields;
  return ParseStatus::complete;
}

// HTTP-version and CRLF at p, where they are not exactly "HTTP/1.1" CRLF or not there yet.
ParseStatus RequestParser::parse_slow_version(const char* p, const char* end, const char*& next) noexcept {
  const auto* lf = static_cast<const char*>(std::memchr(p, '\n', static_cast<std::size_t>(end - p)));
  if (lf == nullptr) return incomplete(end);
  if (!line_fits(lf)) return too_long();
  const std::string_view text(p, static_cast<std::size_t>(lf - p));
  if (text.empty() || text.back() != '\r') return fail(400, head_error("bare LF"));
  if (text.size() != 9 || !text.starts_with("HTTP/") || !is_char(text[5], kCharDigit) || text[6] != '.' ||
      !is_char(text[7], kCharDigit)) {
    return fail(400, head_error("malformed HTTP version"));
  }
  if (text[5] != '1') return fail(505, head_error("unsupported HTTP version"));
  minor_ = text[7] == '0' ? 0 : 1;
  next = lf + 1;
  return ParseStatus::complete;
}

// Every form of target but the origin form. The line is complete.
ParseStatus RequestParser::parse_target() noexcept {
  const std::string_view text = view(target_);
  if (method_ == Method::connect) {
    std::string_view host;
    std::string_view port;
    bool has_port = false;
    if (!split_host(text, host, port, has_port) || host.empty() || port.empty() || !is_valid_port(port)) {
      return fail(400, head_error("CONNECT needs host:port"));
    }
    form_ = TargetForm::authority;
    path_ = query_ = {};
    host_ = target_;
    return ParseStatus::complete;
  }
  if (text == "*") {
    if (method_ != Method::options) return fail(400, head_error("target * is for OPTIONS only"));
    form_ = TargetForm::asterisk;
    return ParseStatus::complete;
  }
  return parse_absolute_target();
}

ParseStatus RequestParser::parse_absolute_target() noexcept {
  const std::string_view text = view(target_);
  std::size_t start = 0;
  if (equals_ignore_case(text.substr(0, 7), "http://")) start = 7;
  if (equals_ignore_case(text.substr(0, 8), "https://")) start = 8;
  if (start == 0) return fail(400, head_error("invalid target"));
  const std::size_t authority_end = std::min(text.find_first_of("/?", start), text.size());
  const std::string_view authority = text.substr(start, authority_end - start);
  if (authority.empty() || !is_valid_host(authority))
    return fail(400, head_error("invalid authority in the target"));
  form_ = TargetForm::absolute;
  host_ = slice(authority.data(), authority.data() + authority.size());
  path_ = slice(text.data() + authority_end, base_ + path_.offset + path_.size);
  return ParseStatus::complete;
}

inline ParseStatus RequestParser::host_field(std::string_view value) noexcept {
  if (has(kHost)) return fail(400, head_error("more than one Host"));
  if (!is_valid_host(value)) return fail(400, head_error("invalid Host"));
  set(kHost);
  // RFC 9112 3.2.2: an absolute target overrides the field.
  if (form_ == TargetForm::origin || form_ == TargetForm::asterisk) {
    host_ = slice(value.data(), value.data() + value.size());
  }
  return ParseStatus::complete;
}

// Fields that decide where the message ends and what becomes of the connection.
inline ParseStatus RequestParser::known_field(const char* name, std::size_t name_size,
                                              std::string_view value) noexcept {
  switch (name_size) {
    case 4:
      if (is_name(name, "host")) return host_field(value);
      break;
    case 6:
      if (is_name(name, "expect")) {
        if (!equals_ignore_case(value, "100-continue")) return fail(417, head_error("unknown expectation"));
        set(kExpect);
      }
      break;
    case 10:
      if (is_name(name, "connection")) connection_field(value);
      break;
    case 14:
      if (is_name(name, "content-length")) return content_length_field(value);
      break;
    case 17:
      if (is_name(name, "transfer-encoding")) return transfer_encoding_field(value);
      break;
    default: break;
  }
  return ParseStatus::complete;
}

inline ParseStatus RequestParser::finish() noexcept {
  if (minor_ == 1) {
    if (!has(kHost)) return fail(400, head_error("no Host"));
    set(kKeepAlive);
  }
  if (has(kClose)) flags_ = static_cast<std::uint16_t>(flags_ & ~kKeepAlive);
  if (has(kTransferEncoding)) {  // RFC 9112 6.1, 6.3
    if (minor_ == 0) return fail(400, head_error("Transfer-Encoding in HTTP/1.0"));
    if (has(kContentLength)) return fail(400, head_error("Content-Length beside Transfer-Encoding"));
    if (!has(kChunked)) return fail(400, head_error("the last transfer coding is not chunked"));
    if (has(kUnknownCoding)) return fail(501, head_error("unknown transfer coding"));
  }
  stage_ = Stage::complete;
  return ParseStatus::complete;
}

// The field that nearly every request begins with, "Host: name" or "Host: name:port", in one go. What is not
// exactly that is left to parse_fields.
inline void RequestParser::parse_usual_host(const char* end) noexcept {
  constexpr std::string_view kName = "Host";
  constexpr std::string_view kStart = "Host: ";
  constexpr int kMaxDigits = 5;
  const char* const line = base_ + line_;
  if (end - line < 8 || std::memcmp(line, kStart.data(), kStart.size()) != 0) return;
  if (has(kHost) || form_ != TargetForm::origin) return;
  const char* const value = line + kStart.size();
  const char* p = skip_usual(base_, value, end);
  if (p != value && end - p > kMaxDigits + 2 && *p == ':') {
    const char* const last = ++p + kMaxDigits;
    unsigned port = 0;
    for (; p != last && is_char(*p, kCharDigit); ++p) port = port * 10 + static_cast<unsigned>(*p - '0');
    if (port > 65535) return;
  }
  if (end - p < 2 || p[0] != '\r' || p[1] != '\n' || !line_fits(p + 1)) return;
  const Slice name_slice = slice(line, line + kName.size());
  const Slice value_slice = slice(value, p);
  if (!headers_.add({name_slice.offset, name_slice.size, value_slice.offset, value_slice.size})) return;
  set(kHost);
  host_ = value_slice;
  line_ = scan_ = static_cast<std::uint32_t>(p + 2 - base_);
}

[[gnu::always_inline]] inline ParseStatus RequestParser::parse_fields(const char* end) noexcept {
  parse_usual_host(end);
  while (true) {
    const char* line = base_ + line_;
    if (line == end) return incomplete(end);
    if (*line == '\r') {
      if (end - line < 2) return incomplete(end);
      if (line[1] != '\n') return bad_line(end, head_error("bare CR"));
      line_ += 2;
      return finish();
    }
    const char* p = skip_token(base_, line, end);
    if (p == end) return incomplete(end);
    if (*p != ':' || p == line) {
      if (p == line && (*p == ' ' || *p == '\t')) return bad_line(end, head_error("obsolete line folding"));
      if (*p == ' ' || *p == '\t') return bad_line(end, head_error("whitespace before the colon"));
      return bad_line(end, *p == '\n'  ? head_error("bare LF")
                           : p == line ? head_error("empty field name")
                                       : head_error("invalid field name"));
    }
    const char* name_end = p++;
    while (p < end && (*p == ' ' || *p == '\t')) ++p;
    const char* value = p;
    p = skip_visible(base_, p, end);
    if (!is_line_end(p, end)) {
      p = skip_field_bytes(p, end);
      if (!is_line_end(p, end)) {
        if (p == end || (*p == '\r' && end - p < 2)) return incomplete(end);
        return bad_line(end, *p == '\r'   ? head_error("bare CR")
                             : *p == '\n' ? head_error("bare LF")
                                          : head_error("control byte in a field value"));
      }
    }
    if (p - line > limits_.max_readline) return too_long();
    const char* next = p + 2;
    while (p > value && (p[-1] == ' ' || p[-1] == '\t')) --p;

    const Slice name_slice = slice(line, name_end);
    const Slice value_slice = slice(value, p);
    if (!headers_.add({name_slice.offset, name_slice.size, value_slice.offset, value_slice.size})) {
      return fail(431, head_error("too many header fields"));
    }
    const ParseStatus status = known_field(line, name_slice.size, {value, value_slice.size});
    if (status != ParseStatus::complete) return status;
    line_ = static_cast<std::uint32_t>(next - base_);  // behind scan_
  }
}

ParseStatus RequestParser::content_length_field(std::string_view value) noexcept {
  if (has(kContentLength)) return fail(400, head_error("more than one Content-Length"));
  switch (parse_decimal(value, content_length_)) {
    case DecimalStatus::invalid: return fail(400, head_error("invalid Content-Length"));
    case DecimalStatus::overflow: return fail(413, head_error("Content-Length out of range"));
    case DecimalStatus::ok: break;
  }
  set(kContentLength);
  return ParseStatus::complete;
}

ParseStatus RequestParser::transfer_encoding_field(std::string_view value) noexcept {
  set(kTransferEncoding);
  std::size_t start = 0;
  while (start <= value.size()) {
    const std::size_t comma = std::min(value.find(',', start), value.size());
    const std::string_view coding = trim_ows(value.substr(start, comma - start));
    start = comma + 1;
    const std::string_view name = trim_ows(coding.substr(0, coding.find(';')));
    if (name.empty() || !all_chars(name, kCharToken))
      return fail(400, head_error("invalid Transfer-Encoding"));
    if (has(kChunked)) return fail(400, head_error("chunked is not the last transfer coding"));
    if (!equals_ignore_case(name, "chunked")) {
      set(kUnknownCoding);
    } else if (name.size() != coding.size()) {
      return fail(400, head_error("chunked has no parameters"));
    } else {
      set(kChunked);
    }
  }
  return ParseStatus::complete;
}

void RequestParser::connection_field(std::string_view value) noexcept {
  if (value.size() == 10 && is_name(value.data(), "keep-alive")) return set(kKeepAlive);
  for_each_element(value, [this](std::string_view option) {
    if (equals_ignore_case(option, "close")) set(kClose);
    if (equals_ignore_case(option, "keep-alive")) set(kKeepAlive);
    if (equals_ignore_case(option, "upgrade")) set(kUpgrade);
    return true;
  });
}

ParseStatus RequestParser::parse(std::string_view buffer) noexcept {
  set_base(buffer.data());
  if (stage_ == Stage::complete) return ParseStatus::complete;
  if (stage_ == Stage::error) return ParseStatus::error;
  const char* end = base_ + std::min<std::size_t>(buffer.size(), limits_.head_bytes);
  if (scan_ > line_) {
    // This line was begun before: wait for its end, then parse it in one go.
    const char* from = base_ + scan_;
    if (end <= from) return ParseStatus::need_more;
    if (std::memchr(from, '\n', static_cast<std::size_t>(end - from)) == nullptr) return incomplete(end);
  }
  if (stage_ == Stage::request_line) {
    const ParseStatus status = parse_request_line(end);
    if (status != ParseStatus::complete) return status;
  }
  return parse_fields(end);
}

}  // namespace microdot::inline MICRODOT_ABI
