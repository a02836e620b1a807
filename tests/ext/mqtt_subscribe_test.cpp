// The MQTT client: subscriptions, handlers and inboxes.

#include <stdexcept>

#include "mqtt_support.hpp"

namespace microdot_test {
namespace {

using MqttSubscribeTest = MqttTest;

TEST_F(MqttSubscribeTest, AllHandlersWhoseFiltersTakeATopicInAreCalled) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    EXPECT_TRUE(mqtt.subscribe("hub/+/set", noting("1:"), 1));
    EXPECT_TRUE(mqtt.subscribe("hub/#", noting("2:")));
    EXPECT_TRUE(mqtt.subscribe("hub/1/set", noting("3:")));
    EXPECT_TRUE(mqtt.subscribe("hub/1/set", noting("4:")));
    EXPECT_TRUE(mqtt.subscribe("hub/2/set", noting("5:")));
    co_await mqtt.connect();
    co_await sleep_for(10ms);
    broker_.send("hub/1/set", "x");
    co_await sleep_for(10ms);
    EXPECT_EQ(mqtt.stats().received, 1U);
  });
  EXPECT_EQ(notes_, "1:hub/1/set=x 2:hub/1/set=x 3:hub/1/set=x 4:hub/1/set=x");
  EXPECT_EQ(broker_.subscribes, 4U) << "a filter is subscribed to once";
}

TEST_F(MqttSubscribeTest, WhileConnectedTheySubscribeAtOnce) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    co_await mqtt.connect();
    EXPECT_TRUE(mqtt.subscribe("a", noting(), 2));
    co_await sleep_for(10ms);
    EXPECT_EQ(broker_.subscriptions.size(), 1U);
    EXPECT_EQ(broker_.subscriptions[0].qos, 2U);
  });
}

TEST_F(MqttSubscribeTest, FiltersThatCannotBeAreRefusedAtOnce) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    for (const char* filter : {"", "a#", "a/#/b", "a+", "\xff"}) {
      EXPECT_EQ(mqtt.subscribe(filter, noting()).error(), Error::invalid) << filter;
      MqttInbox<256> inbox(mqtt, filter);
      EXPECT_EQ(inbox.error(), Error::invalid);
      const Result<MqttMessage> none = co_await inbox.next();
      EXPECT_EQ(none.error(), Error::invalid);
    }
    EXPECT_EQ(mqtt.subscribe("a", noting(), 3).error(), Error::invalid);
    co_await mqtt.connect();
    co_await sleep_for(10ms);
  });
  EXPECT_EQ(broker_.subscribes, 0U);
}

TEST_F(MqttSubscribeTest, WhatGetsNothingIsInTheLogByName) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions, {.subscription_bytes = 160});
    (void)mqtt.subscribe("a+/b", noting());
    MqttInbox<256> inbox(mqtt, "a/#/b");
    (void)mqtt.subscribe("a", noting(), 3);
    const std::string filter(200, 'x');
    (void)mqtt.subscribe(filter, noting());
    MqttInbox<256> another(mqtt, filter);
    co_return;
  });
  const std::string no_room = "mqtt: no subscription of \"" + std::string(64, 'x') +
                              "\": MqttLimits::subscription_bytes are used up\n";
  EXPECT_EQ(log(),
            "mqtt: no subscription of \"a+/b\": not a filter\n"
            "mqtt: no subscription of \"a/#/b\": not a filter\n"
            "mqtt: no subscription of \"a\": a QoS above 2\n" +
                no_room + no_room);
}

TEST_F(MqttSubscribeTest, BeforeTheProgramRunsThereIsNoLog) {
  MqttClient mqtt(broker_, kMqttOptions);
  EXPECT_EQ(mqtt.subscribe("a+/b", noting()).error(), Error::invalid);
}

