// expect-error: head_bytes_must_be_from_256_to_65535
#include <microdot/app.hpp>

using namespace microdot;

StaticApp<Limits{.head_bytes = 100'000}> app;

int main() {}
