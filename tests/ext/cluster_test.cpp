// A channel that several nodes share through a broker.

#include <microdot/ext/cluster.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include <microdot/testing/test_mqtt.hpp>

#include "../async/sim_run.hpp"

namespace microdot_test {
namespace {

using namespace std::string_view_literals;

using Line = std::string;
constexpr std::string_view kTopic = "chat/lobby";

/// A process: its channel, its client, and all that one of its own clients was told.
struct Node {
  explicit Node(std::string_view id, const MqttLimits& limits = MqttLimits::host())
      : name(id), mqtt(broker, {.host = "broker", .client_id = name, .clean_session = false}, limits) {}

  std::string name;
  TestMqttBroker broker;  // its connection to the one that `Cluster` is
  MqttClient mqtt;
  Channel<Line> room;
  ShareStats stats;
  TaskHandle task;
  std::vector<Line> heard;
  std::size_t passed_on = 0;
};

/// Room for exactly `count` messages of `size` bytes in an outbox.
constexpr std::uint32_t bytes_for(std::size_t count, std::size_t size) {
  return static_cast<std::uint32_t>(count *
                                    mqtt_message_bytes(kTopic.size(), detail::ShareHead::kBytes + size));
}

class ClusterTest : public AsyncTest {
 protected:
  Node& add(std::string_view name, const MqttLimits& limits = MqttLimits::host()) {
    return nodes_.emplace_back(name, limits);
  }
  /// Runs `f()`, then ends all clients: they may be looked at afterwards.
  template <typename F>
  void live(F f) {
    run([&]() -> Task<> {
      co_await f();
      for (Node& node : nodes_) {
        node.task.cancel();
        co_await node.mqtt.disconnect();
      }
    });
  }
  /// Lets all nodes share their rooms, and what each has published go to the others.
  template <ShareLimits kLimits = ShareLimits{}>
  Task<> start() {
    create_task("broker", relay, this);
    for (Node& node : nodes_) {
      create_task(listen, std::ref(node));
      start_share<kLimits>(node);
      co_await node.mqtt.connect();
    }
    co_await sleep_for(10ms);
  }
  template <ShareLimits kLimits = ShareLimits{}>
  void start_share(Node& node) {
    node.task = create_task("cluster", share<Line, kLimits>, std::ref(node.room), std::ref(node.mqtt), kTopic,
                            ShareOptions{.stats = &node.stats});
  }
  void lose_broker() {
    for (Node& node : nodes_) {
      node.broker.answer = TestMqttAnswer::nobody_listens;
      node.broker.lose();
    }
  }
  Task<> broker_is_back() {
    for (Node& node : nodes_) node.broker.answer = TestMqttAnswer::accepts;
    for (Node& node : nodes_) co_await node.mqtt.wait_connected();
    co_await sleep_for(1s);
  }
  /// "a1 a2 …"
  static std::vector<Line> lines(const std::string& name, int first, int last) {
    std::vector<Line> all;
    for (int i = first; i <= last; ++i) all.push_back(name + std::to_string(i));
    return all;
  }
  static std::vector<Line> heard_from(const Node& node, char sender) {
    std::vector<Line> some;
    std::copy_if(node.heard.begin(), node.heard.end(), std::back_inserter(some),
                 [sender](const Line& line) { return line[0] == sender; });
    return some;
  }
  static Task<> listen(Node& node) {
    Channel<Line>::Subscription<256> subscription(node.room);
    while (auto line = co_await subscription.next()) node.heard.push_back(*line);
  }
  static Task<> relay(ClusterTest* cluster) {
    for (;;) {
      for (Node& from : cluster->nodes_) {
        for (; from.passed_on < from.broker.published.size(); ++from.passed_on) {
          const TestMqttMessage& message = from.broker.published[from.passed_on];
          for (Node& to : cluster->nodes_) {
            if (&to != &from)
              to.broker.send(message.topic, message.payload, {.qos = message.qos, .retain = message.retain});
          }
        }
      }
      co_await sleep_for(1ms);
    }
  }

