#include <charconv>
#include <cstring>
#include <limits>

#include <microdot/base/format.hpp>

namespace microdot::inline MICRODOT_ABI {
namespace detail {

/// Takes the bytes of the text one after the other, keeps those that fit and counts all.
class FormatSink {
 public:
  explicit FormatSink(std::span<char> out) noexcept : out_(out) {}

  void put(std::string_view text) noexcept {
    if (size_ < out_.size()) {
      const std::size_t room = out_.size() - size_;
      const std::size_t fits = text.size() < room ? text.size() : room;
      if (fits != 0) std::memcpy(out_.data() + size_, text.data(), fits);
    }
    size_ += text.size();
  }
  void fill(std::size_t count, std::string_view text) noexcept {
    for (; count != 0; --count) put(text);
  }
  std::size_t size() const noexcept { return size_; }

 private:
  std::span<char> out_;
  std::size_t size_ = 0;
};

namespace {

bool starts_code_point(char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }

void write_aligned(FormatSink& sink, std::string_view text, const FormatSpec& spec, char default_align) {
  std::size_t width = 0;
  for (const char c : text) width += starts_code_point(c);
  const std::size_t room = spec.width > width ? spec.width - width : 0;
  const char align = spec.align != 0 ? spec.align : default_align;
  const std::size_t before = align == '<' ? 0 : align == '>' ? room : room / 2;
  sink.fill(before, spec.fill);
  sink.put(text);
  sink.fill(room - before, spec.fill);
}

/// Digits with an optional sign.
void write_number(FormatSink& sink, std::string_view text, const FormatSpec& spec) {
  if (!spec.zero || spec.align != 0) return write_aligned(sink, text, spec, '>');
  const std::size_t sign = text.front() == '-' ? 1 : 0;
  sink.put(text.substr(0, sign));
  if (spec.width > text.size()) sink.fill(spec.width - text.size(), "0");
  sink.put(text.substr(sign));
}

void write_integer(FormatSink& sink, std::uint64_t magnitude, bool negative, const FormatSpec& spec) {
  char buffer[1 + 64];  // the sign and binary digits
  char* const end = buffer + sizeof buffer;
  char* at = end;
  const unsigned shift = spec.type == 'b'                       ? 1
                         : spec.type == 'o'                     ? 3
                         : spec.type == 'x' || spec.type == 'X' ? 4
                                                                : 0;
  if (shift == 0) {
    do {
      *--at = static_cast<char>('0' + magnitude % 10);
      magnitude /= 10;
    } while (magnitude != 0);
  } else {
    const char* const digits = spec.type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    do {
      *--at = digits[magnitude & ((1u << shift) - 1)];
      magnitude >>= shift;
    } while (magnitude != 0);
  }
  if (negative) *--at = '-';
  write_number(sink, {at, static_cast<std::size_t>(end - at)}, spec);
}

void write_float_text(FormatSink& sink, std::string_view text, const FormatSpec& spec) {
  const char last = text.back();
  if (last >= '0' && last <= '9') return write_number(sink, text, spec);
  write_aligned(sink, text, spec, '>');  // inf and nan take no zeros
}

/// The least digits that read back as the same value of this type.
template <typename Float>
void write_shortest(FormatSink& sink, Float value, const FormatSpec& spec) {
  char buffer[32];
  const char* const end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  write_float_text(sink, {buffer, static_cast<std::size_t>(end - buffer)}, spec);
}

void write_precise(FormatSink& sink, double value, const FormatSpec& spec) {
  // The longest text: -DBL_MAX as {:.99f}, which is the sign, 309 digits, the point and 99 digits.
  char buffer[1 + std::numeric_limits<double>::max_exponent10 + 1 + 1 + 99];
  const char type = static_cast<char>(spec.type | 0x20);
  const std::chars_format format = type == 'f'   ? std::chars_format::fixed
                                   : type == 'e' ? std::chars_format::scientific
                                                 : std::chars_format::general;
  char* const end =
      std::to_chars(buffer, buffer + sizeof buffer, value, format, spec.dot ? spec.precision : 6).ptr;
  if (spec.type >= 'A' && spec.type <= 'Z') {
    for (char* at = buffer; at != end; ++at) {
      if (*at >= 'a' && *at <= 'z') *at = static_cast<char>(*at - 'a' + 'A');
    }
  }
  write_float_text(sink, {buffer, static_cast<std::size_t>(end - buffer)}, spec);
}

bool is_shortest(const FormatSpec& spec) { return spec.type == 0 && !spec.dot; }

}  // namespace

void write_bool(FormatSink& sink, const FormatArg& arg, const FormatSpec& spec) {
  if (spec.type != 0 && spec.type != 's') return write_integer(sink, arg.unsigned_value, false, spec);
  write_aligned(sink, arg.unsigned_value != 0 ? "true" : "false", spec, '<');
}

void write_char(FormatSink& sink, const FormatArg& arg, const FormatSpec& spec) {
  if (spec.type != 0 && spec.type != 'c') return write_signed(sink, arg, spec);
  const char value = static_cast<char>(arg.signed_value);
  write_aligned(sink, {&value, 1}, spec, '<');
}

void write_signed(FormatSink& sink, const FormatArg& arg, const FormatSpec& spec) {
  const bool negative = arg.signed_value < 0;
  const auto bits = static_cast<std::uint64_t>(arg.signed_value);
  write_integer(sink, negative ? 0 - bits : bits, negative, spec);  // unsigned, for the least value
}

void write_unsigned(FormatSink& sink, const FormatArg& arg, const FormatSpec& spec) {
  write_integer(sink, arg.unsigned_value, false, spec);
}

void write_float(FormatSink& sink, const FormatArg& arg, const FormatSpec& spec) {
  if (is_shortest(spec)) return write_shortest(sink, arg.float_value, spec);
  write_precise(sink, static_cast<double>(arg.float_value), spec);
}

void write_double(FormatSink& sink, const FormatArg& arg, const FormatSpec& spec) {
  if (is_shortest(spec)) return write_shortest(sink, arg.double_value, spec);
  write_precise(sink, arg.double_value, spec);
}

void write_text(FormatSink& sink, const FormatArg& arg, const FormatSpec& spec) {
  std::string_view text = arg.text;
  if (spec.dot) {
    std::size_t left = spec.precision;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (starts_code_point(text[i]) && left-- == 0) {
        text = text.substr(0, i);
        break;
      }
    }
  }
  write_aligned(sink, text, spec, '<');
}

void write_pointer(FormatSink& sink, const FormatArg& arg, const FormatSpec& spec) {
  char buffer[2 + 2 * sizeof(void*)] = {'0', 'x'};
  const std::to_chars_result end =
      std::to_chars(buffer + 2, buffer + sizeof buffer, reinterpret_cast<std::uintptr_t>(arg.pointer), 16);
  write_aligned(sink, {buffer, static_cast<std::size_t>(end.ptr - buffer)}, spec, '>');
}

std::size_t vformat_to(std::span<char> out, std::string_view format, const FormatArg* args) noexcept {
  FormatSink sink(out);
  std::size_t plain = 0;  // where the text begins that is to be copied
  for (std::size_t at = 0; at < format.size(); ++at) {
    if (format[at] != '{' && format[at] != '}') continue;
    sink.put(format.substr(plain, at - plain));
    ++at;  // the text was checked: here is the same brace again, or a field goes on
    if (format[at] == format[at - 1]) {
      plain = at;
      continue;
    }
    FormatSpec spec;
    if (format[at] == ':') spec = parse_format_spec(format, ++at);
    args->write(sink, *args, spec);
    ++args;
    plain = at + 1;
  }
  sink.put(format.substr(plain));
  return sink.size();
}

}  // namespace detail
}  // namespace microdot::inline MICRODOT_ABI