TEST_F(MqttSubscribeTest, WithoutRoomItSaysSo) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions, {.subscription_bytes = 512});
    int taken = 0;
    while (taken < 100 && mqtt.subscribe("topic/" + std::to_string(taken), noting())) ++taken;
    EXPECT_GE(taken, 2);
    EXPECT_LT(taken, 8);
    EXPECT_EQ(mqtt.subscribe("b", noting()).error(), Error::no_memory);
    MqttInbox<256> inbox(mqtt, "another/topic/with/a/name/that/is/long/enough/to/find/no/room");
    EXPECT_EQ(inbox.error(), Error::no_memory);
    co_await mqtt.connect();
    co_await sleep_for(10ms);
    broker_.send("topic/0", "x");
    co_await sleep_for(10ms);
    EXPECT_EQ(notes_, "topic/0=x");
  });
}

#if MICRODOT_EXCEPTIONS
TEST_F(MqttSubscribeTest, AHandlerThatFailsHarmsNoOther) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    (void)mqtt.on_connected([] { throw std::runtime_error("hook"); });
    EXPECT_TRUE(mqtt.subscribe("a", [](const MqttMessage&) { throw std::runtime_error("no"); }));
    EXPECT_TRUE(mqtt.subscribe("a", noting()));
    co_await mqtt.connect();
    co_await sleep_for(10ms);
    broker_.send("a", "1");
    broker_.send("a", "2");
    co_await sleep_for(10ms);
    EXPECT_TRUE(mqtt.connected());
  });
  EXPECT_EQ(notes_, "a=1 a=2");
  EXPECT_EQ(task_errors(), (std::vector<std::string>{"mqtt: hook", "mqtt: no", "mqtt: no"}));
}
#endif

TEST_F(MqttSubscribeTest, HandlersMayPublishSubscribeAndStartTasks) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    EXPECT_TRUE(mqtt.subscribe("ask", [&](const MqttMessage&) {
      EXPECT_TRUE(mqtt.try_publish("answer", "yes", {.qos = 1}));
      EXPECT_TRUE(mqtt.subscribe("more", noting()));
      create_task([](MqttClient* m) -> Task<> { co_await m->publish("task", "ran"); }, &mqtt);
    }));
    co_await mqtt.connect();
    co_await sleep_for(10ms);
    broker_.send("ask", "");
    co_await sleep_for(10ms);
    broker_.send("more", "1");
    co_await sleep_for(10ms);
  });
  EXPECT_EQ(payloads(), "yes ran");
  EXPECT_EQ(notes_, "more=1");
}

TEST_F(MqttSubscribeTest, SubscribesAnewOnlyWhereTheBrokerHasForgotten) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, {.client_id = "hub", .clean_session = false});
    EXPECT_TRUE(mqtt.subscribe("a", noting(), 1));
    EXPECT_TRUE(mqtt.subscribe("b", noting(), 1));
    co_await mqtt.connect();
    co_await sleep_for(10ms);
    EXPECT_EQ(broker_.subscribes, 2U);
    broker_.lose();
    broker_.send("a", "away", {.qos = 1});
    co_await sleep_for(1s);
    EXPECT_EQ(broker_.subscribes, 2U);
    EXPECT_EQ(notes_, "a=away");
    broker_.lose();
    broker_.forget();
    co_await sleep_for(1s);
    EXPECT_EQ(broker_.subscribes, 4U);
    broker_.send("b", "again");
    co_await sleep_for(10ms);
    EXPECT_EQ(notes_, "a=away b=again");
  });
}

TEST_F(MqttSubscribeTest, ASubscriptionWithoutAnswerIsAskedForAgain) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, {.client_id = "hub", .clean_session = false});
    co_await mqtt.connect();
    EXPECT_TRUE(mqtt.subscribe("a", noting(), 1));
    co_await yield();
    co_await yield();
    EXPECT_EQ(broker_.subscribes, 1U);
    broker_.lose();
    co_await sleep_for(1s);
    EXPECT_EQ(broker_.subscribes, 2U);
  });
}

TEST_F(MqttSubscribeTest, OneThatIsDeniedIsSaidAndAskedForAtTheNextConnection) {
  broker_.grants = false;
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    EXPECT_TRUE(mqtt.subscribe("secret", noting()));
    co_await mqtt.connect();
    co_await sleep_for(1s);
    EXPECT_EQ(mqtt.stats().denied, 1U);
    EXPECT_NE(log().find("mqtt: no subscription of \"secret\": the broker says no\n"), std::string::npos)
        << log();
    EXPECT_EQ(broker_.subscribes, 1U);
    broker_.grants = true;
    broker_.lose();
    co_await sleep_for(1s);
    EXPECT_EQ(broker_.subscriptions.size(), 1U);
  });
}

