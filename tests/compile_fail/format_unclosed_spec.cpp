// expect-error: non-.?constexpr.? function .*unmatched_brace
#include <microdot/base/format.hpp>

char line[32];
auto size = microdot::format_to(line, "{:5", 1);
