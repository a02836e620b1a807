// MQTT by lwIP against a broker that says what a test tells it to.

#include <lwip/dns.h>
#include <array>
#include <vector>

#include <gmock/gmock.h>

#include <microdot/ext/mqtt.hpp>

#include "lwip_world.hpp"

namespace microdot_test {
namespace {

using namespace std::string_literals;

const std::string kAccepted = "\x20\x02\x00\x00"s;
const std::string kConnect = "\x10\x0D\x00\x04MQTT\x04\x02\x00\x1E\x00\x01x"s;  // 30 s, client id "x"

std::string publish_packet(char first, std::string topic, std::string rest) {
  const std::size_t size = 2 + topic.size() + rest.size();
  std::string packet(1, first);
  for (std::size_t left = size;;) {
    packet += static_cast<char>((left & 0x7F) | (left > 0x7F ? 0x80 : 0));
    if ((left >>= 7) == 0) break;
  }
  packet += static_cast<char>(topic.size() >> 8);
  packet += static_cast<char>(topic.size() & 0xFF);
  return packet + topic + rest;
}

/// The broker's end, on the kernel's side of the tap.
class Broker {
 public:
  Broker() {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int small = 4096;
    setsockopt(listener_, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    inet_pton(AF_INET, kKernelAddress, &address.sin_addr);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 4), 0);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
  }
  ~Broker() {
    close(false);
    ::close(listener_);
  }

  bool accept() {
    fd_ = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    const int one = 1;
    if (fd_ >= 0) setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    received.clear();
    ended = false;
    return fd_ >= 0;
  }
  /// How much the kernel takes now.
  std::size_t offer(std::string_view bytes) {
    const ssize_t size = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    return size < 0 ? 0 : static_cast<std::size_t>(size);
  }
  void send(std::string_view bytes) { EXPECT_EQ(offer(bytes), bytes.size()); }
  /// Whether this came next; it is taken.
  bool take(std::string_view bytes) {
    read();
    if (!received.starts_with(bytes)) return false;
    received.erase(0, bytes.size());
    return true;
  }
  void read() {
    char buffer[4096];
    ssize_t size;
    while ((size = recv(fd_, buffer, sizeof buffer, 0)) > 0)
      received.append(buffer, static_cast<std::size_t>(size));
    ended = size == 0 || (errno != EAGAIN && errno != EINTR);
  }
  void close(bool reset) {
    if (fd_ < 0) return;
    const linger now{1, 0};
    if (reset) setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    ::close(std::exchange(fd_, -1));
  }

  std::uint16_t port = 0;
  std::string received;
  bool ended = false;  ///< By the client.

 private:
  int listener_ = -1;
  int fd_ = -1;
};

struct Recorder final : MqttEvents {
  void on_connected(bool session_present) noexcept override {
    ++connected;
    EXPECT_FALSE(session_present);
  }
  void on_closed(Error why, std::string_view words) noexcept override {
    ++closed;
    error = why;
    reason = words;
  }
  void on_published(std::uint16_t id) noexcept override { published.push_back(id); }
  void on_subscribed(std::uint16_t id, bool granted) noexcept override {
    subscribed.emplace_back(id, granted);
  }
  void on_message(const MqttMessage& message, std::size_t offset, std::size_t total) noexcept override {
    EXPECT_EQ(offset, text.size());
    text += message.payload;
    if (text.size() < total) return;
    messages.push_back(std::string(message.topic) + (message.retain ? "!" : "=") + std::exchange(text, ""));
    if (when_message) when_message();
  }

