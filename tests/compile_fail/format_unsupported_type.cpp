// expect-error: an argument has a type that cannot be formatted
#include <microdot/base/format.hpp>

struct Point {
  int x, y;
};

char line[32];
auto size = microdot::format_to(line, "{}", Point{1, 2});
