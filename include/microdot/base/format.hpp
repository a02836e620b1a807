#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include <microdot/base/config.hpp>

/// Text from values, without heap and locale: the part of std::format that a device can afford.
///
///     char line[32];
///     std::size_t size = format_to(line, "{:>5.1f} °C, {} of {}", 21.5, used, total);
///
/// Fields are `{}` or `{:spec}`, taken in order; `{{` and `}}` stand for one brace. A spec is
/// `[[fill]align][0][width][.precision][type]`, with the meaning that std::format gives it:
/// - fill: any character but a brace; align: `<` left, `>` right (default of numbers and pointers), `^`
/// centre;
/// - `0`: zeros between the sign and the digits, where no align is given;
/// - width: least characters, up to 65534. Characters are UTF-8 code points (std::format: columns);
/// - precision: digits of a float (up to 99), most characters of a text;
/// - type: `d x X b o` for integers, bool and char, `c` for char, `f F e E g G` for floats, `s` for text and
/// bool,
///   `p` for pointers.
/// Left out: argument indexes, nested widths, sign, `#` and `L`. Every mistake is a compile error.
namespace microdot::inline MICRODOT_ABI {

/// How values of a type of your own are formatted: as a text of at most `max_size` bytes, which `make`
/// returns as a view of `out` or of static text. Specs are those of text.
///
///     template <> struct microdot::IntoText<Point> {
///       static constexpr std::size_t max_size = 24;
///       static std::string_view make(const Point& point, std::span<char, max_size> out) noexcept;
///     };
template <typename T>
struct IntoText;

/// The mistakes in a format text. Never defined: a compiler that names one of these refuses the text for it.
namespace format_error {
void too_few_arguments();                     // more fields than arguments
void too_many_arguments();                    // fewer fields than arguments
void unmatched_brace();                       // a lone { or }; a brace itself is written {{ or }}
void indexes_and_names_are_not_supported();   // {0}, {name}: arguments are taken in order
void nested_fields_are_not_supported();       // {:{}}
void sign_and_alternate_are_not_supported();  // {:+} {:-} {: } {:#}
void unexpected_character_in_spec();
void width_is_too_large();                     // above 65534
void precision_is_missing();                   // a dot without a number
void precision_is_too_large();                 // above 99 digits of a float, 65534 characters of a text
void type_does_not_fit_the_argument();         // {:x} of a text, {:s} of a number
void precision_is_only_for_floats_and_text();  // {:.2} of an integer
void zero_padding_is_only_for_numbers();       // {:05} of a text
}  // namespace format_error

namespace detail {

template <typename T>
concept HasIntoText = requires {
  IntoText<T>::max_size;
};

enum class FormatKind : std::uint8_t { unsupported, boolean, character, integer, floating, text, pointer };

template <typename T>
constexpr FormatKind format_kind() {
  if constexpr (std::is_same_v<T, bool>) {
    return FormatKind::boolean;
  } else if constexpr (std::is_same_v<T, char>) {
    return FormatKind::character;
  } else if constexpr (std::is_same_v<T, wchar_t> || std::is_same_v<T, char8_t> ||
                       std::is_same_v<T, char16_t> || std::is_same_v<T, char32_t>) {
    return FormatKind::unsupported;
  } else if constexpr (std::is_integral_v<T> && sizeof(T) <= sizeof(std::uint64_t)) {
    return FormatKind::integer;
  } else if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) {
    return FormatKind::floating;
  } else if constexpr (std::is_same_v<T, void*> || std::is_same_v<T, const void*> ||
                       std::is_same_v<T, std::nullptr_t>) {
    return FormatKind::pointer;
  } else if constexpr (HasIntoText<T> || std::is_convertible_v<const T&, std::string_view>) {
    return FormatKind::text;
  } else {
    return FormatKind::unsupported;
  }
}

struct FormatSpec {
  static constexpr std::uint16_t kNone = 0xffff;  // no precision; also what a too large number becomes