  int connected = 0, closed = 0;
  Error error = Error::none;
  std::string_view reason;
  std::vector<std::uint16_t> published;
  std::vector<std::pair<std::uint16_t, bool>> subscribed;
  std::vector<std::string> messages;
  std::string text;
  std::function<void()> when_message;
};

class LwipMqttTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mqtt_, nullptr); }
  void TearDown() override {
    LwipWorld::board().set_faults({});
    if (mqtt_ != nullptr) mqtt_->release();
    broker_.close(true);
    for (int i = 0; i < 8; ++i) skip(500ms);
    EXPECT_EQ(world_.in_use(), in_use_) << "lwIP's pools are as they were";
  }

  template <typename Done>
  bool until(Done done) {
    return poll_until(port_, done);
  }
  void skip(Duration time) {
    for (; time > Duration::zero();
         time -= 250ms) {  // the period of TCP's timer, which skips what it has missed
      LwipWorld::board().advance(250ms);
      for (int i = 0; i < 3; ++i) port_.poller().poll(0ms);
    }
  }
  /// Until the broker has the CONNECT.
  void open(const std::string& connect = kConnect) {
    options_.port = broker_.port;
    ASSERT_TRUE(mqtt_->open(options_, events_));
    ASSERT_TRUE(until([&] { return broker_.accept(); }));
    ASSERT_TRUE(until([&] { return broker_.take(connect); })) << testing::PrintToString(broker_.received);
  }
  void connect() {
    open();
    broker_.send(kAccepted);
    ASSERT_TRUE(until([&] { return events_.connected == 1; }));
  }
  void expect(std::string_view bytes) {
    EXPECT_TRUE(until([&] { return broker_.take(bytes); })) << testing::PrintToString(broker_.received);
  }
  void expect_closed(Error error) {
    EXPECT_TRUE(until([&] { return events_.closed == 1; }));
    EXPECT_EQ(events_.error, error) << events_.reason;
    poll_on(port_, 3);
    EXPECT_EQ(events_.closed, 1);
  }
  std::uint16_t publish(const MqttMessage& message) {
    const auto id = mqtt_->publish(message);
    EXPECT_TRUE(id) << to_string(id.error());
    return id.value_or(0);
  }

  LwipWorld world_;
  Port& port_ = world_.port();
  const std::size_t in_use_ = world_.in_use();
  Broker broker_;
  Recorder events_;
  MqttProtocol* mqtt_ = system_mqtt_protocol();
  MqttOptions options_{.host = kKernelAddress, .client_id = "x"};
};

TEST_F(LwipMqttTest, ThereIsOneConnection) { EXPECT_EQ(system_mqtt_protocol(), nullptr); }

TEST_F(LwipMqttTest, SaysWhoItIsAndWhatIsItsWill) {
  options_.username = "me";
  options_.password = "secret";
  options_.keep_alive = 60500ms;
  options_.will = {.topic = "gone", .payload = "yes", .qos = 1, .retain = true};
  open("\x10\x24\x00\x04MQTT\x04\xEE\x00\x3D\x00\x01x\x00\x04gone\x00\x03yes\x00\x02me\x00\x06secret"s);
}

TEST_F(LwipMqttTest, PublishesWithEachQos) {
  connect();
  const auto at_most_once = publish({.topic = "t", .payload = "0"s + "\0"s});
  expect("\x30\x05\x00\x01t0\x00"s);
  ASSERT_TRUE(until([&] { return events_.published == std::vector{at_most_once}; }));
  const auto at_least_once = publish({.topic = "t", .payload = "1", .qos = 1, .retain = true});
  const auto exactly_once = publish({.topic = "t", .payload = "", .qos = 2});
  expect("\x33\x06\x00\x01t\x00\x01\x31\x34\x05\x00\x01t\x00\x02"s);
  poll_on(port_);
  EXPECT_EQ(events_.published.size(), 1u) << "the broker has not acknowledged";
  broker_.send("\x50\x02\x00\x02"s);
  expect("\x62\x02\x00\x02"s);
  broker_.send("\x70\x02\x00\x02\x40\x02\x00\x01"s);
  ASSERT_TRUE(until([&] { return events_.published.size() == 3; }));
  EXPECT_THAT(events_.published, testing::UnorderedElementsAre(at_most_once, at_least_once, exactly_once));
}

TEST_F(LwipMqttTest, Subscribes) {
  connect();
  const auto granted = mqtt_->subscribe("a/+", 1), refused = mqtt_->subscribe("b", 0);
  const auto left = mqtt_->unsubscribe("a/+");
  expect(
      "\x82\x08\x00\x01\x00\x03"
      "a/+\x01\x82\x06\x00\x02\x00\x01"
      "b\x00\xA2\x07\x00\x03\x00\x03"
      "a/+"s);
  broker_.send("\x90\x03\x00\x01\x01\x90\x03\x00\x02\x80\xB0\x02\x00\x03"s);
  ASSERT_TRUE(until([&] { return events_.subscribed.size() == 3; }));
  using Answers = std::vector<std::pair<std::uint16_t, bool>>;
  EXPECT_EQ(events_.subscribed, (Answers{{*granted, true}, {*refused, false}, {*left, true}}));
}

