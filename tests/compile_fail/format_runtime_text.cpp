// expect-error: constant expression|not usable in a constant|no matching function
#include <microdot/base/format.hpp>

char line[32];
auto size_of(const char (&text)[3]) { return microdot::format_to(line, text, 1); }
