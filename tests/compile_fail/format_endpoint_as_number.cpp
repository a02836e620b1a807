// expect-error: non-.?constexpr.? function .*type_does_not_fit_the_argument
#include <microdot/port/network.hpp>

char line[80];
auto size = microdot::format_to(line, "{:d}", microdot::Endpoint{});