TEST_F(LwipMqttTest, ARefusalSaysWhy) {
  const std::pair<char, Error> refusals[] = {{1, Error::unsupported}, {2, Error::invalid},
                                             {3, Error::closed},      {4, Error::permission},
                                             {5, Error::permission},  {77, Error::invalid}};
  for (const auto& [code, error] : refusals) {
    events_ = {};
    open();
    broker_.send("\x20\x02\x00"s + code);
    expect_closed(error);
    EXPECT_TRUE(events_.reason.starts_with("refused")) << events_.reason;
    EXPECT_EQ(events_.connected, 0);
    broker_.close(false);
  }
}

TEST_F(LwipMqttTest, WhatIsNoMqttEndsIt) {
  const std::string message = publish_packet('\x30', "t", "x");
  const std::string cases[] = {
      "HTTP/1.1 400 Bad Request\r\n\r\n",
      std::string(300, '\x80'),
      message,
      "\xD0"s + '\0',
      "\x20\x01\x00"s,
      kAccepted + kAccepted,                 // twice
      kAccepted + std::string(300, '\xFF'),  // lwIP alone would write behind its buffer
      kAccepted + "\x40"s + '\0',            // no packet identifier: lwIP alone would take an old one
      kAccepted + "\x40\x02\x00\x00"s,       // none but zero
      kAccepted + "\x40\x03\x00\x01\x00"s,   // too long
      kAccepted + "\x60\x02\x00\x01"s,       // PUBREL has flags
      kAccepted + "\xD0\x01\x00"s,
      kAccepted + "\xC0"s + '\0',                  // a client's
      kAccepted + "\x36\x07\x00\x01t\x00\x01xx"s,  // QoS 3
      kAccepted + "\x30\x02\x00\x00"s,             // no topic
      kAccepted + "\x30\x04\x00\x03ts"s,           // a topic that is longer than the packet
      kAccepted + "\x32\x04\x00\x01t\x00"s,
      kAccepted + "\x32\x05\x00\x01t\x00\x00"s,
  };
  for (const std::string& bytes : cases) {
    events_ = {};
    open();
    broker_.send(bytes);
    EXPECT_TRUE(until([&] { return events_.closed == 1; })) << testing::PrintToString(bytes);
    EXPECT_TRUE(events_.messages.empty());
    EXPECT_TRUE(until([&] {
      broker_.read();
      return broker_.ended;
    }));
    broker_.close(false);
  }
}

TEST_F(LwipMqttTest, MessagesComeWholeHoweverTheyAreCut) {
  std::string large(5000, '\0');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>('a' + i % 26);
  const std::string bytes = kAccepted + publish_packet('\x32', "large", "\x00\x07"s + large) +
                            publish_packet('\x31', "kept", "") +
                            publish_packet('\x30', std::string(128, 't'), "x");
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{1000}, bytes.size()}) {
    events_ = {};
    open();
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      broker_.send(std::string_view(bytes).substr(at, step));
      port_.poller().poll(0ms);
    }
    ASSERT_TRUE(until([&] { return events_.messages.size() == 3; })) << step;
    EXPECT_EQ(events_.messages[0], "large=" + large);
    EXPECT_EQ(events_.messages[1], "kept!");
    EXPECT_EQ(events_.messages[2], std::string(128, 't') + "=x");
    expect("\x40\x02\x00\x07"s);
    mqtt_->close(false);
    expect_closed(Error::canceled);
    broker_.close(true);
  }
}

