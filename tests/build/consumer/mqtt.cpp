// An MQTT client over the installed library and libmosquitto; nobody is at its broker's port.
#include <microdot/ext/mqtt.hpp>
#include <microdot/microdot.hpp>

using namespace microdot;

namespace {

Task<int> check() {
  MqttClient mqtt({.host = "127.0.0.1", .port = 1});
  const auto connected = co_await mqtt.connect();
  const bool refused = !connected && mqtt.stats().last_reason == "connection refused";
  (void)co_await mqtt.disconnect();
  co_return refused ? 0 : 1;
}

}  // namespace

int main() { return run(check()); }