  std::deque<Node> nodes_;
};

TEST_F(ClusterTest, AllGetAllOnceAndEachSendersInItsOrder) {
  Node& a = add("a");
  Node& b = add("b");
  Node& c = add("c");
  live([&]() -> Task<> {
    co_await start();
    for (int i = 1; i <= 40; ++i) {
      for (Node& node : nodes_) node.room.publish(node.name + std::to_string(i));
      if (i % 7 == 0) co_await sleep_for(3ms);
    }
    co_await sleep_for(1s);
  });
  for (const Node* node : {&a, &b, &c}) {
    EXPECT_EQ(node->heard.size(), 120U);
    for (const Node* sender : {&a, &b, &c})
      EXPECT_EQ(heard_from(*node, sender->name[0]), lines(sender->name, 1, 40)) << node->name;
    EXPECT_EQ(node->stats.sent, 40U);
    EXPECT_EQ(node->stats.received, 80U);
    EXPECT_EQ(node->stats.own, 40U);
    EXPECT_EQ(node->stats.unsent + node->stats.repeated + node->stats.missed + node->stats.rejected, 0U);
  }
}

TEST_F(ClusterTest, LocalSubscribersDoNotWaitForTheBroker) {
  Node& a = add("a");
  Node& b = add("b");
  live([&]() -> Task<> {
    co_await start();
    a.room.publish("a1");
    co_await yield();
    EXPECT_EQ(a.heard, lines("a", 1, 1));
    EXPECT_TRUE(b.heard.empty());
    co_await sleep_for(100ms);
    EXPECT_EQ(b.heard, lines("a", 1, 1));
  });
}

TEST_F(ClusterTest, WhatIsSentAgainIsHeardOnce) {
  Node& a = add("a");
  Node& b = add("b");
  live([&]() -> Task<> {
    co_await start();
    a.broker.acknowledges = false;
    for (const Line& line : lines("a", 1, 3)) a.room.publish(line);
    co_await sleep_for(100ms);
    a.broker.acknowledges = true;
    a.broker.lose();
    co_await sleep_for(5s);
    a.room.publish("a4");
    co_await sleep_for(100ms);
  });
  EXPECT_EQ(a.broker.published.size(), 7U);  // three of them twice
  EXPECT_EQ(b.heard, lines("a", 1, 4));
  EXPECT_EQ(a.heard, lines("a", 1, 4));
  EXPECT_EQ(b.stats.repeated, 3U);
  EXPECT_EQ(b.stats.missed, 0U);
  EXPECT_EQ(a.stats.own, 7U);
}

TEST_F(ClusterTest, WhileTheBrokerIsAwayTheNewestAreKept) {
  Node& a = add("a", {.outbox_bytes = bytes_for(4, 2), .when_full = MqttWhenFull::drop_oldest});
  Node& b = add("b");
  live([&]() -> Task<> {
    co_await start();
    a.room.publish("a1");
    co_await sleep_for(100ms);
    lose_broker();
    for (const Line& line : lines("a", 2, 9)) {
      a.room.publish(line);
      co_await sleep_for(1s);
    }
    EXPECT_EQ(a.heard, lines("a", 1, 9));
    EXPECT_EQ(b.heard, lines("a", 1, 1));
    EXPECT_EQ(a.mqtt.stats().dropped, 4U);
    co_await broker_is_back();
    b.room.publish("b1");
    co_await sleep_for(100ms);
  });
  EXPECT_EQ(b.heard, (std::vector<Line>{"a1", "a6", "a7", "a8", "a9", "b1"}));
  EXPECT_EQ(b.stats.missed, 4U);
  EXPECT_EQ(a.heard.back(), "b1");
}

TEST_F(ClusterTest, AnOutboxThatWaitsIsFollowedByAQueueThatDropsItsOldest) {
  Node& a = add("a", {.outbox_bytes = bytes_for(4, 2), .when_full = MqttWhenFull::wait});
  Node& b = add("b");
  live([&]() -> Task<> {
    co_await start<ShareLimits{.queue = 2}>();
    a.room.publish("a0");
    co_await sleep_for(100ms);
    lose_broker();
    for (const Line& line : lines("a", 1, 9)) {
      a.room.publish(line);
      co_await sleep_for(1ms);
    }
    // Four in the outbox, one that waits for it, two in the queue.
    EXPECT_EQ(heard_from(a, 'a'), lines("a", 0, 9));
    EXPECT_EQ(a.room.dropped(), 2U);
    co_await broker_is_back();
  });
  EXPECT_EQ(b.heard, (std::vector<Line>{"a0", "a1", "a2", "a3", "a4", "a5", "a8", "a9"}));
  EXPECT_EQ(a.stats.unsent, 2U);
  EXPECT_EQ(a.stats.sent, 8U);
  EXPECT_EQ(b.stats.missed, 2U);
}

TEST_F(ClusterTest, ASlowBrokerHoldsUpNobodyHere) {
  Node& a = add("a", {.outbox_bytes = bytes_for(8, 4)});
  Node& b = add("b");
  a.broker.latency = 50ms;
  a.broker.max_in_flight = 1;  // ten messages a second
  live([&]() -> Task<> {
    co_await start<ShareLimits{.queue = 8}>();
    a.room.publish("a0");
    co_await sleep_for(1s);
    for (const Line& line : lines("a", 1, 200)) {
      a.room.publish(line);
      co_await sleep_for(5ms);
    }
    EXPECT_EQ(heard_from(a, 'a'), lines("a", 0, 200));
    co_await sleep_for(10s);
  });
  EXPECT_EQ(b.heard.back(), "a200");
  EXPECT_LT(b.heard.size(), 60U);
  EXPECT_EQ(b.stats.received + b.stats.missed, 201U);
  EXPECT_EQ(a.stats.sent, b.stats.received);
  EXPECT_EQ(a.stats.unsent, b.stats.missed);
  EXPECT_EQ(b.stats.repeated, 0U);
}

TEST_F(ClusterTest, AFloodFromOthersIsTakenAsItComes) {
  Node& a = add("a");
  Node& b = add("b");
  live([&]() -> Task<> {
    constexpr ShareLimits kSmall{.message_bytes = 64, .inbox_bytes = 512};
    co_await start<kSmall>();
    for (int i = 1; i <= 200; ++i) {
      a.room.publish("a" + std::to_string(i));
      if (i % 50 == 0) co_await sleep_for(10ms);
    }
    co_await sleep_for(1s);
  });
  EXPECT_EQ(b.heard, lines("a", 1, 200));
}

TEST(ClusterThreads, WhatOtherThreadsPublishGoesToTheBrokerInTheirOrder) {
  TestMqttBroker broker;
  Channel<int> room;
  std::atomic<bool> shared{false};
  constexpr int kCount = 500;
  std::thread worker([&] {
    while (!shared) std::this_thread::yield();
    for (int i = 0; i < kCount; ++i) room.publish(i);
  });
  const auto program = [&]() -> Task<> {
    MqttClient mqtt(broker, {.host = "broker"});
    create_task("cluster", share<int, ShareLimits{.queue = kCount}>, std::ref(room), std::ref(mqtt),
                "numbers", ShareOptions{});
    co_await mqtt.connect();
    Channel<int>::Subscription<kCount> here(room);
    shared = true;
    for (int i = 0; i < kCount; ++i) {
      const Result<int> number = co_await here.next();
      EXPECT_EQ(*number, i);
    }
    while (mqtt.stats().acknowledged < kCount) co_await sleep_for(1ms);
    co_await mqtt.disconnect();
  };
  EXPECT_EQ(microdot::run(program()), 0);
  worker.join();
  ASSERT_EQ(broker.published.size(), static_cast<std::size_t>(kCount));
  for (int i = 0; i < kCount; ++i) {
    const std::string_view bytes = broker.published[static_cast<std::size_t>(i)].payload;
    EXPECT_EQ(*ShareCodec<int>::decode(bytes.substr(detail::ShareHead::kBytes)), i);
  }
}

// ---- What else may come ----

std::string payload(detail::ShareHead head, std::string_view body) {
  char bytes[detail::ShareHead::kBytes];
  head.write(bytes);
  return std::string(bytes, sizeof bytes) + std::string(body);
}

TEST_F(ClusterTest, WhatIsNoMessageDoesNoHarm) {
  Node& a = add("a");
  Node& b = add("b");
  live([&]() -> Task<> {
    co_await start();
    const std::string good = payload({.id = {.node = 7}, .number = 1}, "x");
    std::vector<std::string> bad;
    for (std::size_t size = 0; size < detail::ShareHead::kBytes; ++size) bad.push_back(good.substr(0, size));
    bad.push_back("M1" + good.substr(2));
    bad.push_back(payload({.id = {.node = 0}, .number = 1}, "of nobody"));
    bad.push_back(payload({.id = {.node = 7}, .number = 1, .version = 1}, "of another version"));
    bad.push_back(payload({.id = {.node = 7}, .number = 1}, "no UTF-8: \xff"));
    bad.push_back(payload({.id = {.node = 7}, .number = 1}, "cut: \xe2\x82"));
    for (const std::string& message : bad) b.broker.send(kTopic, message, {.qos = 1});
    b.broker.send(kTopic, std::string(64 * 1024, '\xff'), {.qos = 1});  // larger than the client takes
    co_await sleep_for(1s);
    EXPECT_EQ(b.stats.rejected, bad.size());
    EXPECT_TRUE(b.heard.empty());
    // None of them counts as a message of node 7.
    b.broker.send(kTopic, good, {.qos = 1});
    a.room.publish("a1");
    co_await sleep_for(1s);
  });
  EXPECT_EQ(b.heard, (std::vector<Line>{"x", "a1"}));
  EXPECT_EQ(b.stats.missed, 0U);
}

TEST_F(ClusterTest, WhatIsRetainedIsSomebodyElses) {
  Node& a = add("a");
  live([&]() -> Task<> {
    a.broker.send(kTopic, payload({.id = {.node = 7}, .number = 1}, "old"), {.qos = 1, .retain = true});
    co_await start();
  });
  EXPECT_TRUE(a.heard.empty());
}

TEST_F(ClusterTest, AForgedNumberDoesNotSilenceItsNode) {
  Node& a = add("a");
  Node& b = add("b");
  live([&]() -> Task<> {
    co_await start();
    a.room.publish("a1");
    co_await sleep_for(100ms);
    const Result<detail::ShareHead> head = detail::ShareHead::read(a.broker.published.back().payload);
    if (!head) co_return ADD_FAILURE();
    b.broker.send(kTopic, payload({.id = head->id, .number = head->number + (1U << 30)}, "forged"));
    co_await sleep_for(100ms);
    a.room.publish("a2");
    co_await sleep_for(100ms);
  });
  EXPECT_EQ(heard_from(b, 'a'), lines("a", 1, 2));
}

TEST_F(ClusterTest, AfterARestartANodeDoesNotHearWhatItSaidBefore) {
  Node& a = add("a");
  Node& b = add("b");
  live([&]() -> Task<> {
    co_await start();
    for (const Line& line : lines("a", 1, 3)) a.room.publish(line);
    co_await sleep_for(100ms);
    a.task.cancel();
    co_await a.task;
    a.stats = {};
    start_share(a);
    co_await sleep_for(10ms);
    // The broker had kept them for it: it went before it had them all.
    for (int i = 0; i < 3; ++i)
      a.broker.send(kTopic, a.broker.published[static_cast<std::size_t>(i)].payload, {.qos = 1});
    co_await sleep_for(100ms);
    EXPECT_EQ(a.stats.own, 3U);
    // It counts anew, and is heard all the same.
    a.room.publish("a4");
    b.room.publish("b1");
    co_await sleep_for(100ms);
  });
  EXPECT_EQ(a.heard, (std::vector<Line>{"a1", "a2", "a3", "a4", "b1"}));
  EXPECT_EQ(heard_from(b, 'a'), lines("a", 1, 4));
  EXPECT_EQ(b.stats.repeated + b.stats.missed, 0U);
}

TEST_F(AsyncTest, ANodeIsKnownByItsClientId) {
  run([&]() -> Task<> {
    const detail::ShareId a = detail::make_share_id("node-a");
    EXPECT_EQ(a.node, detail::make_share_id("node-a").node);
    EXPECT_NE(a.run, detail::make_share_id("node-a").run);
    EXPECT_NE(a.node, detail::make_share_id("node-b").node);
    EXPECT_NE(detail::make_share_id("").node, detail::make_share_id("").node);
    co_return;
  });
}

TEST_F(ClusterTest, MoreNodesThanAreKnownAtATimeAreHeardAllTheSame) {
  Node& a = add("a");
  live([&]() -> Task<> {
    co_await start<ShareLimits{.nodes = 2}>();
    for (std::uint64_t id : {1U, 2U, 1U, 3U, 1U, 3U}) {  // 3 makes 2, not heard for longest, be forgotten
      a.broker.send(kTopic, payload({.id = {.node = id}, .number = 5}, std::to_string(id)), {.qos = 1});
    }
    a.broker.send(kTopic, payload({.id = {.node = 2}, .number = 6}, "2"), {.qos = 1});
    co_await sleep_for(100ms);
  });
  EXPECT_EQ(a.heard, (std::vector<Line>{"1", "2", "3", "2"}));
  EXPECT_EQ(a.stats.repeated, 3U);
}

TEST(ShareNumbers, WrapAndAreRepeatedSoonIfAtAll) {
  ShareStats stats;
  detail::ShareNode nodes[1];
  const auto note = [&](std::uint32_t number) {
    return detail::note_share_number(nodes, {.id = {.node = 1}, .number = number}, stats);
  };
  EXPECT_TRUE(note(UINT32_MAX - 1));
  EXPECT_TRUE(note(UINT32_MAX));
  EXPECT_TRUE(note(0));
  EXPECT_FALSE(note(UINT32_MAX));
  EXPECT_FALSE(note(0));
  EXPECT_EQ(stats.repeated, 2U);
  EXPECT_EQ(stats.missed, 0U);
  EXPECT_TRUE(note(3));
  EXPECT_EQ(stats.missed, 2U);
  EXPECT_FALSE(note(3 - 1023U));
  EXPECT_TRUE(note(3 - 1024U));
  EXPECT_EQ(stats.missed, 2U);
}

// ---- Ends ----

TEST_F(ClusterTest, OneThatLeavesWhileItWaitsForTheOutboxLeavesNothing) {
  Node& a = add("a", {.outbox_bytes = bytes_for(1, 2), .when_full = MqttWhenFull::wait});
  Node& b = add("b");
  live([&]() -> Task<> {
    co_await start();
    lose_broker();
    for (const Line& line : lines("a", 1, 3)) a.room.publish(line);
    co_await yield();
    EXPECT_EQ(a.room.subscribers(), 2U);
    a.task.cancel();
    co_await a.task;
    EXPECT_EQ(a.room.subscribers(), 1U);
    a.room.publish("a4");
    co_await broker_is_back();
    EXPECT_EQ(heard_from(b, 'a'), lines("a", 1, 1));  // that was in the outbox
    EXPECT_TRUE(a.broker.subscriptions.empty());
    // Again: a new node, as far as the others know.
    start_share(a);
    co_await sleep_for(10ms);
    a.room.publish("a5");
    b.room.publish("b1");
    co_await sleep_for(100ms);
  });
  EXPECT_EQ(heard_from(b, 'a'), (std::vector<Line>{"a1", "a5"}));
  EXPECT_EQ(heard_from(a, 'a'), lines("a", 1, 5));
  EXPECT_EQ(heard_from(a, 'b'), lines("b", 1, 1));
}

TEST_F(ClusterTest, ItEndsWithItsChannelAndWithItsClient) {
  Node& a = add("a");
  Node& b = add("b");
  live([&]() -> Task<> {
    co_await start();
    a.room.publish("a1");
    a.room.close();
    co_await a.task;
    EXPECT_EQ(a.task.state(), TaskState::done);
    co_await sleep_for(100ms);
    EXPECT_EQ(b.heard, lines("a", 1, 1));  // what was published before is sent
    EXPECT_TRUE(a.broker.subscriptions.empty());
    co_await b.mqtt.disconnect();
    co_await b.task;
    EXPECT_EQ(b.task.state(), TaskState::done);
    EXPECT_EQ(b.room.subscribers(), 1U);
  });
  EXPECT_TRUE(task_errors().empty());
}

TEST_F(ClusterTest, WhatCannotBeSharedIsReported) {
  Node& a = add("a", {.subscription_bytes = 64});
  live([&]() -> Task<> {
    for (const char* topic : {"", "chat/#", "chat/lobby"}) {
      TaskHandle task = create_task("cluster", [&a, topic] { return share(a.room, a.mqtt, topic); });
      co_await task;
      EXPECT_EQ(task.state(), TaskState::failed) << topic;
    }
    EXPECT_EQ(a.room.subscribers(), 0U);
  });
  ASSERT_EQ(task_errors().size(), 3U);
  EXPECT_EQ(task_errors()[0], "cluster: " + std::string(to_string(Error::invalid)));
  EXPECT_EQ(task_errors()[2], "cluster: " + std::string(to_string(Error::no_memory)));
}

TEST_F(ClusterTest, WithoutMemoryForAnyPartOfItItFailsAsAWhole) {
  Node& a = add("a");
  Node& b = add("b");
  std::uint16_t served = 0;
  live([&]() -> Task<> {
    co_await start();
    a.task.cancel();
    co_await a.task;
    // Itself, its two ways and what each of them awaits: one more is there each time.
    do {
      task_errors().clear();
      task_pool().fail_after(served);
      start_share(a);
      co_await sleep_for(10ms);
      task_pool().fail_after(0, 0);
      EXPECT_EQ(task_errors().size(), a.task.done() ? 1U : 0U) << served;
      EXPECT_EQ(a.room.subscribers(), a.task.done() ? 1U : 2U) << served;  // `listen`, and the task
    } while (a.task.done() && ++served < 20);
    EXPECT_EQ(a.task.state(), TaskState::running);
    a.room.publish("a1");
    b.room.publish("b1");
    co_await sleep_for(100ms);
  });
  EXPECT_GE(served, 4U);
  EXPECT_EQ(b.heard, (std::vector<Line>{"b1", "a1"}));
  EXPECT_EQ(a.heard, (std::vector<Line>{"a1", "b1"}));
}

TEST_F(ClusterTest, WhatIsTooLargeIsNotSent) {
  Node& a = add("a");
  Node& b = add("b");
  live([&]() -> Task<> {
    co_await start<ShareLimits{.message_bytes = 8}>();
    a.room.publish("a1");
    a.room.publish("a2 is long");
    a.room.publish("a3 fits.");
    co_await sleep_for(100ms);
  });
  EXPECT_EQ(a.heard.size(), 3U);
  EXPECT_EQ(b.heard, (std::vector<Line>{"a1", "a3 fits."}));
  EXPECT_EQ(a.stats.unsent, 1U);
  EXPECT_EQ(b.stats.missed, 1U);
}

// ---- Types ----

struct Reading {
  std::int32_t sensor;
  std::int32_t tenths;
  friend bool operator==(const Reading&, const Reading&) = default;
};

/// A text with room of its own, cut at its end.
class Note {
 public:
  explicit Note(std::string_view text)
      : size_(static_cast<std::uint8_t>(text.copy(text_.data(), text_.size()))) {}
  operator std::string_view() const { return {text_.data(), size_}; }

