// expect-error: non-.?constexpr.? function .*type_does_not_fit_the_argument
#include <microdot/base/format.hpp>

char line[32];
auto size = microdot::format_to(line, "{:x}", "text");
