// expect-error: non-.?constexpr.? function .*sign_and_alternate_are_not_supported
#include <microdot/base/format.hpp>

char line[32];
auto size = microdot::format_to(line, "{:#x}", 1);
