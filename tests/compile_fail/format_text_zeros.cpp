// expect-error: non-.?constexpr.? function .*zero_padding_is_only_for_numbers
#include <microdot/base/format.hpp>

char line[32];
auto size = microdot::format_to(line, "{:05}", "text");
