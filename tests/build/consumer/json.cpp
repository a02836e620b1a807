// A handler that answers with JSON.
#include <microdot/ext/json.hpp>
#include <microdot/microdot.hpp>
#include <microdot/testing/test_client.hpp>
using namespace microdot;

App app;

int main() {
  app.get("/reading", [](Request&) {
    nlohmann::json reading;
    reading["celsius"] = 21;
    return reading;
  });
  TestClient client(app);
  auto res = client.get("/reading");
  return res.status_code == 200 && res.text == R"({"celsius":21})" ? 0 : 1;
}
