// The MQTT client: how it ends, and what of it the broker and the program see.

#include <algorithm>

#include "mqtt_support.hpp"

namespace microdot_test {
namespace {

using namespace std::string_view_literals;

using MqttClientTest = MqttTest;

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

Task<> take_one(MqttInboxBase& inbox) { (void)co_await inbox.next(); }
Task<> wait_for_connection(MqttClient& mqtt) { (void)co_await mqtt.wait_connected(); }

TEST_F(MqttClientTest, WhoForgetsToConnectIsTold) {
  const std::string told =
      "mqtt: connect() has not been called: no connection to broker:1883, and messages wait\n";
  for (int use = 0; use < 4; ++use) {
    const std::string before = log();
    MqttClient mqtt(broker_, kMqttOptions);
    MqttInbox<256> inbox(mqtt, "t");
    run([&]() -> Task<> {
      if (use == 0) (void)mqtt.try_publish("t", "1");
      if (use == 1) (void)mqtt.subscribe("t", noting());
      if (use == 2) create_task("inbox", take_one, std::ref(static_cast<MqttInboxBase&>(inbox)));
      if (use == 3) create_task("wait", wait_for_connection, std::ref(mqtt));
      co_await sleep_for(10s);
      (void)mqtt.try_publish("t", "2");
      co_await sleep_for(10s);
      (void)co_await mqtt.connect();
    });
    EXPECT_EQ(log(), before + told + "mqtt: connected to broker:1883\n") << use;
  }
}

TEST_F(MqttClientTest, WhoConnectsLaterIsNotTold) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    (void)mqtt.try_publish("t", "1");
    co_await sleep_for(1s);
    co_await mqtt.connect();
    co_await mqtt.disconnect();
    (void)mqtt.try_publish("t", "2");  // it was told that it is closed
    MqttClient never(broker_, kMqttOptions);
    (void)never.try_publish("t", "1");
    co_await never.disconnect();
    co_await sleep_for(10s);
    MqttClient gone(broker_, kMqttOptions);
    (void)gone.try_publish("t", "1");
  });
  EXPECT_EQ(log(), "mqtt: connected to broker:1883\n");
}

Task<> lose_after(Duration time, MqttClient& mqtt, TestMqttBroker& broker) {
  (void)co_await mqtt.wait_connected();
  co_await sleep_for(time);
  broker.lose("the connection was lost");
  co_await sleep_for(1ms);
}

// A broker ends the older one of two connections with one id, and does not say why.
TEST_F(MqttClientTest, OneThatIsThrownOutAgainAndAgainAsksForItsDouble) {
  const auto hints = [this] {
    const std::string lines = log();
    std::size_t count = 0;
    for (std::size_t at = 0;; ++count) {
      at = lines.find(": the connection was lost (is another client named \"hub\"?); again in", at);
      if (at++ == std::string::npos) return count;
    }
  };
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    co_await mqtt.connect();
    for (int i = 0; i < 2; ++i) co_await lose_after(1s, mqtt, broker_);
    EXPECT_EQ(hints(), 0U);
    for (std::size_t i = 1; i < 5; ++i) {
      co_await lose_after(8s, mqtt, broker_);
      EXPECT_EQ(hints(), i);
    }
    co_await lose_after(10s, mqtt, broker_);  // the other one has gone
    for (int i = 0; i < 2; ++i) co_await lose_after(1s, mqtt, broker_);
    broker_.answer = TestMqttAnswer::nobody_listens;  // it is the broker that goes and comes
    co_await sleep_for(10s);
    broker_.answer = TestMqttAnswer::accepts;
    co_await lose_after(1s, mqtt, broker_);
    EXPECT_EQ(hints(), 4U);
  });
}

TEST_F(MqttClientTest, AnIdThatWasMadeUpHasNoDouble) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, {.host = "broker"});
    co_await mqtt.connect();
    for (int i = 0; i < 5; ++i) co_await lose_after(1s, mqtt, broker_);
  });
  EXPECT_EQ(log().find("another client"), std::string::npos);
}

/// Options of a client that is missed.
const MqttOptions kMortal{.host = "broker", .client_id = "hub", .will = {.topic = "t", .payload = "gone"}};

TEST_F(MqttClientTest, AProgramThatGoesOnAfterTheExitSignalIsDisconnected) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMortal);
    co_await mqtt.connect();
    Loop::current().request_exit();
    co_await sleep_for(6s);
    EXPECT_EQ(mqtt.state(), MqttState::disconnected);
  });
  EXPECT_EQ(broker_.disconnects, 0U);
  EXPECT_EQ(payloads(), "gone");  // it has not said that it goes
}

TEST_F(MqttClientTest, ProgramsThatJustEndLeaveTheirWill) {
  {
    MqttClient mqtt(broker_, kMortal);
    run([&]() -> Task<> { co_await mqtt.connect(); });
    EXPECT_EQ(mqtt.state(), MqttState::disconnected);
    EXPECT_EQ(payloads(), "gone");
    run([&]() -> Task<> {
      const Result<void> connected = co_await mqtt.connect();
      EXPECT_TRUE(connected);
    });
  }
  EXPECT_EQ(payloads(), "gone gone");
  EXPECT_EQ(broker_.disconnects, 0U);
}

TEST_F(MqttClientTest, AClientThatGoesWithoutGoodbyeLeavesItsWill) {
  run([&]() -> Task<> {
    {
      MqttClient mqtt(broker_, kMortal);
      co_await mqtt.connect();
    }
    EXPECT_EQ(payloads(), "gone");
    MqttClient mqtt(broker_, kMortal);
    co_await mqtt.connect();
    co_await mqtt.disconnect();
  });
  EXPECT_EQ(payloads(), "gone");
  EXPECT_EQ(broker_.disconnects, 1U);
}

Task<> raise_soon(SimPort* sim) {
  co_await sleep_for(100ms);
  sim->raise_exit_signal();
}

// The second signal leaves no time for last words, and none for a goodbye that should follow them.
TEST_F(MqttClientTest, TheSecondSignalLeavesTheWill) {
  for (const bool leaving : {false, true}) {
    broker_.published.clear();
    MqttClient mqtt(broker_, kMortal);
    run([&]() -> Task<> {
      co_await mqtt.connect();
      broker_.acknowledges = false;
      sim_.raise_exit_signal();
      co_await mqtt.publish("t", "last", {.qos = 1});
      create_task("signal", raise_soon, &sim_);
      if (leaving) co_await mqtt.disconnect();
      co_await sleep_for(1h);
    });
    EXPECT_EQ(payloads(), "last gone") << leaving;
    EXPECT_EQ(broker_.disconnects, 0U) << leaving;
    broker_.acknowledges = true;
  }
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
