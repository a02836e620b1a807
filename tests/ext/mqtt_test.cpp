// The MQTT client: its connection, its outbox, and how it ends.

#include <algorithm>

#include "mqtt_support.hpp"

namespace microdot_test {
namespace {

using namespace std::string_view_literals;

using MqttClientTest = MqttTest;

TEST_F(MqttClientTest, ConnectsPublishesAndSaysGoodbye) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    EXPECT_EQ(mqtt.state(), MqttState::idle);
    const Result<void> connected = co_await mqtt.connect();
    EXPECT_TRUE(connected);
    EXPECT_TRUE(mqtt.connected());
    const Result<void> published = co_await mqtt.publish("hub/1/state", "on", {.qos = 1, .retain = true});
    EXPECT_TRUE(published);
    const Result<void> flushed = co_await mqtt.flush();
    EXPECT_TRUE(flushed);
    EXPECT_EQ(mqtt.stats().acknowledged, 1U);
    EXPECT_EQ(mqtt.stats().outbox_bytes, 0U);
    EXPECT_EQ(mqtt.stats().outbox_high_water, mqtt_message_bytes(11, 2));
    const Result<void> ended = co_await mqtt.disconnect();
    EXPECT_TRUE(ended);
    EXPECT_EQ(mqtt.state(), MqttState::disconnected);
    const Result<void> late = co_await mqtt.publish("a", "b");
    EXPECT_EQ(late.error(), Error::closed);
  });
  ASSERT_EQ(broker_.published.size(), 1U);
  EXPECT_EQ(broker_.published[0], (TestMqttMessage{"hub/1/state", "on", 1, true}));
  EXPECT_EQ(broker_.disconnects, 1U);
  EXPECT_EQ(broker_.client_id, "hub");
  EXPECT_EQ(log(), "mqtt: connected to broker:1883\n");
}

TEST_F(MqttClientTest, WithoutAnIdItMakesOneUp) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, {.host = "broker"});
    co_await mqtt.connect();
    co_await mqtt.disconnect();
    MqttClient fixed(broker_, {.host = "broker", .clean_session = false});
    const Result<void> refused = co_await fixed.connect();
    EXPECT_EQ(refused.error(), Error::invalid);
    EXPECT_EQ(fixed.state(), MqttState::idle);
  });
  EXPECT_EQ(broker_.client_id.size(), 23U);
  EXPECT_EQ(broker_.client_id.find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyz"), std::string::npos);
}

TEST_F(MqttClientTest, OptionsThatCannotBeStartNothing) {
  run([&]() -> Task<> {
    for (const MqttOptions& options :
         {MqttOptions{.keep_alive = 65536s}, MqttOptions{.connect_timeout = 0s}, MqttOptions{.host = ""},
          MqttOptions{.will = {.topic = "a/#"}}, MqttOptions{.will = {.topic = "a", .qos = 3}}}) {
      MqttClient mqtt(broker_, options);
      const Result<void> connected = co_await mqtt.connect();
      EXPECT_EQ(connected.error(), Error::invalid);
    }
  });
  EXPECT_EQ(broker_.attempts, 0U);
}

TEST_F(MqttClientTest, PublishedBeforeConnectIsKept) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    EXPECT_TRUE(mqtt.try_publish("t", "1"));
    co_await mqtt.publish("t", "2", {.qos = 2});
    co_await mqtt.connect();
    co_await mqtt.flush();
  });
  EXPECT_EQ(payloads(), "1 2");
}

TEST_F(MqttClientTest, TopicsThatCannotBeAreRefusedAtOnce) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    for (const std::string_view topic : {""sv, "a/+"sv, "#"sv, "a\0b"sv, "\xff"sv}) {
      EXPECT_EQ(mqtt.try_publish(topic, "x").error(), Error::invalid);
      const Result<void> published = co_await mqtt.publish(topic, "x");
      EXPECT_EQ(published.error(), Error::invalid);
    }
    EXPECT_EQ(mqtt.try_publish("a", "x", {.qos = 3}).error(), Error::invalid);
    EXPECT_EQ(mqtt.stats().published, 0U);
  });
}

