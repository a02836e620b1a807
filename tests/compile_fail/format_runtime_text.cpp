// expect-error: text.? (is not|with unknown value cannot be used in) a constant expression
#include <microdot/base/format.hpp>

char line[32];
auto size_of(const char (&text)[3]) { return microdot::format_to(line, text, 1); }
