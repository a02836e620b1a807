// expect-error: non-.?constexpr.? function .*precision_is_only_for_floats_and_text
#include <microdot/base/format.hpp>

char line[32];
auto size = microdot::format_to(line, "{:.2}", 1);