TEST_F(MqttSubscribeTest, RetainedMessagesComeToThoseWhoSubscribeLater) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    co_await mqtt.connect();
    co_await mqtt.publish("state", "on", {.retain = true});
    co_await mqtt.flush();
    for (int i = 0; i < 2; ++i) {
      MqttInbox<256> inbox(mqtt, "state");
      const Result<MqttMessage> state = co_await inbox.next();
      EXPECT_TRUE(state && state->payload == "on" && state->retain);
    }
  });
}

TEST_F(MqttSubscribeTest, MessagesInPiecesAreDeliveredWhole) {
  broker_.piece_bytes = 7;
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions, {.message_bytes = 21});
    EXPECT_TRUE(mqtt.subscribe("#", noting()));
    co_await mqtt.connect();
    co_await sleep_for(10ms);
    broker_.send("a", "");
    broker_.send("a", "0123456");
    broker_.send("a", "01234567890123456789");   // as large as may be
    broker_.send("a", "01234567890123456789x");  // larger
    broker_.send("ab", "01234567890123456789");  // likewise
    broker_.send("a", "next");
    co_await sleep_for(10ms);
    EXPECT_EQ(mqtt.stats().too_large, 2U);
  });
  EXPECT_EQ(notes_, "a= a=0123456 a=01234567890123456789 a=next");
}

TEST_F(MqttSubscribeTest, APieceOfAMessageWhoseRestWasLostIsForgotten) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    EXPECT_TRUE(mqtt.subscribe("#", noting()));
    co_await mqtt.connect();
    auto& events = broker_.events();
    events.on_message({.topic = "a", .payload = "012"}, 0, 6);
    broker_.lose();
    co_await sleep_for(1s);
    events.on_message({.topic = "a", .payload = "345"}, 3, 6);
    events.on_message({.topic = "b", .payload = "012"}, 0, 7);
    events.on_message({.topic = "b", .payload = "456"}, 4, 7);  // a gap
    events.on_message({.topic = "b", .payload = "3"}, 3, 7);    // too late
    events.on_message({.topic = "c", .payload = "012"}, 0, 5);
    events.on_message({.topic = "c", .payload = "34"}, 3, 5);
  });
  EXPECT_EQ(notes_, "c=01234");
}

// ---- Inboxes ----

TEST_F(MqttSubscribeTest, AnInboxGivesMessagesInOrderAndEnds) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    const auto reader = [this](MqttClient* of) -> Task<> {
      MqttInbox<1024> inbox(*of, "hub/1/set", {.qos = 1});
      while (auto message = co_await inbox.next()) note(message->payload);
      note("end");
    };
    TaskHandle task = create_task(reader, &mqtt);
    co_await mqtt.connect();
    co_await sleep_for(10ms);
    for (const char* payload : {"1", "2", "3"}) broker_.send("hub/1/set", payload);
    co_await sleep_for(10ms);
    co_await mqtt.disconnect();
    co_await task;
  });
  EXPECT_EQ(notes_, "1 2 3 end");
}

TEST_F(MqttSubscribeTest, AFullInboxDropsTheOldestButNotTheOneInHand) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    MqttInbox<room_for(3, 3)> inbox(mqtt, "t");
    co_await mqtt.connect();
    co_await sleep_for(10ms);
    broker_.send("t", "111");
    const Result<MqttMessage> first = co_await inbox.next();
    for (const char* payload : {"222", "333", "444", "555"}) broker_.send("t", payload);
    co_await sleep_for(10ms);
    EXPECT_EQ(first->payload, "111");
    EXPECT_EQ(inbox.dropped(), 2U);
    EXPECT_EQ(mqtt.stats().inbox_dropped, 2U);
    for (const char* payload : {"444", "555"}) {
      const Result<MqttMessage> next = co_await inbox.next();
      EXPECT_EQ(next->payload, payload);
    }
    // Larger than all of it, and than what is left beside the one in hand: nothing goes for them.
    broker_.send("t", "666");
    broker_.send("t", std::string(room_for(3, 3), 'x'));
    broker_.send("t", std::string(room_for(2, 3) - room_for(1, 0) + 4, 'x'));
    co_await sleep_for(10ms);
    EXPECT_EQ(inbox.dropped(), 4U);
    // As large as what is left.
    const std::string large(room_for(2, 3) - room_for(1, 0) + 3, 'x');
    broker_.send("t", large);
    co_await sleep_for(10ms);
    EXPECT_EQ(inbox.dropped(), 5U);
    const Result<MqttMessage> last = co_await inbox.next();
    EXPECT_EQ(last->payload, large);
  });
}

