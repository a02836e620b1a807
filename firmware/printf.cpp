// printf for the UART: newlib's own would bring its files and a heap. All but floating point and %n; a stream
// is the UART, whichever it is.
#include <algorithm>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "board_config.hpp"

namespace firmware {
namespace {

struct Field {
  bool left = false;
  bool zeros = false;
  int width = 0;
  int precision = -1;
  int longs = 0;
};

int put(std::string_view text) noexcept {
  board::Uart::write(text);
  return static_cast<int>(text.size());
}

int put_padded(const Field& field, std::string_view text) noexcept {
  int written = 0;
  const auto fill = [&](std::string_view with) {
    for (int left = field.width - static_cast<int>(text.size()); left > 0; --left) written += put(with);
  };
  if (!field.left) fill(" ");
  written += put(text);
  if (field.left) fill(" ");
  return written;
}

int put_number(const Field& field, std::uint64_t number, bool negative, unsigned base,
               const char* digits) noexcept {
  char text[32];
  char* at = text + sizeof text;
  const auto length = [&] { return static_cast<int>(text + sizeof text - at); };
  for (; number != 0; number /= base) *--at = digits[number % base];
  const int least = field.precision >= 0 ? field.precision
                    : field.zeros        ? field.width - (negative ? 1 : 0)
                                         : 1;
  while (length() < std::min(least, 30)) *--at = '0';
  if (negative) *--at = '-';
  return put_padded(field, {at, static_cast<std::size_t>(length())});
}

// The digits of a field's width or precision, or its argument.
int take_number(const char*& at, std::va_list& arguments) noexcept {
  if (*at == '*') return ++at, va_arg(arguments, int);
  int number = 0;
  while (*at >= '0' && *at <= '9') number = number * 10 + (*at++ - '0');
  return number;
}

int print_field(const char*& at, std::va_list& arguments) noexcept {
  const char* const begin = at;
  Field field;
  for (; std::strchr("-0+ #", *at) != nullptr && *at != '\0'; ++at) {
    field.left |= *at == '-';
    field.zeros |= *at == '0';
  }
  field.width = take_number(at, arguments);
  if (*at == '.') field.precision = take_number(++at, arguments);
  for (; std::strchr("hlzjt", *at) != nullptr && *at != '\0'; ++at)
    field.longs += *at == 'l' ? 1 : *at == 'j' ? 2 : 0;  // size_t and long are as wide as int

  const auto next_unsigned = [&]() -> std::uint64_t {
    return field.longs > 1 ? va_arg(arguments, std::uint64_t) : va_arg(arguments, unsigned);
  };
  switch (*at++) {
    case 'd':
    case 'i': {
      const std::int64_t number = field.longs > 1 ? va_arg(arguments, std::int64_t) : va_arg(arguments, int);
      const auto bits = static_cast<std::uint64_t>(number);
      return put_number(field, number < 0 ? 0 - bits : bits, number < 0, 10, "0123456789");
    }
    case 'u': return put_number(field, next_unsigned(), false, 10, "0123456789");
    case 'x': return put_number(field, next_unsigned(), false, 16, "0123456789abcdef");
    case 'X': return put_number(field, next_unsigned(), false, 16, "0123456789ABCDEF");
    case 'p': return put_number(field, va_arg(arguments, std::uintptr_t), false, 16, "0123456789abcdef");
    case 'c': {
      const char letter = static_cast<char>(va_arg(arguments, int));
      return put_padded(field, {&letter, 1});
    }
    case 's': {
      const char* const text = va_arg(arguments, const char*);
      const std::size_t most = field.precision < 0 ? SIZE_MAX : static_cast<std::size_t>(field.precision);
      std::size_t size = 0;
      while (size < most && text[size] != '\0') ++size;
      return put_padded(field, {text, size});
    }
    case '%': return put("%");
    case '\0': --at; return 0;
    default: return put({begin - 1, static_cast<std::size_t>(at - begin + 1)});  // as it was written
  }
}

}  // namespace

extern "C" {

int vprintf(const char* format, std::va_list given) {
  std::va_list arguments;
  va_copy(arguments, given);
  int written = 0;
  while (*format != '\0') {
    const std::size_t plain = std::strcspn(format, "%");
    written += put({format, plain});
    format += plain;
    if (*format == '%') written += print_field(++format, arguments);
  }
  va_end(arguments);
  return written;
}

int printf(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  const int written = vprintf(format, arguments);
  va_end(arguments);
  return written;
}

int fprintf(std::FILE*, const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  const int written = vprintf(format, arguments);
  va_end(arguments);
  return written;
}

int puts(const char* line) { return put(line) + put("\n"); }
int putchar(int letter) {
  const char text = static_cast<char>(letter);
  return put({&text, 1}), letter;
}
// What the compiler makes of simple calls of fprintf.
std::size_t fwrite(const void* text, std::size_t size, std::size_t count, std::FILE*) {
  return put({static_cast<const char*>(text), size * count}), count;
}
int fputc(int letter, std::FILE*) { return putchar(letter); }
int fputs(const char* text, std::FILE*) { return put(text); }
int fflush(std::FILE*) { return 0; }
int setvbuf(std::FILE*, char*, int, std::size_t) { return 0; }

}  // extern "C"

}  // namespace firmware

#if defined(PICOLIBC_STDIO_GLOBALS)  // picolibc leaves them to the program
std::FILE* const stdout = nullptr;
std::FILE* const stderr = nullptr;
#endif