  std::string_view fill = " ";
  char align = 0;  // < > ^, 0 if not given
  bool zero = false;
  bool dot = false;  // a precision is given
  std::uint16_t width = 0;
  std::uint16_t precision = kNone;
  char type = 0;  // 0 if not given
};

constexpr bool is_format_align(char c) { return c == '<' || c == '>' || c == '^'; }
constexpr bool is_format_digit(char c) { return c >= '0' && c <= '9'; }

constexpr std::uint16_t parse_format_number(std::string_view text, std::size_t& at) {
  std::uint32_t number = 0;
  for (; at < text.size() && is_format_digit(text[at]); ++at) {
    number = number * 10 + static_cast<std::uint32_t>(text[at] - '0');
    if (number > FormatSpec::kNone) number = FormatSpec::kNone;
  }
  return static_cast<std::uint16_t>(number);
}

/// Reads a spec from text[at], behind the colon; at ends where the spec does: at `}` if it is right.
constexpr FormatSpec parse_format_spec(std::string_view text, std::size_t& at) {
  FormatSpec spec;
  const auto peek = [&](std::size_t ahead) { return at + ahead < text.size() ? text[at + ahead] : '\0'; };

  const auto lead = static_cast<unsigned char>(peek(0));
  const std::size_t fill = lead < 0xc0   ? 1
                           : lead < 0xe0 ? 2
                           : lead < 0xf0 ? 3
                                         : 4;  // bytes of its code point
  if (lead != '{' && lead != '}' && is_format_align(peek(fill))) {
    spec.fill = text.substr(at, fill);
    at += fill;
  }
  if (is_format_align(peek(0))) spec.align = text[at++];
  if (peek(0) == '0') {
    spec.zero = true;
    ++at;
  }
  spec.width = parse_format_number(text, at);
  if (peek(0) == '.') {
    ++at;
    spec.dot = true;
    if (is_format_digit(peek(0))) spec.precision = parse_format_number(text, at);
  }
  const char type = peek(0);
  if ((type >= 'a' && type <= 'z') || (type >= 'A' && type <= 'Z')) {
    spec.type = type;
    ++at;
  }
  return spec;
}

constexpr bool is_format_type(FormatKind kind, char type) {
  switch (kind) {
    case FormatKind::boolean: return std::string_view("sdxXbo").find(type) != std::string_view::npos;
    case FormatKind::character: return std::string_view("cdxXbo").find(type) != std::string_view::npos;
    case FormatKind::integer: return std::string_view("dxXbo").find(type) != std::string_view::npos;
    case FormatKind::floating: return std::string_view("fFeEgG").find(type) != std::string_view::npos;
    case FormatKind::text: return type == 's';
    case FormatKind::pointer: return type == 'p';
    case FormatKind::unsupported: break;  // a static_assert has said so
  }
  return true;
}

consteval void check_format_spec(std::string_view text, std::size_t& at, FormatKind kind) {
  const FormatSpec spec = parse_format_spec(text, at);
  if (at == text.size()) format_error::unmatched_brace();
  if (text[at] == '{') format_error::nested_fields_are_not_supported();
  if (text[at] != '}') {
    if (std::string_view("+- #").find(text[at]) != std::string_view::npos) {
      format_error::sign_and_alternate_are_not_supported();
    }
    format_error::unexpected_character_in_spec();
  }
  if (spec.type != 0 && !is_format_type(kind, spec.type)) format_error::type_does_not_fit_the_argument();
  if (spec.width == FormatSpec::kNone) format_error::width_is_too_large();
  if (spec.dot) {
    if (!is_format_digit(text[at - 1 - (spec.type != 0 ? 1 : 0)])) format_error::precision_is_missing();
    if (kind != FormatKind::floating && kind != FormatKind::text) {
      format_error::precision_is_only_for_floats_and_text();
    }
    if (spec.precision > (kind == FormatKind::floating ? 99 : FormatSpec::kNone - 1)) {
      format_error::precision_is_too_large();
    }
  }
  const bool number = kind == FormatKind::integer || kind == FormatKind::floating ||
                      (kind == FormatKind::boolean && spec.type != 0 && spec.type != 's') ||
                      (kind == FormatKind::character && spec.type != 0 && spec.type != 'c');
  if (spec.zero && !number) format_error::zero_padding_is_only_for_numbers();
}

consteval void check_format(std::string_view text, std::span<const FormatKind> kinds) {
  std::size_t used = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '{' && text[at] != '}') continue;
    const char next = at + 1 < text.size() ? text[at + 1] : '\0';
    if (next == text[at]) {
      ++at;
      continue;
    }
    if (text[at] == '}' || at + 1 == text.size()) format_error::unmatched_brace();
    ++at;
    if (next != '}' && next != ':') {
      if (text.find('}', at) == std::string_view::npos) format_error::unmatched_brace();
      format_error::indexes_and_names_are_not_supported();
    }
    if (used == kinds.size()) format_error::too_few_arguments();
    if (next == ':') check_format_spec(text, ++at, kinds[used]);
    ++used;
  }
  if (used < kinds.size()) format_error::too_many_arguments();
}

class FormatSink;

/// A value and the function that writes it. Programs link only the writers of the types that they format.
struct FormatArg {
  using Writer = void (*)(FormatSink&, const FormatArg&, const FormatSpec&);

  union {
    std::int64_t signed_value;
    std::uint64_t unsigned_value;
    const void* pointer;
    std::string_view text;
    float float_value;
    double double_value;
  };
  Writer write;