// ---- Attempts ----

/// Lives two minutes with a broker that can't be reached; gives when the attempts began, in milliseconds.
class MqttUnreachable : public MqttTest {
 protected:
  std::vector<long long> two_minutes(TestMqttAnswer answer) {
    broker_.answer = answer;
    run([&]() -> Task<> {
      MqttClient mqtt(broker_, kMqttOptions);
      const Result<void> connected = co_await mqtt.connect();
      first_ = connected.error();
      times_.push_back(0);
      const std::size_t pool = task_pool().used();
      while (ms() < 120'000) {
        if (broker_.attempts > times_.size()) times_.push_back(ms());
        EXPECT_FALSE(mqtt.connected());
        EXPECT_EQ(task_pool().used(), pool);
        co_await sleep_for(1ms);
      }
      stats_ = mqtt.stats();
    });
    return times_;
  }
  void expect_backoff(long long attempt_ms) {
    long long base = 250;
    for (std::size_t i = 1; i < times_.size(); ++i) {
      const long long gap = times_[i] - times_[i - 1] - attempt_ms;
      EXPECT_GE(gap, base * 3 / 4 - 2) << i;
      EXPECT_LE(gap, base * 5 / 4 + 2) << i;
      EXPECT_LE(gap, 10'002) << i;
      base = std::min(2 * base, 8000LL);
    }
  }

  Error first_ = Error::none;
  std::vector<long long> times_;
  MqttStats stats_;
};

TEST_F(MqttUnreachable, NobodyListens) {
  two_minutes(TestMqttAnswer::nobody_listens);
  EXPECT_EQ(first_, Error::closed);
  expect_backoff(1);
  EXPECT_EQ(stats_.failures, broker_.attempts);
  EXPECT_GE(broker_.attempts, 15U);  // 250 + 500 + 1000 + 2000 + 4000 + 8000 …, by chance a quarter more
  EXPECT_LE(broker_.attempts, 26U);
  EXPECT_EQ(stats_.last_reason, "connection refused");
  EXPECT_EQ(log_lines(), 1U) << log();
  EXPECT_TRUE(log().starts_with("mqtt: no connection to broker:1883: connection refused; again in "))
      << log();
}

TEST_F(MqttUnreachable, TheBrokerRefuses) {
  two_minutes(TestMqttAnswer::refuses);
  EXPECT_EQ(first_, Error::permission);
  expect_backoff(2);
  EXPECT_EQ(log_lines(), 1U) << log();
}

TEST_F(MqttUnreachable, NobodyAnswers) {
  two_minutes(TestMqttAnswer::silent);
  EXPECT_EQ(first_, Error::timeout);
  expect_backoff(5000);
  EXPECT_LE(broker_.attempts, 16U);
  EXPECT_EQ(stats_.last_reason, "no answer to CONNECT");
  EXPECT_EQ(log_lines(), 1U) << log();
}

TEST_F(MqttUnreachable, NobodyAnswersAndTheProtocolDoesNotCloseEither) {
  broker_.answers_close = false;
  two_minutes(TestMqttAnswer::silent);
  EXPECT_EQ(first_, Error::timeout);
  expect_backoff(7000);
}

TEST_F(MqttUnreachable, AcceptedAndLostAtOnceCountsAsAnAttempt) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    (void)mqtt.on_connected([&] { broker_.lose(); });
    co_await mqtt.connect();
    co_await sleep_for(2min);
  });
  EXPECT_LE(broker_.attempts, 26U);
  EXPECT_GE(broker_.attempts, 15U);
}

