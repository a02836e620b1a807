// expect-error: exchanges_must_be_at_most_1_million
#include <microdot/app.hpp>

using namespace microdot;

StaticApp<Limits{.exchanges = 2'000'000}> app;

int main() {}