TEST_F(LwipMqttTest, ItEndsOnceWhereverTheConnectionIsCut) {
  const std::string bytes = kAccepted + "\x50\x02\x00\x01\x70\x02\x00\x01"s +
                            publish_packet('\x34', "t", "\x00\x07payload"s) + "\x62\x02\x00\x07\x90"s;
  for (const bool reset : {false, true}) {
    for (std::size_t size = 0; size <= bytes.size(); ++size) {
      events_ = {};
      open();
      broker_.send(kAccepted.substr(0, size));
      if (size >= kAccepted.size()) {
        EXPECT_TRUE(until([&] { return events_.connected == 1; }));
        publish({.topic = "t", .payload = "x", .qos = 2});
        broker_.send(std::string_view(bytes).substr(kAccepted.size(), size - kAccepted.size()));
      }
      broker_.close(reset);
      expect_closed(Error::closed);
      EXPECT_LE(events_.messages.size(), size > 22 ? 1u : 0u);
    }
  }
}

TEST_F(LwipMqttTest, AMessageOfQos2ThatIsRepeatedComesOnce) {
  connect();
  const std::string message = publish_packet('\x34', "t", "\x00\x07x"s),
                    again = publish_packet('\x3C', "t", "\x00\x07x"s);
  broker_.send(message + again);
  expect("\x50\x02\x00\x07\x50\x02\x00\x07"s);
  EXPECT_EQ(events_.messages.size(), 1u);
  broker_.send("\x62\x02\x00\x07"s);
  expect("\x70\x02\x00\x07"s);
  broker_.send(again);  // the identifier was free: another one
  expect("\x50\x02\x00\x07"s);
  EXPECT_EQ(events_.messages.size(), 2u);
}

TEST_F(LwipMqttTest, ATopicThatIsTooLongIsSkippedAndAcknowledged) {
  connect();
  broker_.send(publish_packet('\x32', std::string(129, 't'), "\x00\x07x"s) +
               publish_packet('\x30', "t", "y"));
  expect("\x40\x02\x00\x07"s);
  ASSERT_TRUE(until([&] { return !events_.messages.empty(); }));
  EXPECT_EQ(events_.messages, std::vector{"t=y"s});
  EXPECT_EQ(events_.closed, 0);
}

TEST_F(LwipMqttTest, TheLargestMessageIsKnownBeforeThereIsAConnection) {
  std::exchange(mqtt_, nullptr)->release();
  StaticMqttClient<MqttLimits{.outbox_bytes = 4096}> client(options_);
  const std::string payload(992 - 1, 'p');  // docs/guide/mqtt.md
  EXPECT_TRUE(client.try_publish("t", payload, {.qos = 1}));
  EXPECT_EQ(client.try_publish("t", payload + 'p', {.qos = 1}).error(), Error::too_large);
  EXPECT_EQ(client.try_publish(std::string(129, 't'), "").error(), Error::too_large);
}

TEST_F(LwipMqttTest, TheLargestMessageIsSent) {
  connect();
  const std::string payload(992 - 1, 'p');
  publish({.topic = "t", .payload = payload, .qos = 1});
  expect("\x32\xE4\x07\x00\x01t\x00\x01"s + payload);
}

TEST_F(LwipMqttTest, WhoIsRefusedForWantOfRoomIsToldWhenThereIs) {
  connect();
  const std::string payload(950, 'p');  // fewer than are in flight at most fill the buffers
  EXPECT_EQ(mqtt_->publish({.topic = "t", .payload = std::string(1000, 'p')}).error(), Error::too_large);
  EXPECT_EQ(mqtt_->publish({.topic = std::string(129, 't'), .payload = ""}).error(), Error::too_large);
  std::size_t sent = 0;
  for (int round = 0; round < 40; ++round) {
    events_.published.clear();
    std::size_t under_way = 0;
    for (;; ++under_way) {
      const auto id = mqtt_->publish({.topic = "t", .payload = payload, .qos = 0});
      if (id) continue;
      ASSERT_EQ(id.error(), Error::would_block);
      break;
    }
    ASSERT_GT(under_way, 0u) << "round " << round << ": told of room, and there was none";
    sent += under_way;
    // The broker reads seldom, so that lwIP's buffers are full most of the time.
    ASSERT_TRUE(until([&] {
      if (round % 4 == 3) broker_.read();
      return !events_.published.empty();
    })) << round;
    ASSERT_TRUE(until([&] {
      broker_.read();
      return events_.published.size() == under_way;
    })) << round;
  }
  ASSERT_TRUE(until([&] {
    broker_.read();
    return broker_.received.size() == sent * (3 + 2 + 1 + 950);
  }));
}