TEST_F(MqttClientTest, OneLineForEachLossAndOneWhenItIsBack) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    (void)mqtt.on_connected([&] { note("up"); });
    (void)mqtt.on_lost([&] { note("lost"); });
    co_await mqtt.connect();
    co_await sleep_for(1s);
    broker_.lose();
    broker_.answer = TestMqttAnswer::nobody_listens;
    co_await sleep_for(30s);
    EXPECT_EQ(mqtt.state(), MqttState::waiting);
    broker_.answer = TestMqttAnswer::accepts;
    const Result<void> back = co_await mqtt.wait_connected();
    EXPECT_TRUE(back);
    EXPECT_EQ(mqtt.stats().losses, 1U);
    EXPECT_EQ(mqtt.stats().connects, 2U);
  });
  EXPECT_EQ(notes_, "up lost up");
  ASSERT_EQ(log_lines(), 4U) << log();
  EXPECT_NE(log().find("mqtt: lost broker:1883: connection reset; again in "), std::string::npos) << log();
  EXPECT_NE(log().find("mqtt: no connection to broker:1883: connection refused; again in "),
            std::string::npos);
  EXPECT_NE(log().find("mqtt: back at broker:1883\n"), std::string::npos) << log();
}

TEST_F(MqttClientTest, BackoffBeginsAnewAfterAConnectionThatLasted) {
  run([&]() -> Task<> {
    broker_.answer = TestMqttAnswer::nobody_listens;
    MqttClient mqtt(broker_, kMqttOptions);
    co_await mqtt.connect();
    co_await sleep_for(1min);
    broker_.answer = TestMqttAnswer::accepts;
    co_await mqtt.wait_connected();
    co_await sleep_for(11s);
    broker_.lose();
    const long long lost = ms();
    co_await sleep_for(1ms);
    co_await mqtt.wait_connected();
    EXPECT_LE(ms() - lost, 320);
    broker_.lose();  // this one did not last
    const long long again = ms();
    co_await sleep_for(1ms);
    co_await mqtt.wait_connected();
    EXPECT_GE(ms() - again, 375);
  });
}

// ---- The outbox ----

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

// ---- The end ----

TEST_F(MqttClientTest, WillOfOneThatIsLostAndNoneOfOneThatLeaves) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, {.client_id = "hub", .will = {.topic = "t", .payload = "gone"}});
    co_await mqtt.connect();
    broker_.lose();
    co_await sleep_for(1s);
    co_await mqtt.disconnect();
  });
  EXPECT_EQ(payloads(), "gone");
}

TEST_F(MqttClientTest, DisconnectSendsWhatIsLeftForSoLong) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    co_await mqtt.connect();
    co_await mqtt.publish("t", "1", {.qos = 1});
    const Result<void> clean = co_await mqtt.disconnect();
    EXPECT_TRUE(clean);
    EXPECT_EQ(payloads(), "1");

    co_await mqtt.connect();
    broker_.acknowledges = false;
    co_await mqtt.publish("t", "2", {.qos = 1});
    const long long before = ms();
    const Result<void> left = co_await mqtt.disconnect(500ms);
    EXPECT_EQ(left.error(), Error::timeout);
    EXPECT_EQ(ms() - before, 500);
    EXPECT_EQ(broker_.disconnects, 2U);

    broker_.acknowledges = true;
    co_await mqtt.connect();
    co_await mqtt.flush();
  });
  EXPECT_EQ(payloads(), "1 2 2");
}

TEST_F(MqttClientTest, DisconnectsInEveryState) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    co_await mqtt.disconnect();
    EXPECT_EQ(mqtt.state(), MqttState::disconnected);
    for (const TestMqttAnswer answer :
         {TestMqttAnswer::silent, TestMqttAnswer::nobody_listens, TestMqttAnswer::accepts}) {
      for (const Duration after : {Duration(0us), Duration(1ms), Duration(4990ms), Duration(6s)}) {
        broker_.answer = answer;
        TaskHandle attempt = create_task([](MqttClient* m) -> Task<> { co_await m->connect(); }, &mqtt);
        co_await sleep_for(after);
        const long long before = ms();
        co_await mqtt.disconnect();
        EXPECT_LE(ms() - before, 1);
        EXPECT_EQ(mqtt.state(), MqttState::disconnected);
        co_await attempt;
      }
    }
  });
}