 private:
  std::array<char, 8> text_{};
  std::uint8_t size_;
};

struct Switch {
  bool on = false;
};

template <typename T>
std::string encoded(const T& message) {
  char room[64];
  return {room, ShareCodec<T>::encode(message, room)};
}

TEST(ShareCodecs, TextsAreSentAsTheyAreAndCutByNobody) {
  EXPECT_EQ(encoded(std::string("Grüße")), "Grüße");
  EXPECT_EQ(*ShareCodec<std::string>::decode("Grüße"), "Grüße");
  EXPECT_EQ(*ShareCodec<std::string>::decode(""), "");
  EXPECT_EQ(encoded(Note("short")), "short");
  EXPECT_EQ(std::string_view(*ShareCodec<Note>::decode("8 bytes.")), "8 bytes.");
  EXPECT_FALSE(ShareCodec<Note>::decode("9 bytes.."));
  EXPECT_FALSE(ShareCodec<Note>::decode("\xff"));
}

TEST(ShareCodecs, OthersAreSentAsTheirBytes) {
  EXPECT_EQ(encoded(Reading{1, -205}).size(), 8U);
  EXPECT_EQ(*ShareCodec<Reading>::decode(encoded(Reading{1, -205})), (Reading{1, -205}));
  EXPECT_FALSE(ShareCodec<Reading>::decode("seven.."));
  EXPECT_FALSE(ShareCodec<Reading>::decode("and nine."));
  EXPECT_EQ(*ShareCodec<std::uint16_t>::decode(encoded(std::uint16_t{77})), 77U);
}

}  // namespace
}  // namespace microdot_test

