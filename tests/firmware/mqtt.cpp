// A web server with an MQTT client beside it: what tests/firmware/mqtt_check.py asks of it.
#include <optional>

#include <microdot/ext/mqtt.hpp>
#include <microdot/microdot.hpp>

using namespace microdot;

namespace {

StaticApp<Limits::device()> app;

using Client = StaticMqttClient<MqttLimits::device()>;
std::optional<Client> client;

// board/do/X comes back as board/done/X, with the same QoS.
void echo(const MqttMessage& message) {
  FixedText<64> topic;
  topic.append("board/done/").append(message.topic.substr(sizeof "board/do/" - 1));
  (void)client->try_publish(topic.view(), message.payload, {.qos = message.qos});
}

Task<> count() {
  FixedText<16> text;
  for (std::uint32_t i = 0;; ++i) {
    text.clear();
    text.append(i);
    co_await client->publish("board/count", text.view(), {.qos = 1});
    co_await sleep_for(50ms);
  }
}

}  // namespace

int main() {
  app.get("/", [](Request&) { return "Hello, World!\n"; });
  // QEMU's network has this machine at that address.
  app.get("/start/<int:port>", [](Request&, int port) -> Response {
    if (client) return abort(400);
    client.emplace(MqttOptions{.host = "10.0.2.2",
                               .port = static_cast<std::uint16_t>(port),
                               .client_id = "board",
                               .connect_timeout = 1s,
                               .min_backoff = 100ms,
                               .max_backoff = 500ms,
                               .will = {.topic = "board/gone", .payload = "yes"}});
    (void)client->subscribe("board/do/#", echo, 2);
    (void)client->connect().await_ready();
    (void)create_task(count);
    return Response("started");
  });
  app.get("/stop", [](Request&) -> Task<std::string_view> {
    const auto stopped = co_await client->disconnect();
    co_return stopped ? "stopped" : to_string(stopped.error());
  });
  app.get("/stats", [](Request& req) {
    const MqttStats stats = client->stats();
    return req.format("{} {} {} {} {} {} {}", stats.connects, stats.losses, stats.acknowledged,
                      stats.received, stats.dropped, stats.refused, stats.last_reason);
  });
  return app.run({.port = 80});
}
