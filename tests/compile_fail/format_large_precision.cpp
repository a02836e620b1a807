// expect-error: non-.?constexpr.? function .*precision_is_too_large
#include <microdot/base/format.hpp>

char line[32];
auto size = microdot::format_to(line, "{:.100f}", 1.5);
