// expect-error: non-.?constexpr.? function .*indexes_and_names_are_not_supported
#include <microdot/base/format.hpp>

char line[32];
auto size = microdot::format_to(line, "{name}", 1);
