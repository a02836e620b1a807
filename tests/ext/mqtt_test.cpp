// The MQTT client: its connection, and how it comes back to its broker.

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

}  // namespace
}  // namespace microdot_test