  constexpr FormatArg(std::int64_t value, Writer writer) noexcept : signed_value(value), write(writer) {}
  constexpr FormatArg(std::uint64_t value, Writer writer) noexcept : unsigned_value(value), write(writer) {}
  constexpr FormatArg(const void* value, Writer writer) noexcept : pointer(value), write(writer) {}
  constexpr FormatArg(std::string_view value, Writer writer) noexcept : text(value), write(writer) {}
  constexpr FormatArg(float value, Writer writer) noexcept : float_value(value), write(writer) {}
  constexpr FormatArg(double value, Writer writer) noexcept : double_value(value), write(writer) {}
};

void write_bool(FormatSink& sink, const FormatArg& arg, const FormatSpec& spec);
void write_char(FormatSink& sink, const FormatArg& arg, const FormatSpec& spec);
void write_signed(FormatSink& sink, const FormatArg& arg, const FormatSpec& spec);
void write_unsigned(FormatSink& sink, const FormatArg& arg, const FormatSpec& spec);
void write_float(FormatSink& sink, const FormatArg& arg, const FormatSpec& spec);
void write_double(FormatSink& sink, const FormatArg& arg, const FormatSpec& spec);
void write_text(FormatSink& sink, const FormatArg& arg, const FormatSpec& spec);
void write_pointer(FormatSink& sink, const FormatArg& arg, const FormatSpec& spec);

template <typename T>
void write_into_text(FormatSink& sink, const FormatArg& arg, const FormatSpec& spec) {
  char out[IntoText<T>::max_size];
  write_text(sink, {IntoText<T>::make(*static_cast<const T*>(arg.pointer), out), write_text}, spec);
}

template <typename T>
FormatArg make_format_arg(const T& value) {
  constexpr FormatKind kKind = format_kind<T>();
  if constexpr (HasIntoText<T>) {
    return {static_cast<const void*>(&value), write_into_text<T>};
  } else if constexpr (kKind == FormatKind::boolean) {
    return {static_cast<std::uint64_t>(value), write_bool};
  } else if constexpr (kKind == FormatKind::character) {
    return {static_cast<std::int64_t>(value), write_char};
  } else if constexpr (kKind == FormatKind::integer && std::is_signed_v<T>) {
    return {static_cast<std::int64_t>(value), write_signed};
  } else if constexpr (kKind == FormatKind::integer) {
    return {static_cast<std::uint64_t>(value), write_unsigned};
  } else if constexpr (std::is_same_v<T, float>) {
    return {value, write_float};
  } else if constexpr (std::is_same_v<T, double>) {
    return {value, write_double};
  } else if constexpr (kKind == FormatKind::pointer) {
    return {static_cast<const void*>(value), write_pointer};
  } else if constexpr (std::is_pointer_v<T>) {  // of char; null is shown, not followed
    return {value == nullptr ? std::string_view("(null)") : std::string_view(value), write_text};
  } else {
    return {static_cast<std::string_view>(value), write_text};
  }
}

std::size_t vformat_to(std::span<char> out, std::string_view format, const FormatArg* args) noexcept;

}  // namespace detail

/// A format text that was checked at compile time against the types of its arguments. It views the literal it
/// was made of. Mistakes are compile errors that name one of `format_error`.
template <typename... Args>
class BasicFormatString {
  static_assert(
      ((detail::format_kind<Args>() != detail::FormatKind::unsupported) && ...),
      "format: an argument has a type that cannot be formatted; integers, bool, char, float, double, void*, "
      "const char*, what converts to std::string_view and what has an IntoText can");

 public:
  template <std::size_t N>
  consteval BasicFormatString(const char (&text)[N]) : text_(text, N - 1) {
    const detail::FormatKind kinds[] = {detail::format_kind<Args>()..., detail::FormatKind::unsupported};
    detail::check_format(text_, std::span(kinds).first(sizeof...(Args)));
  }

  /// The text as it was written, with its fields.
  constexpr std::string_view get() const noexcept { return text_; }

 private:
  std::string_view text_;
};

/// What functions that format take, like std::format_string: `void log(FormatString<Args...>, const
/// Args&...)`.
template <typename... Args>
using FormatString = BasicFormatString<std::type_identity_t<Args>...>;

/// Writes the text with its fields replaced by the arguments.
///
/// `out` gets the bytes that fit, without a terminator; a cut may fall inside a UTF-8 character. Returns the
/// bytes of the whole text: more than `out.size()` if it was cut, so an empty `out` measures. Never fails.
/// Arguments may not lie in `out`. A null `const char*` is written as `(null)`.
///
///     char buffer[16];
///     const std::size_t size = format_to(buffer, "{:02}:{:02}", 7, 5);   // 07:05
template <typename... Args>
std::size_t format_to(std::span<char> out, FormatString<Args...> format, const Args&... args) noexcept {
  if constexpr (sizeof...(Args) == 0) {
    return detail::vformat_to(out, format.get(), nullptr);
  } else {
    const detail::FormatArg list[] = {detail::make_format_arg<Args>(args)...};
    return detail::vformat_to(out, format.get(), list);
  }
}

}  // namespace microdot::inline MICRODOT_ABI