TEST_F(LwipMqttTest, AnAcknowledgmentOfLittleIsNotTakenForRoom) {
  connect();
  const std::string payload(950, 'p');
  publish({.topic = "t", .payload = "small"});
  LwipWorld::board().set_faults({.lost = 1000});
  std::size_t under_way = 1;
  while (mqtt_->publish({.topic = "t", .payload = payload})) ++under_way;
  LwipWorld::board().set_faults({});
  poll_on(port_, 60);  // TCP acknowledges the small one, late; the last one is still in lwIP's buffer
  if (!events_.published.empty()) {
    publish({.topic = "t", .payload = payload});
  }
  for (int i = 0; i < 20 && events_.published.size() < under_way; ++i) skip(500ms);
  EXPECT_EQ(events_.published.size(), under_way);
}

TEST_F(LwipMqttTest, MessagesInFlightAreAsManyAsLwipNotes) {
  connect();
  for (int i = 0; i < MQTT_REQ_MAX_IN_FLIGHT; ++i) publish({.topic = "t", .payload = "x", .qos = 1});
  EXPECT_EQ(mqtt_->publish({.topic = "t", .payload = "", .qos = 1}).error(), Error::would_block);
  broker_.send("\x40\x02\x00\x01"s);
  ASSERT_TRUE(until([&] { return events_.published.size() == 1; }));
  publish({.topic = "t", .payload = "x", .qos = 1});
}

TEST_F(LwipMqttTest, EveryMessageIsAcknowledgedThoughLwipsBufferIsFull) {
  connect();
  const std::string payload(950, 'p');
  std::size_t sent = 0;
  for (std::size_t before = 1;
       sent != std::exchange(before, sent);) {  // until nothing moves: the broker does not read
    while (mqtt_->publish({.topic = "t", .payload = payload})) ++sent;
    poll_on(port_, 60);
  }
  constexpr int kMessages = 300;  // whose acknowledgments are more than the buffer
  std::string messages;
  const auto id_of = [](int i) {
    return std::string{static_cast<char>(i >> 8), static_cast<char>(i & 0xFF)};
  };
  for (int i = 1; i <= kMessages; ++i) messages += publish_packet('\x32', "t", id_of(i));
  broker_.send(messages);
  poll_on(port_);
  EXPECT_LT(events_.messages.size(), kMessages) << "as many as there is room for answers";
  EXPECT_TRUE(until([&] {
    broker_.read();
    return broker_.received.size() >= sent * 956 + std::size_t{kMessages} * 4;
  })) << broker_.received.size();
  for (int i = 1; i <= kMessages; ++i)
    EXPECT_NE(broker_.received.find("\x40\x02"s + id_of(i)), std::string::npos);
}

TEST_F(LwipMqttTest, WhatIsNotReceivedMakesTheBrokerWait) {
  connect();
  mqtt_->set_receiving(false);
  std::string bytes;
  for (int i = 0; i < 1000; ++i) bytes += publish_packet('\x30', "t", std::string(1000, 'x'));
  std::size_t taken = 0;
  for (int i = 0; i < 100; ++i) {
    taken += broker_.offer(std::string_view(bytes).substr(taken));
    port_.poller().poll(0ms);
  }
  EXPECT_LT(taken, bytes.size());
  EXPECT_TRUE(events_.messages.empty());
  mqtt_->set_receiving(true);
  events_.when_message = [&] { mqtt_->set_receiving(false); };  // one at a time
  ASSERT_TRUE(until([&] { return events_.messages.size() == 1; }));
  poll_on(port_, 3);
  EXPECT_EQ(events_.messages.size(), 1u);
  events_.when_message = nullptr;
  mqtt_->set_receiving(true);
  EXPECT_TRUE(until([&] {
    taken += broker_.offer(std::string_view(bytes).substr(taken));
    return events_.messages.size() == 1000;
  })) << events_.messages.size()
      << " messages; " << events_.reason;
}

