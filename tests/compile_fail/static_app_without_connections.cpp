// expect-error: connections_must_be_at_least_1
#include <microdot/app.hpp>

using namespace microdot;

StaticApp<Limits{.connections = 0}> app;

int main() {}