TEST_F(MqttSubscribeTest, AFullInboxMayRefuse) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    MqttInbox<room_for(2, 3)> inbox(mqtt, "t", {.when_full = MqttWhenFull::refuse});
    co_await mqtt.connect();
    co_await sleep_for(10ms);
    for (const char* payload : {"111", "222", "333"}) broker_.send("t", payload);
    co_await sleep_for(10ms);
    EXPECT_EQ(inbox.dropped(), 1U);
    EXPECT_EQ(inbox.used(), room_for(2, 3));
    const Result<MqttMessage> first = co_await inbox.next();
    EXPECT_EQ(first->payload, "111");
  });
}

TEST_F(MqttSubscribeTest, AnInboxMayMakeTheBrokerWait) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    {
      MqttInbox<room_for(4, 3)> inbox(mqtt, "t", {.when_full = MqttWhenFull::wait});
      co_await mqtt.connect();
      co_await sleep_for(10ms);
      for (int i = 100; i < 120; ++i) broker_.send("t", std::to_string(i));
      co_await sleep_for(1s);
      EXPECT_EQ(inbox.used(), room_for(3, 3));
      EXPECT_FALSE(broker_.receiving());
      for (int i = 100; i < 120; ++i) {
        const Result<MqttMessage> next = co_await inbox.next();
        EXPECT_EQ(next->payload, std::to_string(i));
      }
      EXPECT_EQ(inbox.dropped(), 0U);
      EXPECT_TRUE(broker_.receiving());

      for (int i = 100; i < 105; ++i) broker_.send("t", std::to_string(i));
      co_await sleep_for(1s);
      EXPECT_FALSE(broker_.receiving());
      broker_.lose();
      co_await sleep_for(1s);
      EXPECT_TRUE(mqtt.connected());
      EXPECT_FALSE(broker_.receiving()) << "it is still full";
    }
    EXPECT_TRUE(broker_.receiving()) << "it has left";
  });
}

TEST_F(MqttSubscribeTest, AnInboxThatMakesTheBrokerWaitDoesNotKeepAcknowledgmentsBackForEver) {
  using Seconds = std::chrono::seconds;
  for (const std::pair<Seconds, Seconds>& times :
       {std::pair<Seconds, Seconds>{1h, 20s}, {5s, 5s}, {0s, 20s}}) {
    run([&]() -> Task<> {
      const auto keep_alive = times.first;
      const auto most = times.second;
      MqttClient mqtt(broker_, {.client_id = "hub", .keep_alive = keep_alive});
      MqttInbox<room_for(4, 3)> inbox(mqtt, "t", {.when_full = MqttWhenFull::wait});
      co_await mqtt.connect();
      co_await sleep_for(10ms);
      for (int i = 100; i < 110; ++i) broker_.send("t", std::to_string(i));
      co_await sleep_for(2h);
      EXPECT_FALSE(broker_.receiving()) << "nothing is in flight: it may take its time";
      EXPECT_EQ(inbox.dropped(), 0U);

      const long long before = ms();
      co_await mqtt.publish("u", "mine", {.qos = 1});
      const Result<void> early = co_await wait_for(mqtt.flush(), most - 100ms);
      EXPECT_EQ(early.error(), Error::timeout);
      EXPECT_EQ(inbox.dropped(), 0U);
      const Result<void> flushed = co_await wait_for(mqtt.flush(), 10s);
      EXPECT_TRUE(flushed);
      EXPECT_LE(ms() - before, most / 1ms + 100);
      EXPECT_EQ(inbox.dropped(), 6U);
      EXPECT_EQ(mqtt.stats().inbox_dropped, 6U);
      EXPECT_NE(log().find("mqtt: an inbox is full"), std::string::npos) << log();

      // It has lost its right to make the broker wait until it is taken from.
      co_await mqtt.publish("u", "mine, too", {.qos = 1});
      const Result<void> at_once = co_await wait_for(mqtt.flush(), 1s);
      EXPECT_TRUE(at_once);
      for (int i = 100; i < 104; ++i) {
        const Result<MqttMessage> next = co_await inbox.next();
        EXPECT_EQ(next->payload, std::to_string(i));
      }
      for (int i = 200; i < 210; ++i) broker_.send("t", std::to_string(i));
      co_await sleep_for(2h);
      EXPECT_FALSE(broker_.receiving());
      for (int i = 200; i < 210; ++i) {
        const Result<MqttMessage> next = co_await inbox.next();
        EXPECT_EQ(next->payload, std::to_string(i));
      }
      EXPECT_EQ(inbox.dropped(), 6U);
      EXPECT_EQ(mqtt.stats().losses, 0U);
    });
  }
}