TEST_F(LwipMqttTest, GoodbyeComesAfterWhatWasPublished) {
  connect();
  std::string bytes;
  const std::string payload(950, 'x');
  while (mqtt_->publish({.topic = "t", .payload = payload})) bytes += publish_packet('\x30', "t", payload);
  mqtt_->close(true);
  EXPECT_EQ(mqtt_->publish({.topic = "t", .payload = ""}).error(), Error::closed);
  EXPECT_TRUE(until([&] {
    broker_.read();
    return broker_.ended;
  }));
  EXPECT_EQ(broker_.received, bytes + "\xE0\x00"s);
  expect_closed(Error::canceled);
}

TEST_F(LwipMqttTest, GoodbyeIsSentAgainWhenItIsLost) {
  connect();
  LwipWorld::board().set_faults({.lost = 1000});
  publish({.topic = "t", .payload = "last"});
  mqtt_->close(true);
  expect_closed(Error::canceled);
  skip(3s);
  LwipWorld::board().set_faults({});
  for (int i = 0; i < 20 && !broker_.ended; ++i) {
    skip(500ms);
    broker_.read();
  }
  EXPECT_EQ(broker_.received, publish_packet('\x30', "t", "last") + "\xE0\x00"s);
}

TEST_F(LwipMqttTest, GoodbyeDoesNotWaitForABrokerThatIsGone) {
  connect();
  LwipWorld::board().set_faults({.lost = 1000});
  while (mqtt_->publish({.topic = "t", .payload = std::string(950, 'x')})) {
  }
  mqtt_->close(true);
  poll_on(port_, 3);
  EXPECT_EQ(events_.closed, 0);
  skip(2s);
  expect_closed(Error::canceled);
}

TEST_F(LwipMqttTest, ItMayBeReleasedFromWithinAnEvent) {
  connect();
  events_.when_message = [&] { std::exchange(mqtt_, nullptr)->release(); };
  broker_.send(publish_packet('\x32', "t", "\x00\x07x"s) + publish_packet('\x30', "t", "y"));
  ASSERT_TRUE(until([&] { return mqtt_ == nullptr; }));
  EXPECT_TRUE(until([&] {
    broker_.read();
    return broker_.ended;
  }));
  EXPECT_EQ(events_.messages.size(), 1u);
  EXPECT_EQ(events_.closed, 0);
  mqtt_ = system_mqtt_protocol();
  EXPECT_NE(mqtt_, nullptr) << "it can be had again";
}

TEST_F(LwipMqttTest, ABrokerThatNeverAnswersCanBeLeft) {
  open();
  for (int i = 0; i < 10; ++i) skip(500ms);
  EXPECT_EQ(events_.closed, 0) << "how long is waited is the client's";
  mqtt_->close(false);
  EXPECT_EQ(events_.closed, 0) << "not from within a call";
  expect_closed(Error::canceled);
  EXPECT_TRUE(until([&] {
    broker_.read();
    return broker_.ended;
  }));
}

TEST_F(LwipMqttTest, ABrokerThatDoesNotAcknowledgeIsLost) {
  connect();
  publish({.topic = "t", .payload = "", .qos = 1});
  for (int i = 0; i < 28; ++i) skip(1s);
  EXPECT_EQ(events_.closed, 0);
  for (int i = 0; i < 4; ++i) skip(1s);
  expect_closed(Error::timeout);
  EXPECT_TRUE(events_.published.empty());
}

TEST_F(LwipMqttTest, ASilentBrokerIsAskedAndThenLost) {
  options_.keep_alive = 6s;
  open("\x10\x0D\x00\x04MQTT\x04\x02\x00\x06\x00\x01x"s);
  broker_.send(kAccepted);
  ASSERT_TRUE(until([&] { return events_.connected == 1; }));
  const std::string ping = "\xC0"s + '\0';
  for (int round = 0; round < 3; ++round) {
    int seconds = 0;
    for (; !broker_.take(ping) && seconds < 9; ++seconds) skip(1s);
    EXPECT_LT(seconds, 9) << "the broker would close at 1.5 of it";
    broker_.send("\xD0"s + '\0');
    poll_on(port_, 2);
  }
  LwipWorld::board().set_faults({.lost = 1000});
  for (int i = 0; i < 8; ++i) skip(1s);
  EXPECT_EQ(events_.closed, 0);
  for (int i = 0; i < 6; ++i) skip(1s);
  expect_closed(Error::timeout);
}

