#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include <microdot/base/format.hpp>
#include <microdot/base/text.hpp>

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
    char decimal[kMaxDecimal];
    const std::size_t size = write_decimal(decimal, magnitude);
    at -= size;
    std::memcpy(at, decimal, size);
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

/// A finite float or double without its sign: mantissa * 2^exponent.
struct Binary {
  std::uint64_t mantissa;
  int exponent;
  bool least;  // of its exponent: the value below is half as far as the one above
};

template <typename Float>
Binary binary(Float value) {
  using Bits = std::conditional_t<sizeof(Float) == 4, std::uint32_t, std::uint64_t>;
  constexpr int kFraction = std::numeric_limits<Float>::digits - 1;
  const Bits bits = std::bit_cast<Bits>(value) & (static_cast<Bits>(~Bits{0}) >> 1);
  const Bits fraction = bits & ((Bits{1} << kFraction) - 1);
  const int exponent = static_cast<int>(bits >> kFraction);
  constexpr int kBias = std::numeric_limits<Float>::max_exponent - 1 + kFraction;
  if (exponent == 0) return {fraction, 1 - kBias, false};  // subnormal
  return {fraction | (Bits{1} << kFraction), exponent - kBias, fraction == 0 && exponent > 1};
}

/// The exact decimal digits of a finite double, nine in a limb. std::to_chars with a precision finds them
/// faster, by 110 KB of tables: more than some devices have.
class Decimal {
 public:
  Decimal(std::uint64_t mantissa, int exponent) { assign(mantissa, exponent); }

  void assign(std::uint64_t mantissa, int exponent) {
    for (; exponent < 0 && mantissa != 0 && mantissa % 2 == 0; ++exponent) mantissa /= 2;
    if (mantissa == 0) exponent = 0;

    first_ = kUnits - 1;
    last_ = kUnits;
    limbs_[first_] = static_cast<std::uint32_t>(mantissa / kLimb);
    limbs_[last_] = static_cast<std::uint32_t>(mantissa % kLimb);
    for (int left = exponent; left > 0; left -= 29) multiply(left < 29 ? left : 29);
    for (int left = -exponent; left > 0; left -= 9) divide(left < 9 ? left : 9);
  }

  /// The digit at a place: 0 is the first one behind the point, -1 the units.
  int digit(int place) const {
    const int index = (kUnits + 1) * 9 + place;
    const int limb = index / 9;
    if (limb < first_ || limb > last_) return 0;
    std::uint32_t rest = limbs_[limb];
    for (int i = index % 9; i < 8; ++i) rest /= 10;
    return static_cast<int>(rest % 10);
  }

  /// The place of the first digit that is not 0; the units of 0.
  int leading() const {
    int limb = first_;
    while (limb <= last_ && limbs_[limb] == 0) ++limb;
    if (limb > last_) return -1;
    int place = (limb - kUnits - 1) * 9;
    while (digit(place) == 0) ++place;
    return place;
  }

  /// Whether there is a digit that is not 0 from a place on.
  bool any(int from) const {
    const int end = (last_ - kUnits) * 9;
    while (from < end && digit(from) == 0) ++from;
    return from < end;
  }

  /// Writes the count >= 1 digits from a place on, rounded to nearest, ties to even. True if that carried
  /// into a new first digit, at out[-1].
  bool round(char* out, int from, int count) const {
    for (int i = 0; i < count; ++i) out[i] = static_cast<char>('0' + digit(from + i));
    const int next = digit(from + count);
    const bool odd = (out[count - 1] - '0') % 2 != 0;
    const bool up = next > 5 || (next == 5 && (odd || any(from + count + 1)));
    if (!up) return false;
    while (count != 0 && out[count - 1] == '9') out[--count] = '0';
    if (count != 0) {
      ++out[count - 1];
      return false;
    }
    out[-1] = '1';
    return true;
  }

 private:
  static constexpr std::uint32_t kLimb = 1000000000;
  static constexpr int kUnits = 34;      // the limb before the point; DBL_MAX has 309 digits
  static constexpr int kFraction = 120;  // the limbs behind it; the least double has 1074 digits

