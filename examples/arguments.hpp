#pragma once
// What every example takes from the command line: --host ADDRESS and --port NUMBER.

#include <charconv>
#include <cstdio>
#include <cstring>
#include <string_view>

#include <microdot/app.hpp>

/// Reads the arguments into `options`. `more(name, value)` is asked for others and says how many it took, the
/// name included: 0 if it knows none of that name (`value` is null at the end). False, with a line of usage,
/// if an argument is not understood.
template <typename More>
bool parse_arguments(int argc, char** argv, microdot::ServerOptions& options, const char* usage_of_more,
                     More more) {
  const auto take = [&](std::string_view name, const char* value) {
    if (value != nullptr && name == "--host") {
      options.host = value;
      return 2;
    }
    if (value != nullptr && name == "--port") {
      const char* const end = value + std::strlen(value);
      const auto [last, error] = std::from_chars(value, end, options.port);
      return error == std::errc{} && last == end ? 2 : 0;
    }
    return more(name, value);
  };
  for (int i = 1; i < argc;) {
    const int taken = take(argv[i], i + 1 < argc ? argv[i + 1] : nullptr);
    if (taken == 0) {
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
