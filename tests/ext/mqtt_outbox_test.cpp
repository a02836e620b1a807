// The MQTT client: what waits to be sent, and what is sent again.

#include <algorithm>

#include "mqtt_support.hpp"

namespace microdot_test {
namespace {

using namespace std::string_view_literals;

using MqttClientTest = MqttTest;

TEST_F(MqttClientTest, WhatWasNotAcknowledgedIsSentAgainInOrder) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    co_await mqtt.connect();
    broker_.acknowledges = false;
    for (const char* payload : {"a", "b", "c"}) co_await mqtt.publish("t", payload, {.qos = 1});
    co_await mqtt.publish("t", "0");  // once at the most
    co_await sleep_for(10ms);
    EXPECT_EQ(payloads(), "a b c 0");
    co_await mqtt.publish("t", "d", {.qos = 2});
    broker_.lose();
    broker_.acknowledges = true;
    co_await sleep_for(1ms);
    EXPECT_EQ(mqtt.stats().dropped, 1U);
    const Result<void> flushed = co_await mqtt.flush();
    EXPECT_TRUE(flushed);
  });
  EXPECT_EQ(payloads(), "a b c 0 a b c d");
}

TEST_F(MqttClientTest, AProtocolThatKeepsWhatIsInFlightSendsItItself) {
  broker_.keeps = true;
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    co_await mqtt.connect();
    broker_.acknowledges = false;
    for (const char* payload : {"a", "b", "c"}) co_await mqtt.publish("t", payload, {.qos = 2});
    co_await sleep_for(10ms);
    co_await mqtt.publish("t", "d", {.qos = 2});
    broker_.lose();
    broker_.acknowledges = true;
    co_await mqtt.flush();
    EXPECT_EQ(mqtt.stats().acknowledged, 4U);
  });
  EXPECT_EQ(payloads(), "a b c d");
}

TEST_F(MqttClientTest, NoMoreInFlightThanTheProtocolTakes) {
  broker_.max_in_flight = 2;
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    co_await mqtt.connect();
    for (const char* payload : {"1", "2", "3", "4", "5"}) co_await mqtt.publish("t", payload, {.qos = 1});
    co_await mqtt.flush();
  });
  EXPECT_EQ(payloads(), "1 2 3 4 5");
}

TEST_F(MqttClientTest, WhatTheProtocolCanNeverSendIsRefusedAtOnce) {
  broker_.max_message = 10;
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    EXPECT_EQ(mqtt.try_publish("t", "0123456789").error(), Error::too_large) << "before it connects, too";
    co_await mqtt.connect();
    const Result<void> refused = co_await mqtt.publish("t", "0123456789", {.qos = 1});
    EXPECT_EQ(refused.error(), Error::too_large);
    co_await mqtt.publish("t", "012345678", {.qos = 1});
    co_await mqtt.flush();
    EXPECT_EQ(mqtt.stats().published, 1U);
    EXPECT_EQ(mqtt.stats().refused, 0U) << "that is for a full outbox";
  });
  EXPECT_EQ(payloads(), "012345678");
}

TEST_F(MqttClientTest, WhatTheProtocolRefusesWhenItsTurnComesIsDroppedAndSaid) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    co_await mqtt.publish("t", "0123456789", {.qos = 1});
    co_await mqtt.publish("t", "next", {.qos = 1});
    broker_.max_message = 10;
    co_await mqtt.connect();
    co_await mqtt.flush();
    EXPECT_EQ(mqtt.stats().dropped, 1U);
  });
  EXPECT_EQ(payloads(), "next");
  EXPECT_NE(log().find("mqtt: dropped a message for \"t\": "), std::string::npos) << log();
}

