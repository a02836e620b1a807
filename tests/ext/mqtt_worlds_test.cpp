// The MQTT client in worlds from a seed: publishers of every QoS, and a connection that is lost at any
// moment. What has to be true: QoS 1 arrives at least once, QoS 2 exactly once where the protocol keeps what
// is in flight, QoS 0 at most once, each topic in order; every message is accounted for; and nothing is left.

#include <map>
#include <random>

#include "mqtt_support.hpp"

namespace microdot_test {
namespace {

class MqttWorlds : public testing::TestWithParam<unsigned> {};

struct MqttWorld {
  explicit MqttWorld(unsigned seed) : random(seed) {}
  unsigned any(unsigned below) { return static_cast<unsigned>(random() % below); }

  std::mt19937 random;
  TestMqttBroker broker;
  unsigned published[3] = {};
  bool always_closes = true;  // else the protocol is left at times, and what it has kept with it
  bool done = false;
};

Task<> publish_all(MqttWorld* world, MqttClient* mqtt, std::uint8_t qos) {
  for (unsigned i = 0; i < 60; ++i) {
    char text[8];
    const std::size_t size = write_decimal(text, 1000 + i);
    const char topic = static_cast<char>('0' + qos);
    const Result<void> taken =
        co_await mqtt->publish({&topic, 1}, {text, size}, {.qos = qos, .retain = false});
    EXPECT_TRUE(taken);
    ++world->published[qos];
    co_await sleep_for(std::chrono::microseconds(world->any(3) == 0 ? world->any(200'000) : 0));
  }
}

Task<> disturb(MqttWorld* world) {
  while (!world->done) {
    co_await sleep_for(std::chrono::microseconds(world->any(world->any(2) == 0 ? 5'000 : 2'000'000)));
    TestMqttBroker& broker = world->broker;
    switch (world->any(8)) {
      case 0: broker.answer = TestMqttAnswer::nobody_listens; break;
      case 1: broker.answer = TestMqttAnswer::silent; break;
      case 2: broker.acknowledges = !broker.acknowledges; break;
      case 3: broker.answers_close = world->always_closes || !broker.answers_close; break;
      case 4: broker.answer = TestMqttAnswer::accepts; break;
      default: broker.lose(); break;
    }
    if (world->any(4) == 0) broker.answer = TestMqttAnswer::accepts;
  }
}

TEST_P(MqttWorlds, LoseNothing) {
  for (unsigned seed = GetParam(); seed < GetParam() + 50; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const std::size_t pool = task_pool().used();
    MqttWorld world(seed);
    TestMqttBroker& broker = world.broker;
    broker.keeps = world.any(2) == 0;
    world.always_closes = world.any(2) == 0;
    const bool exactly_once = broker.keeps && world.always_closes;
    broker.max_in_flight = 1 + world.any(8);
    broker.latency = std::chrono::microseconds(world.any(3) * 1500);
    SimPort sim({.seed = seed + 1});
    MqttStats stats;
    const auto main = [&]() -> Task<> {
      MqttClient mqtt(
          broker, {.client_id = "world", .clean_session = false},
          {.outbox_bytes = static_cast<std::uint32_t>(mqtt_message_bytes(1, 4) * (1 + world.any(12)))});
      co_await mqtt.connect();
      TaskHandle trouble = create_task(disturb, &world);
      TaskHandle tasks[3];
      for (std::uint8_t qos = 0; qos < 3; ++qos) tasks[qos] = create_task(publish_all, &world, &mqtt, qos);
      for (TaskHandle& task : tasks) co_await task;
      trouble.cancel();
      broker.answer = TestMqttAnswer::accepts;
      broker.acknowledges = broker.answers_close = true;
      broker.lose();  // what was not acknowledged meanwhile is sent again
      const Result<void> flushed = co_await wait_for(mqtt.flush(), 1min);
      EXPECT_TRUE(flushed);
      stats = mqtt.stats();
    };
    EXPECT_EQ(run(main(), sim), 0);

    std::map<std::string, std::vector<int>> arrived;
    for (const TestMqttMessage& message : broker.published) {
      arrived[message.topic].push_back(std::stoi(message.payload) - 1000);
    }
    EXPECT_EQ(stats.published, 180U);
    EXPECT_EQ(stats.acknowledged + stats.dropped, 180U);
    EXPECT_EQ(stats.outbox_bytes, 0U);
    for (std::size_t qos = 0; qos < 3; ++qos) {
      const std::vector<int>& all = arrived[std::to_string(qos)];
      std::vector<int> first;  // without what came again
      for (const int i : all) {
        if (std::find(first.begin(), first.end(), i) == first.end()) first.push_back(i);
      }
      EXPECT_TRUE(std::is_sorted(first.begin(), first.end())) << qos;
      if (qos != 0) {
        EXPECT_EQ(first.size(), 60U) << qos;
      }
      if (qos == 0 || (qos == 2 && exactly_once)) {
        EXPECT_EQ(all.size(), first.size()) << qos;
      }
    }
    EXPECT_EQ(task_pool().used(), pool);
    if (testing::Test::HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, MqttWorlds, testing::Values(0U, 50U, 100U, 150U));

}  // namespace
}  // namespace microdot_test
