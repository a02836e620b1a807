// expect-error: StaticApp: see Limits::check
#include <microdot/app.hpp>

using namespace microdot;

StaticApp<Limits{.connections = 0}> app;

int main() {}