TEST_F(MqttSubscribeTest, TheLastWhoLeavesUnsubscribes) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    co_await mqtt.connect();
    {
      MqttInbox<256> one(mqtt, "t");
      {
        MqttInbox<256> two(mqtt, "t");
        MqttInbox<256> other(mqtt, "u");
        co_await sleep_for(10ms);
        EXPECT_EQ(broker_.subscriptions.size(), 2U);
      }
      co_await sleep_for(10ms);
      EXPECT_EQ(broker_.subscriptions.size(), 1U);
      broker_.send("t", "1");
      const Result<MqttMessage> got = co_await one.next();
      EXPECT_TRUE(got);
    }
    co_await sleep_for(10ms);
    EXPECT_EQ(broker_.subscriptions.size(), 0U);
    // Memory of filters is used again, with and without a connection.
    for (int i = 0; i < 300; ++i) {
      if (i == 150) broker_.answer = TestMqttAnswer::nobody_listens, broker_.lose();
      MqttInbox<256> inbox(mqtt, "topic/" + std::to_string(i));
      EXPECT_EQ(inbox.error(), Error::none) << i;
      if (i % 3 == 0) co_await sleep_for(10ms);
    }
  });
}

TEST_F(MqttSubscribeTest, OneStrandWaitsAtATime) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    MqttInbox<256> inbox(mqtt, "t");
    const auto reader = [this](MqttInboxBase* of) -> Task<> {
      const Result<MqttMessage> got = co_await of->next();
      note(got ? got->payload : "ended");
    };
    create_task(reader, &inbox);
    co_await yield();
    const Result<MqttMessage> second = co_await inbox.next();
    EXPECT_EQ(second.error(), Error::invalid);
    co_await mqtt.connect();
    co_await sleep_for(10ms);
    broker_.send("t", "1");
    co_await sleep_for(10ms);
  });
  EXPECT_EQ(notes_, "1");
}

TEST_F(MqttSubscribeTest, AHandlerMayEndAnInboxOfTheSameFilter) {
  run([&]() -> Task<> {
    MqttClient mqtt(broker_, kMqttOptions);
    std::optional<MqttInbox<256>> one(std::in_place, mqtt, "t");
    std::optional<MqttInbox<256>> two(std::in_place, mqtt, "t");
    EXPECT_TRUE(mqtt.subscribe("t", [&](const MqttMessage&) { one.reset(), two.reset(); }));
    EXPECT_TRUE(mqtt.subscribe("t", noting()));
    co_await mqtt.connect();
    co_await sleep_for(10ms);
    broker_.send("t", "1");
    broker_.send("t", "2");
    co_await sleep_for(10ms);
  });
  EXPECT_EQ(notes_, "t=1 t=2");
}

}  // namespace
}  // namespace microdot_test
