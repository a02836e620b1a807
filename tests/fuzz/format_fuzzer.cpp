// What `format_to` writes is what printf and std::to_chars write, padded; and however little room there is,
// it writes the front of that and says how long the whole is.
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include <microdot/base/format.hpp>

#include "fuzz.hpp"

using namespace microdot;
using fuzz::require;

namespace {

bool starts_code_point(char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }

std::size_t code_points(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), starts_code_point));
}

struct Spec {
  std::string_view fill;
  char align = 0;
  bool zero = false;
  unsigned width = 0;
  int precision = -1;
  char type = 0;

  std::string text() const {
    std::string out = "{";
    out += ':';
    if (align != 0) out.append(fill) += align;
    if (zero) out += '0';
    if (width != 0) out += std::to_string(width);
    if (precision >= 0) out.append(".").append(std::to_string(precision));
    if (type != 0) out += type;
    return out + "}";
  }
  std::string pad(std::string text, char usual) const {
    const std::size_t size = code_points(text);
    if (size >= width) return text;
    const std::size_t room = width - size;
    if (zero && align == 0 && text.find_first_of("nN") == text.npos) {
      return text.insert(text.starts_with('-') ? 1 : 0, room, '0');
    }
    const char where = align != 0 ? align : usual;
    const std::size_t before = where == '<' ? 0 : where == '>' ? room : room / 2;
    std::string out;
    for (std::size_t i = 0; i < before; ++i) out += fill.empty() ? " " : fill;
    out += text;
    for (std::size_t i = before; i < room; ++i) out += fill.empty() ? " " : fill;
    return out;
  }
};

Spec any_spec(fuzz::Input& input, std::string_view types, bool padded_by_zeros, int most_precision) {
  Spec spec;
  constexpr std::string_view kFills[] = {" ", "*", "0", "\u00e9", "\u20ac", "\U0001f600", "<", "."};
  const std::uint8_t how = input.byte();
  spec.align = "\0<>^"[how & 3];
  spec.fill = spec.align != 0 ? input.pick(kFills) : std::string_view{};
  spec.zero = padded_by_zeros && (how & 4) != 0;
  if ((how & 8) != 0) spec.width = input.byte();
  if ((how & 16) != 0 && most_precision >= 0)
    spec.precision = std::min(static_cast<int>(input.byte()), most_precision);
  if ((how & 32) != 0 && !types.empty()) spec.type = types[input.byte() % types.size()];
  return spec;
}

/// In all of the room, and in less.
void check(const Spec& spec, const detail::FormatArg& arg, const std::string& expected, std::size_t room) {
  const std::string format = "{{" + spec.text() + "}}";
  const std::string whole = "{" + expected + "}";
  std::string out(whole.size(), '\0');
  require(detail::vformat_to(out, format, &arg) == whole.size());
  require(out == whole);
  std::string cut(std::min(room, whole.size()), '\0');
  require(detail::vformat_to(cut, format, &arg) == whole.size());
  require(cut == whole.substr(0, cut.size()));
}

std::string integer_text(std::uint64_t magnitude, bool negative, char type) {
  char buffer[64];
  const int base = type == 'b' ? 2 : type == 'o' ? 8 : type == 'x' || type == 'X' ? 16 : 10;
  char* const end = std::to_chars(buffer, buffer + sizeof buffer, magnitude, base).ptr;
  std::string text(buffer, end);
  if (type == 'X')
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return negative ? "-" + text : text;
}

template <typename Float>
std::string float_text(Float value, const Spec& spec) {
  char buffer[1024];
  if (spec.type == 0 && spec.precision < 0) {
    return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
  }
  const char format[] = {'%', '.', '*', spec.type != 0 ? spec.type : 'g', '\0'};
  const int size = std::snprintf(buffer, sizeof buffer, format, spec.precision < 0 ? 6 : spec.precision,
                                 static_cast<double>(value));
  return {buffer, static_cast<std::size_t>(size)};
}

template <typename Float>
void check_float(fuzz::Input& input, Float value, std::size_t room) {
  const Spec spec = any_spec(input, "fFeEgG", true, 99);
  std::string text = float_text(std::abs(value), spec);
  if (std::signbit(value)) text.insert(0, "-");
  check(spec, detail::make_format_arg(value), spec.pad(text, '>'), room);
  if (spec.type != 0 || spec.precision >= 0 || !std::isfinite(value)) return;
  Float back{};
  std::from_chars(text.data(), text.data() + text.size(), back);
  require(std::bit_cast<std::array<char, sizeof value>>(back) ==
          std::bit_cast<std::array<char, sizeof value>>(value));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::uint8_t what = input.byte();
  const std::size_t room = input.byte();
  switch (what % 6) {
    case 0: {
      const auto value = static_cast<std::int64_t>(input.number());
      const auto bits = static_cast<std::uint64_t>(value);
      const Spec spec = any_spec(input, "dxXbo", true, -1);
      check(spec, detail::make_format_arg(value),
            spec.pad(integer_text(value < 0 ? 0 - bits : bits, value < 0, spec.type), '>'), room);
      break;
    }
    case 1: {
      const std::uint64_t value = input.number();
      const Spec spec = any_spec(input, "dxXbo", true, -1);
      check(spec, detail::make_format_arg(value), spec.pad(integer_text(value, false, spec.type), '>'), room);
      break;
    }
    case 2: check_float(input, std::bit_cast<double>(input.number()), room); break;
    case 3: check_float(input, std::bit_cast<float>(static_cast<std::uint32_t>(input.number())), room); break;
    case 4: {
      const Spec spec = any_spec(input, "s", false, 255);
      const std::string_view text = input.rest();
      std::size_t kept = 0;
      for (int left = spec.precision; kept < text.size(); ++kept) {
        if (spec.precision >= 0 && starts_code_point(text[kept]) && left-- == 0) break;
      }
      check(spec, detail::make_format_arg(text), spec.pad(std::string(text.substr(0, kept)), '<'), room);
      break;
    }
    default: {
      const bool value = input.flag();
      const Spec spec = any_spec(input, "s", false, -1);
      check(spec, detail::make_format_arg(value), spec.pad(value ? "true" : "false", '<'), room);
    }
  }
  return 0;
}