TEST_F(MqttClientTest, FullOutboxRefuses) {
  run([&]() -> Task<> {
    const std::string payload(15, 'x');
    MqttClient mqtt(broker_, kMqttOptions,
                    {.outbox_bytes = room_for(2, 15), .when_full = MqttWhenFull::refuse});
    EXPECT_EQ(mqtt.try_publish("t", std::string(room_for(2, 15) - room_for(1, 0) + 4, 'x')).error(),
              Error::too_large);
    for (int i = 0; i < 2; ++i) {
      const Result<void> taken = co_await mqtt.publish("t", payload);
      EXPECT_TRUE(taken);
    }
    EXPECT_EQ(mqtt.stats().outbox_bytes, room_for(2, 15));
    const Result<void> refused = co_await mqtt.publish("t", "");
    EXPECT_EQ(refused.error(), Error::would_block);
    EXPECT_EQ(mqtt.try_publish("t", "").error(), Error::would_block);
    EXPECT_EQ(mqtt.stats().refused, 2U);
    EXPECT_EQ(mqtt.stats().published, 2U);
    co_await mqtt.connect();
    co_await mqtt.flush();
    EXPECT_TRUE(mqtt.try_publish("t", payload));
  });
}

TEST_F(MqttClientTest, TheLargestMessageFitsExactly) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions, {.outbox_bytes = room_for(1, 99)});
    EXPECT_EQ(mqtt.try_publish("t", std::string(100, 'x')).error(), Error::too_large);
    EXPECT_TRUE(mqtt.try_publish("t", std::string(99, 'x')));
    co_await mqtt.connect();
    co_await mqtt.flush();
  });
  EXPECT_EQ(payloads(), std::string(99, 'x'));
}

TEST_F(MqttClientTest, FullOutboxDropsTheOldest) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions,
                    {.outbox_bytes = room_for(3, 3), .when_full = MqttWhenFull::drop_oldest});
    for (const char* payload : {"111", "222", "333", "444"}) co_await mqtt.publish("t", payload);
    EXPECT_EQ(mqtt.stats().dropped, 1U);
    const std::string large(3 + mqtt_message_bytes(1, 3), '5');  // two places
    co_await mqtt.publish("t", large);
    EXPECT_EQ(mqtt.stats().dropped, 3U);
    co_await mqtt.connect();
    co_await mqtt.flush();
  });
  EXPECT_EQ(payloads(), "444 " + std::string(3 + mqtt_message_bytes(1, 3), '5'));
}

TEST_F(MqttClientTest, WhatIsInFlightIsNeverDropped) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions,
                    {.outbox_bytes = room_for(3, 3), .when_full = MqttWhenFull::drop_oldest});
    co_await mqtt.connect();
    broker_.acknowledges = false;
    broker_.max_in_flight = 2;
    for (const char* payload : {"111", "222", "333"}) co_await mqtt.publish("t", payload, {.qos = 1});
    co_await sleep_for(10ms);
    co_await mqtt.publish("t", "444", {.qos = 1});
    EXPECT_EQ(mqtt.stats().dropped, 1U);
    // Dropping the one that waits would not do: it stays.
    const Result<void> large = co_await mqtt.publish("t", std::string(3 + mqtt_message_bytes(1, 3), '5'));
    EXPECT_EQ(large.error(), Error::would_block);
    EXPECT_EQ(mqtt.stats().dropped, 1U);
    EXPECT_EQ(mqtt.stats().refused, 1U);
    broker_.acknowledges = true;
    broker_.lose();
    co_await sleep_for(1ms);
    co_await mqtt.flush();
  });
  EXPECT_EQ(payloads(), "111 222 111 222 444");
}

TEST_F(MqttClientTest, FlushEndsWhenTheLastItWaitsForWentForANewerOne) {
  broker_.answer = TestMqttAnswer::nobody_listens;
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions,
                    {.outbox_bytes = room_for(2, 1), .when_full = MqttWhenFull::drop_oldest});
    co_await mqtt.publish("t", "1", {.qos = 1});
    TaskHandle flush = create_task([](MqttClient* of) -> Task<> { co_await of->flush(); }, &mqtt);
    co_await sleep_for(1ms);
    co_await mqtt.publish("t", "2", {.qos = 1});
    co_await sleep_for(1ms);
    EXPECT_FALSE(flush.done());
    co_await mqtt.publish("t", "3", {.qos = 1});
    co_await sleep_for(1ms);
    EXPECT_EQ(mqtt.stats().dropped, 1U);
    EXPECT_TRUE(flush.done());
  });
}

