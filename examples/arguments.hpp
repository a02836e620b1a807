#pragma once
// What every example takes from the command line: --host ADDRESS and --port NUMBER.

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string_view>

#include <microdot/app.hpp>

/// False if `text` is no number of this kind, or has more than it.
template <typename Number>
bool read_number(const char* text, Number& number) {
  const char* const end = text + std::strlen(text);
  const auto [last, error] = std::from_chars(text, end, number);
  return error == std::errc{} && last == end;
}

/// "HOST:PORT", or "HOST" and the port stays. False if it is neither.
inline bool read_host_and_port(std::string_view text, std::string_view& host, std::uint16_t& port) {
  const std::size_t colon = text.rfind(':');
  if (colon != text.npos) {
    const char* const end = text.data() + text.size();
    const auto [last, error] = std::from_chars(text.data() + colon + 1, end, port);
    if (error != std::errc{} || last != end) return false;
  }
  host = text.substr(0, colon);
  return !host.empty();
}

/// What `more` of `parse_arguments` gives for a value that can't be.
inline constexpr int kBadValue = -1;

/// Reads the arguments into `options`. `more(name, value)` is asked for others and says how many it took, the
/// name included: 0 if it knows none of that name (`value` is null at the end). False if an argument is not
/// understood: then which one, and the usage, were written.
template <typename More>
bool parse_arguments(int argc, char** argv, microdot::ServerOptions& options, const char* usage_of_more,
                     More more) {
  const auto take = [&](std::string_view name, const char* value) {
    if (value != nullptr && name == "--host") {
      options.host = value;
      return 2;
    }
    if (value != nullptr && name == "--port") return read_number(value, options.port) ? 2 : kBadValue;
    return more(name, value);
  };
  for (int i = 1; i < argc;) {
    const char* const value = i + 1 < argc ? argv[i + 1] : nullptr;
    const int taken = take(argv[i], value);
    if (taken <= 0) {
      const char* reason = "unknown argument";
      if (taken == kBadValue) reason = "bad value: ";
      if (value == nullptr && take(argv[i], "") != 0) reason = "its value is missing";
      if (argv[i] != std::string_view("--help"))
        std::fprintf(stderr, "%s: %s%s\n", argv[i], reason, taken == kBadValue ? value : "");
      const char* const slash = std::strrchr(argv[0], '/');
      std::fprintf(stderr, "usage: %s [--host ADDRESS] [--port NUMBER]%s\n",
                   slash != nullptr ? slash + 1 : argv[0], usage_of_more);
      return false;
    }
    i += taken;
  }
  return true;
}

/// For examples that take nothing else.
inline bool parse_arguments(int argc, char** argv, microdot::ServerOptions& options) {
  return parse_arguments(argc, argv, options, "", [](std::string_view, const char*) { return 0; });
}

/// For examples that several threads may serve: --workers NUMBER, 0 for one for each processor. Devices have
/// one.
inline bool parse_arguments_with_workers(int argc, char** argv, microdot::ServerOptions& options) {
#if MICRODOT_HOSTED
  const auto take_workers = [&](std::string_view name, const char* value) {
    unsigned workers = 1;
    if (value == nullptr || name != "--workers") return 0;
    if (!read_number(value, workers)) return kBadValue;
    options.workers = workers;
    return 2;
  };
  return parse_arguments(argc, argv, options, " [--workers NUMBER]", take_workers);
#else
  return parse_arguments(argc, argv, options);
#endif
}
