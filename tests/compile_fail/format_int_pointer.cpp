// expect-error: an argument has a type that cannot be formatted
#include <microdot/base/format.hpp>

char line[32];
int number;
auto size = microdot::format_to(line, "{}", &number);
