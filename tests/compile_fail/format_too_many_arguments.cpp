// expect-error: non-.?constexpr.? function .*too_many_arguments
#include <microdot/base/format.hpp>

char line[32];
auto size = microdot::format_to(line, "{}", 1, 2);