TEST_F(LwipMqttTest, WhatItCantDoItSays) {
  const auto error_of = [&](const MqttOptions& options) { return mqtt_->open(options, events_).error(); };
  const std::string long_text(256, 'x');
  EXPECT_EQ(error_of({.tls = {.ca_file = "ca.pem"}}), Error::unsupported);
  EXPECT_EQ(error_of({.host = ""}), Error::invalid);
  EXPECT_EQ(error_of({.password = "without a name"}), Error::invalid);
  EXPECT_EQ(error_of({.will = {.topic = "t", .payload = "a\0b"s}}), Error::invalid);
  EXPECT_EQ(error_of({.will = {.topic = "t", .payload = long_text}}), Error::invalid);
  EXPECT_EQ(error_of({.username = std::string(1000, 'x')}), Error::invalid);
  netif_set_link_down(&LwipWorld::board().interface());
  EXPECT_EQ(error_of({.host = kKernelAddress}), Error::network_down);
  netif_set_link_up(&LwipWorld::board().interface());
  EXPECT_EQ(mqtt_->publish({.topic = "t", .payload = ""}).error(), Error::closed);
  options_.port = 1;  // nobody listens
  EXPECT_TRUE(mqtt_->open(options_, events_));
  expect_closed(Error::closed);
}

/// Answers one question: with the kernel's address, or that there is no such name.
class Names {
 public:
  Names() {
    fd_ = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(53);
    inet_pton(AF_INET, kKernelAddress, &address.sin_addr);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ip_addr_t server;
    ipaddr_aton(kKernelAddress, &server);
    dns_setserver(0, &server);
  }
  ~Names() {
    ::close(fd_);
    dns_setserver(0, nullptr);
  }
  bool answer(bool known) {
    char buffer[512];
    sockaddr_in from{};
    socklen_t size = sizeof from;
    const ssize_t count = recvfrom(fd_, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (count <= 0) return false;
    std::string reply(buffer, static_cast<std::size_t>(count));
    reply[2] = '\x81';
    reply[3] = known ? '\x80' : '\x83';
    if (known) {
      reply[7] = 1;
      reply += "\xC0\x0C\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\x0A\x4F\x00\x01"s;  // 10.79.0.1 for a second
    }
    return sendto(fd_, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size) > 0;
  }

 private:
  int fd_ = -1;
};

TEST_F(LwipMqttTest, LooksForANameFirst) {
  options_.host = "broker.example";
  EXPECT_EQ(mqtt_->open(options_, events_).error(), Error::network_down) << "nobody to ask";
  Names names;
  options_.port = broker_.port;
  ASSERT_TRUE(mqtt_->open(options_, events_));
  ASSERT_TRUE(until([&] { return names.answer(false); }));
  expect_closed(Error::not_found);

  events_ = {};
  ASSERT_TRUE(mqtt_->open(options_, events_));
  mqtt_->close(false);  // while it looks
  expect_closed(Error::canceled);
  events_ = {};
  options_.host = "other.example";
  ASSERT_TRUE(mqtt_->open(options_, events_));
  ASSERT_TRUE(until([&] {
    names.answer(true);
    return events_.closed != 0;
  }));
  expect_closed(Error::no_memory);

  events_ = {};
  options_.host = "broker.example";
  for (int i = 0; i < 8; ++i) skip(500ms);  // lwIP forgets it
  ASSERT_TRUE(mqtt_->open(options_, events_));
  mqtt_->close(false);
  expect_closed(Error::canceled);
  events_ = {};
  ASSERT_TRUE(mqtt_->open(options_, events_));
  ASSERT_TRUE(until([&] {
    names.answer(true);
    return broker_.accept();
  }));
  broker_.send(kAccepted);
  EXPECT_TRUE(until([&] { return events_.connected == 1; }));
}

}  // namespace
}  // namespace microdot_test