  void multiply(int shift) {  // by 2^shift, shift <= 29, so that the carry is a limb
    std::uint32_t carry = 0;
    for (int i = last_; i >= first_; --i) {
      const std::uint64_t product = (std::uint64_t{limbs_[i]} << shift) + carry;
      limbs_[i] = static_cast<std::uint32_t>(product % kLimb);
      carry = static_cast<std::uint32_t>(product / kLimb);
    }
    if (carry != 0) limbs_[--first_] = carry;
  }
  void divide(int shift) {  // by 2^shift, shift <= 9, so that it divides kLimb
    std::uint32_t carry = 0;
    for (int i = first_; i <= last_; ++i) {
      const std::uint32_t limb = limbs_[i];
      limbs_[i] = (limb >> shift) + carry;
      carry = (kLimb >> shift) * (limb & ((1u << shift) - 1));
    }
    if (carry != 0) limbs_[++last_] = carry;
    while (first_ < last_ && limbs_[first_] == 0) ++first_;
  }

  std::uint32_t limbs_[kUnits + 1 + kFraction];  // from first_ to last_; all others are 0
  int first_;
  int last_;
};

/// A number being laid out, in the longest text's room: -DBL_MAX as {:.99f}, with a carry.
struct FloatText {
  char buffer[2 + 309 + 1 + 99];
  char* begin = buffer + 2;  // behind the room for sign and carry
  char* end = begin;

  void insert(std::ptrdiff_t at, std::string_view text) {
    std::memmove(begin + at + text.size(), begin + at, static_cast<std::size_t>(end - begin - at));
    std::memcpy(begin + at, text.data(), text.size());
    end += text.size();
  }
  void append_exponent(int exponent, char letter) {
    *end++ = letter;
    *end++ = exponent < 0 ? '-' : '+';
    const int size = exponent < 0 ? -exponent : exponent;
    if (size >= 100) *end++ = static_cast<char>('0' + size / 100);
    *end++ = static_cast<char>('0' + size / 10 % 10);
    *end++ = static_cast<char>('0' + size % 10);
  }
};

/// Puts the point into digits of which the first counts 10^exponent.
void lay_out(FloatText& text, int exponent, bool plain, bool upper) {
  const int whole = plain ? exponent + 1 : 1;
  if (whole < 1) {
    text.insert(0, std::string_view("0.000").substr(0, static_cast<std::size_t>(1 - exponent)));
  } else if (text.end - text.begin > whole) {
    text.insert(whole, ".");
  }
  if (!plain) text.append_exponent(exponent, upper ? 'E' : 'e');
}

void strip_zeros(FloatText& text, std::ptrdiff_t keep) {
  while (text.end - text.begin > keep && text.end[-1] == '0') --text.end;
}

/// With a precision, as printf's f, e and g.
void lay_out_precise(FloatText& text, double value, const FormatSpec& spec) {
  const Binary parts = binary(value);
  const Decimal decimal(parts.mantissa, parts.exponent);
  const bool fixed = spec.type == 'f' || spec.type == 'F';
  const bool scientific = spec.type == 'e' || spec.type == 'E';
  int precision = spec.dot ? spec.precision : 6;
  if (!fixed && !scientific && precision == 0) precision = 1;  // of {:g}: all digits, at least one

  int from = decimal.leading();
  if (fixed && from > -1) from = -1;
  const int count = fixed ? precision - from : scientific ? precision + 1 : precision;
  text.end = text.begin + count;
  int exponent = -1 - from;
  if (decimal.round(text.begin, from, count)) {
    --text.begin;
    ++exponent;
    if (!fixed) --text.end;  // as many digits as before
  }
  const bool general = !fixed && !scientific;
  const bool plain = fixed || (general && exponent >= -4 && exponent < precision);
  if (general) strip_zeros(text, plain && exponent > 0 ? exponent + 1 : 1);
  lay_out(text, exponent, plain, spec.type >= 'A' && spec.type <= 'Z');
}