TEST_F(MqttClientTest, WaitsEndWhenItIsDisconnected) {
  broker_.answer = TestMqttAnswer::nobody_listens;
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions, {.outbox_bytes = room_for(1, 1)});
    co_await mqtt.connect();
    co_await mqtt.publish("t", "1", {.qos = 1});
    const auto waits = [this](MqttClient* of, int which) -> Task<> {
      Result<void> result;
      if (which == 0) result = co_await of->wait_connected();
      if (which == 1) result = co_await of->flush();
      if (which == 2) result = co_await of->publish("t", "2");
      note(result.error() == Error::closed ? "closed" : "?");
    };
    for (int which = 0; which < 3; ++which) create_task(waits, &mqtt, which);
    co_await sleep_for(1s);
    co_await mqtt.disconnect();
    co_await sleep_for(1ms);
  });
  EXPECT_EQ(notes_, "closed closed closed");
}

TEST_F(MqttClientTest, EveryWaitMayBeEnded) {
  broker_.answer = TestMqttAnswer::silent;
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions, {.outbox_bytes = room_for(1, 1)});
    co_await mqtt.publish("t", "1", {.qos = 1});
    MqttInbox<256> inbox(mqtt, "t");
    const auto waits = [this](MqttClient* of, MqttInboxBase* in, int which) -> Task<> {
      Tracer tracer(notes_, std::to_string(which));
      if (which == 0) co_await of->connect();
      if (which == 1) co_await of->wait_connected();
      if (which == 2) co_await of->flush();
      if (which == 3) co_await of->publish("t", "2");
      if (which == 4) (void)co_await in->next();
    };
    for (int which = 0; which < 5; ++which) {
      TaskHandle task = create_task(waits, &mqtt, &inbox, which);
      co_await sleep_for(10ms);
      EXPECT_FALSE(task.done()) << which;
      task.cancel();
      co_await sleep_for(10ms);
    }
    EXPECT_EQ(notes_, "~0 ~1 ~2 ~3 ~4");
    const Result<void> timeout = co_await wait_for(mqtt.flush(), 1s);
    EXPECT_EQ(timeout.error(), Error::timeout);
    broker_.answer = TestMqttAnswer::accepts;
    co_await mqtt.wait_connected();
    co_await mqtt.flush();
    const Result<MqttMessage> got = co_await inbox.next();
    EXPECT_TRUE(got && got->payload == "1");
  });
}

TEST_F(MqttClientTest, TheClientMayGoInEveryState) {
  run([&]() -> Task<> {
    for (const TestMqttAnswer answer :
         {TestMqttAnswer::silent, TestMqttAnswer::nobody_listens, TestMqttAnswer::accepts}) {
      for (const Duration after : {Duration(0us), Duration(1ms), Duration(100ms), Duration(6s)}) {
        broker_.answer = answer;
        std::optional<MqttClient> mqtt(std::in_place, broker_, kMqttOptions);
        MqttInbox<256> inbox(*mqtt, "t");
        TaskHandle attempt = create_task([](MqttClient* m) -> Task<> { co_await m->connect(); }, &*mqtt);
        co_await sleep_for(after);
        mqtt.reset();
        const Result<MqttMessage> end = co_await inbox.next();
        EXPECT_EQ(end.error(), Error::closed);
        co_await attempt;
        EXPECT_FALSE(broker_.connected());
      }
    }
  });
  EXPECT_EQ(task_errors().size(), 0U);
}

TEST_F(MqttClientTest, WhoWaitsForOneThatGoesWithoutEverConnectingIsTold) {
  run([&]() -> Task<> {
    std::optional<MqttClient> mqtt(std::in_place, broker_, kMqttOptions,
                                   MqttLimits{.outbox_bytes = room_for(1, 1)});
    EXPECT_TRUE(mqtt->try_publish("t", "1"));
    const auto waits = [this](MqttClient* of, int which) -> Task<> {
      Result<void> result;
      if (which == 0) result = co_await of->wait_connected();
      if (which == 1) result = co_await of->flush();
      if (which == 2) result = co_await of->publish("t", "2");
      note(result.error() == Error::closed ? "closed" : "?");
    };
    for (int which = 0; which < 3; ++which) create_task(waits, &*mqtt, which);
    co_await yield();
    mqtt.reset();
    co_await sleep_for(1ms);
  });
  EXPECT_EQ(notes_, "closed closed closed");
}

