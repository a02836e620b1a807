// expect-error: non-.?constexpr.? function .*unexpected_character_in_spec
#include <microdot/base/format.hpp>

char line[32];
auto size = microdot::format_to(line, "{:d5}", 1);