/// The first digits of a number, and whether others follow.
struct Prefix {
  static constexpr int kDigits =
      18;  // 17 tell all values apart; one more, for a place that is 0 in some of them

  std::uint64_t digits = 0;
  bool more;

  Prefix(const Decimal& decimal, int from) : more(decimal.any(from + kDigits)) {
    for (int i = 0; i < kDigits; ++i) digits = digits * 10 + static_cast<unsigned>(decimal.digit(from + i));
  }
};

/// The least digits that read back as the same value, the nearest to it of these; plain if that is not
/// longer.
void lay_out_shortest(FloatText& text, const Binary& parts) {
  // All between low and high reads back as the value; low and high themselves if it is even.
  const std::uint64_t quarters = parts.mantissa * 4;
  Decimal decimal(quarters + 2, parts.exponent - 2);
  const int from = decimal.leading();
  const Prefix high(decimal, from);
  decimal.assign(quarters - (parts.least ? 1 : 2), parts.exponent - 2);
  const Prefix low(decimal, from);
  decimal.assign(parts.mantissa, parts.exponent);
  const Prefix exact(decimal, from);
  const bool even = parts.mantissa % 2 == 0;
  const auto reads_back = [&](std::uint64_t digits) {
    return (digits > low.digits || (digits == low.digits && even && !low.more)) &&
           (digits < high.digits || (digits == high.digits && (even || high.more)));
  };

  std::uint64_t shortest = 0;
  for (std::uint64_t unit = 100000000000000000; unit != 0; unit /= 10) {
    const std::uint64_t down = exact.digits / unit * unit;
    const std::uint64_t up = down + unit;
    const std::uint64_t rest = exact.digits - down;
    const bool tie = rest * 2 == unit && !exact.more;
    const bool nearer_up = tie ? down / unit % 2 != 0 : rest * 2 >= unit;
    shortest = nearer_up ? up : down;
    if (reads_back(shortest)) break;
    shortest = nearer_up ? down : up;
    if (reads_back(shortest)) break;
  }

  int exponent = -1 - from - Prefix::kDigits;
  char digits[20];
  char* at = digits + sizeof digits;
  for (; shortest != 0; shortest /= 10, ++exponent) *--at = static_cast<char>('0' + shortest % 10);
  text.insert(0, {at, static_cast<std::size_t>(digits + sizeof digits - at)});
  strip_zeros(text, 1);

  const int count = static_cast<int>(text.end - text.begin);
  const int plain_size = exponent < 0           ? count + 1 - exponent
                         : exponent < count - 1 ? count + 1
                                                : exponent + 1;
  const int size = count + (count > 1) + (exponent > -100 && exponent < 100 ? 4 : 5);
  const bool plain = plain_size <= size;
  if (plain && exponent >= count) {  // a whole number with digits to spare: all of them
    text.end = text.begin + exponent + 1;
    decimal.round(text.begin, -1 - exponent, exponent + 1);
  }
  lay_out(text, exponent, plain, false);
}

template <typename Float>
void write_floating(FormatSink& sink, Float value, const FormatSpec& spec) {
  FloatText text;
  if (!std::isfinite(value)) {
    const bool upper = spec.type >= 'A' && spec.type <= 'Z';
    text.insert(0, std::isnan(value) ? (upper ? "NAN" : "nan") : (upper ? "INF" : "inf"));
  } else if (spec.type != 0 || spec.dot) {
    lay_out_precise(text, static_cast<double>(value), spec);
  } else if (value == 0) {
    text.insert(0, "0");
  } else {
    lay_out_shortest(text, binary(value));
  }
  if (std::signbit(value)) *--text.begin = '-';
  write_float_text(sink, {text.begin, static_cast<std::size_t>(text.end - text.begin)}, spec);
}

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
  write_floating(sink, arg.float_value, spec);
}

void write_double(FormatSink& sink, const FormatArg& arg, const FormatSpec& spec) {
  write_floating(sink, arg.double_value, spec);
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
