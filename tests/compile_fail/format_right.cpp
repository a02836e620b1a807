// expect-ok
// The twin of the format_* cases, right.
#include <microdot/base/format.hpp>

char line[64];
auto size =
    microdot::format_to(line, "{} {:>5} {:02x} {:.2f} {{}} {:s} {:p}", 1, "text", 255u, 1.5, true, nullptr);
