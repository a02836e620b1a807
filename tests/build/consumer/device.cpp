// An App without the heap, its memory known while compiling.

#include <microdot/microdot.hpp>
#include <microdot/testing/test_client.hpp>
using namespace microdot;

StaticApp<Limits{.connections = 12, .exchanges = 3}> device_app;   // device: no heap

constexpr Limits kLimits{.connections = 12, .exchanges = 3};
static_assert(kLimits.memory() > 0);
static_assert(sizeof(device_app) >= kLimits.memory(), "the block lies in the App");

int main() {
  device_app.get("/", [](Request&) { return "Hello, World!"; });
  TestClient client(device_app);
  auto res = client.get("/");
  return res.status_code == 200 && res.text == "Hello, World!" ? 0 : 1;
}
