// expect-error: non-.?constexpr.? function .*nested_fields_are_not_supported
#include <microdot/base/format.hpp>

char line[32];
auto size = microdot::format_to(line, "{:{}}", 1, 2);
