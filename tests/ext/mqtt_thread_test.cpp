// An MQTT client that another thread uses, as the handler of another worker: also a library without
// assertions says so.

#include <thread>

#include "mqtt_support.hpp"

namespace microdot_test {
namespace {

#ifdef GTEST_HAS_DEATH_TEST
/// `use(mqtt, inbox)` in a loop of another thread, while there is a connection.
template <typename F>
void use_in_another_thread(F use) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  TestMqttBroker broker;
  MqttClient mqtt(broker, kMqttOptions);
  MqttInbox<256> inbox(mqtt, "t");
  const auto main_task = [&]() -> Task<> {
    co_await mqtt.connect();
    std::thread other([&] { microdot::run(use(mqtt, inbox)); });
    other.join();
  };
  microdot::run(main_task());
}

TEST(MqttThreadsDeathTest, AnotherThreadMustNotTakeFromAnInbox) {
  const auto use = [](MqttClient&, MqttInbox<256>& inbox) -> Task<> {
    (void)co_await wait_for(inbox.next(), 1ms);
  };
  EXPECT_DEATH(use_in_another_thread(use), "mqtt: used by another thread: see");
}

TEST(MqttThreadsDeathTest, NorPublish) {
  const auto use = [](MqttClient& mqtt, MqttInbox<256>&) -> Task<> {
    (void)mqtt.try_publish("t", "x");
    co_return;
  };
  EXPECT_DEATH(use_in_another_thread(use), "mqtt: used by another thread: see");
}
#endif

}  // namespace
}  // namespace microdot_test