template <>
struct microdot::ShareCodec<microdot_test::Switch> {
  static std::size_t encode(const microdot_test::Switch& message, std::span<char> room) {
    if (!room.empty()) room[0] = message.on ? '1' : '0';
    return 1;
  }
  static Result<microdot_test::Switch> decode(std::string_view bytes) {
#if MICRODOT_EXCEPTIONS
    if (bytes == "throw") throw std::runtime_error("no switch");
#endif
    if (bytes != "0" && bytes != "1") return Error::invalid;
    return microdot_test::Switch{bytes == "1"};
  }
};

namespace microdot_test {
namespace {

TEST_F(AsyncTest, ATypeMayBringItsOwnCodec) {
  TestMqttBroker broker;
  run([&]() -> Task<> {
    MqttClient mqtt(broker, {.host = "broker"});
    Channel<Switch> channel;
    ShareStats stats;
    TaskHandle task = create_task("cluster", share<Switch, ShareLimits::device()>, std::ref(channel),
                                  std::ref(mqtt), "switch", ShareOptions{.qos = 0, .stats = &stats});
    Channel<Switch>::Subscription<4> subscription(channel);
    co_await mqtt.connect();
    co_await sleep_for(10ms);
    broker.send("switch", payload({.id = {.node = 1}, .number = 1}, "2"));
    broker.send("switch", payload({.id = {.node = 1}, .number = 1}, "1"));
    const Result<Switch> got = co_await subscription.next();
    EXPECT_TRUE(got && got->on);
    EXPECT_EQ(stats.rejected, 1U);
    channel.publish({.on = true});
    co_await sleep_for(10ms);
    EXPECT_EQ(broker.published.size(), 1U);
    EXPECT_EQ(broker.published.back().payload.substr(detail::ShareHead::kBytes), "1");
    EXPECT_EQ(broker.published.back().qos, 0U);
#if MICRODOT_EXCEPTIONS
    broker.send("switch", payload({.id = {.node = 1}, .number = 2}, "throw"));
    co_await task;
    EXPECT_EQ(task.state(), TaskState::failed);
    EXPECT_EQ(channel.subscribers(), 1U);
#endif
  });
#if MICRODOT_EXCEPTIONS
  EXPECT_EQ(task_errors(), std::vector<std::string>{"cluster: no switch"});
#endif
}

}  // namespace
}  // namespace microdot_test
