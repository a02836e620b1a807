// expect-error: non-.?constexpr.? function .*precision_is_missing
#include <microdot/base/format.hpp>

char line[32];
auto size = microdot::format_to(line, "{:.f}", 1.5);