TEST_F(MqttClientTest, TheClientMayGoBeforeItsTaskHasRun) {
  run([&]() -> Task<> {
    {
      MqttClient mqtt(broker_, kMqttOptions);
      const MqttClient::Wait attempt = mqtt.connect();
    }
    co_await sleep_for(1s);
  });
  EXPECT_EQ(broker_.attempts, 0U);
}

TEST_F(MqttClientTest, ADeviceOfflineDoesNotKeepTheProgramFromItsExit) {
  broker_.answer = TestMqttAnswer::nobody_listens;
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions, {.outbox_bytes = room_for(1, 1)});
    co_await mqtt.connect();
    co_await mqtt.publish("t", "1", {.qos = 1});
    co_await sleep_for(1s);
    Loop::current().request_exit();
    const Result<void> published = co_await mqtt.publish("t", "2", {.qos = 1});
    EXPECT_EQ(published.error(), Error::closed);
    EXPECT_EQ(mqtt.state(), MqttState::disconnected);
  });
  EXPECT_EQ(ms(), 1001);
}

TEST_F(MqttClientTest, TheLastWordsOfAProgramThatExitsStillGo) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, {.client_id = "hub", .will = {.topic = "t", .payload = "gone"}});
    co_await mqtt.connect();
    Loop::current().request_exit();
    co_await sleep_for(100ms);
    EXPECT_EQ(mqtt.state(), MqttState::disconnecting);
    co_await mqtt.publish("t", "bye", {.qos = 1});
    const Result<void> ended = co_await mqtt.disconnect();
    EXPECT_TRUE(ended);
    EXPECT_LE(ms(), 110);
  });
  EXPECT_EQ(payloads(), "bye");
}

TEST_F(MqttClientTest, AProgramThatGoesOnAfterTheExitSignalIsDisconnected) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    co_await mqtt.connect();
    Loop::current().request_exit();
    co_await sleep_for(6s);
    EXPECT_EQ(mqtt.state(), MqttState::disconnected);
  });
  EXPECT_EQ(broker_.disconnects, 1U);
}

TEST_F(MqttClientTest, ProgramsThatJustEndSayGoodbye) {
  {
    MqttClient mqtt(broker_, kMqttOptions);
    run([&]() -> Task<> { co_await mqtt.connect(); });
    EXPECT_EQ(mqtt.state(), MqttState::disconnected);
    EXPECT_EQ(broker_.disconnects, 1U);
    run([&]() -> Task<> {
      const Result<void> connected = co_await mqtt.connect();
      EXPECT_TRUE(connected);
    });
  }
  EXPECT_EQ(broker_.disconnects, 2U);
}

TEST_F(MqttClientTest, WithoutRoomForItsTaskConnectSaysSo) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    for (std::uint16_t served = 0; served < 2; ++served) {
      task_pool().fail_after(served);
      const Result<void> connected = co_await mqtt.connect();
      task_pool().fail_after(0, 0);
      EXPECT_EQ(connected.error(), Error::no_memory) << served;
    }
    const Result<void> connected = co_await mqtt.connect();
    EXPECT_TRUE(connected);
  });
}

constexpr MqttLimits kDeviceLimits = MqttLimits::device();
static_assert(StaticMqttClient<kDeviceLimits>::memory() < kDeviceLimits.block_bytes() + 1024);

TEST_F(MqttClientTest, AStaticOneHasAllOfItsMemoryWithinItself) {
  run([&]() -> Task<> {
    StaticMqttClient<kDeviceLimits> mqtt(broker_, kMqttOptions);
    EXPECT_TRUE(mqtt.subscribe("#", noting()));
    co_await mqtt.connect();
    for (std::size_t i = 0; i < 100; ++i) co_await mqtt.publish("t", std::string(i, 'x'), {.qos = 1});
    co_await mqtt.flush();
    EXPECT_EQ(mqtt.stats().received, 100U);
    EXPECT_LE(mqtt.stats().outbox_high_water, 1024U);
  });
  EXPECT_EQ(broker_.published.size(), 100U);
}

}  // namespace
}  // namespace microdot_test
