// expect-error: StaticApp: see Limits::check
#include <microdot/app.hpp>

using namespace microdot;

StaticApp<Limits{.head_bytes = 100'000}> app;

int main() {}