TEST_F(MqttClientTest, WhatTheProtocolHasNoMemoryForIsTriedAgain) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    co_await mqtt.connect();
    broker_.has_memory = false;
    EXPECT_TRUE(mqtt.subscribe("a", noting()));
    co_await mqtt.publish("t", "0");
    co_await mqtt.publish("t", "1", {.qos = 1});
    co_await mqtt.publish("t", "2", {.qos = 2});
    co_await sleep_for(1s);
    EXPECT_EQ(mqtt.stats().dropped, 0U);
    EXPECT_EQ(mqtt.stats().denied, 0U);
    EXPECT_EQ(payloads(), "");
    broker_.has_memory = true;
    const Result<void> flushed = co_await wait_for(mqtt.flush(), 1s);
    EXPECT_TRUE(flushed) << "nothing else happens: it asks by itself";
    EXPECT_EQ(broker_.subscriptions.size(), 1U);
  });
  EXPECT_EQ(payloads(), "0 1 2");
}

TEST_F(MqttClientTest, FullOutboxMakesPublishersWaitInOrder) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions, {.outbox_bytes = room_for(2, 1)});
    const auto publisher = [](MqttClient* to, char first) -> Task<> {
      for (char c = first; c < first + 3; ++c) co_await to->publish("t", std::string_view(&c, 1), {.qos = 1});
    };
    TaskHandle one = create_task(publisher, &mqtt, 'a');
    TaskHandle two = create_task(publisher, &mqtt, 'm');
    TaskHandle ended = create_task(publisher, &mqtt, 'x');
    co_await sleep_for(1s);
    EXPECT_EQ(mqtt.try_publish("t", "").error(), Error::would_block);
    ended.cancel();
    co_await mqtt.connect();
    co_await one;
    co_await two;
    EXPECT_FALSE(mqtt.stats().outbox_bytes > room_for(2, 1));
    co_await mqtt.flush();
  });
  EXPECT_EQ(payloads(), "a b c m n o");
}

TEST_F(MqttClientTest, NobodyOvertakesAPublisherThatWaits) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions, {.outbox_bytes = room_for(2, 15)});
    co_await mqtt.publish("t", "1");
    const std::string large(room_for(2, 15) - room_for(1, 0), '2');
    TaskHandle waits =
        create_task([](MqttClient* to, std::string_view text) -> Task<> { co_await to->publish("t", text); },
                    &mqtt, std::string_view(large));
    co_await yield();
    EXPECT_EQ(mqtt.try_publish("t", "3").error(), Error::would_block) << "it would fit";
    EXPECT_EQ(mqtt.stats().outbox_bytes, room_for(1, 1));
    co_await mqtt.connect();
    co_await mqtt.publish("t", "3");
    co_await mqtt.flush();
    EXPECT_EQ(payloads(), "1 " + large + " 3");
  });
}

TEST_F(MqttClientTest, FlushWaitsForWhatWasPublishedBeforeIt) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    co_await mqtt.connect();
    co_await mqtt.publish("t", "1", {.qos = 1});
    TaskHandle more = create_task(
        [](MqttClient* to) -> Task<> {
          for (;;) {
            co_await to->publish("t", "more", {.qos = 1});
            co_await sleep_for(500us);
          }
        },
        &mqtt);
    const Result<void> flushed = co_await wait_for(mqtt.flush(), 1s);
    EXPECT_TRUE(flushed);
    EXPECT_GT(mqtt.stats().outbox_bytes, 0U) << "there is always something";
    more.cancel();
  });
}

}  // namespace
}  // namespace microdot_test
