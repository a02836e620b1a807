/// Server-Sent Events as handlers and clients see them, over the TestClient.

#include <microdot/ext/sse.hpp>

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "live_test.hpp"

namespace {

using testing_support::Counted;

/// Streams of events need no room for WebSockets' messages.
Limits no_websockets() {
  Limits limits = testing_support::few_streams();
  limits.ws_message_bytes = 0;
  return limits;
}

class SSETest : public testing_support::LiveTest {
 protected:
  SSETest() : LiveTest(no_websockets()) {}
};

TEST_F(SSETest, EventsComeAsTheyAreSent) {
  app.get("/events", with_sse([](Request&, SSE& sse) -> Task<> {
            co_await sse.send("one");
            co_await sleep_for(std::chrono::hours(1));
            co_await sse.send("two", "tick", "7");
            co_await sse.send("three");
          }));
  auto events = client().events("/events");
  ASSERT_EQ(events.status_code(), 200);
  auto one = events.next();
  ASSERT_TRUE(one);
  EXPECT_EQ(one->data, "one");
  EXPECT_EQ(one->event, "message");
  EXPECT_EQ(one->id, "");
  EXPECT_EQ(app.stats().streams, 1U);
  EXPECT_EQ(app.stats().exchanges, 0U);
  auto two = events.next();
  ASSERT_TRUE(two);
  EXPECT_EQ(two->data, "two");
  EXPECT_EQ(two->event, "tick");
  EXPECT_EQ(two->id, "7");
  EXPECT_EQ(events.next()->id, "7");
  EXPECT_FALSE(events.next());
  EXPECT_TRUE(events.ended());
  EXPECT_FALSE(events.connection().was_reset());
  expect_all_ended();
}

TEST_F(SSETest, BytesAreAsTheStandardSays) {
  app.get("/events", with_sse([](Request&, SSE& sse) -> Task<> {
            co_await sse.retry(std::chrono::milliseconds(1500));
            co_await sse.send("a\nb\r\nc\rd\n");
            co_await sse.send("", "empty");
            co_await sse.send("x", "", "");
            co_await sse.comment("first\nsecond");
          }));
  const std::string bytes = client().raw("GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
  const std::size_t body = bytes.find("\r\n\r\n") + 4;
  const std::string head = bytes.substr(0, body);
  EXPECT_NE(head.find("HTTP/1.1 200 OK\r\n"), std::string::npos);
  EXPECT_NE(head.find("Content-Type: text/event-stream\r\n"), std::string::npos);
  EXPECT_NE(head.find("Cache-Control: no-cache, no-transform\r\n"), std::string::npos);
  EXPECT_NE(head.find("X-Accel-Buffering: no\r\n"), std::string::npos);
  EXPECT_NE(head.find("Connection: close\r\n"), std::string::npos);
  EXPECT_EQ(head.find("Content-Length"), std::string::npos);
  EXPECT_EQ(head.find("Transfer-Encoding"), std::string::npos);
  EXPECT_EQ(bytes.substr(body),
            "retry: 1500\n\n"
            "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"
            "event: empty\ndata: \n\n"
            "id: \ndata: x\n\n"
            ": first\n: second\n\n");
}

TEST_F(SSETest, NamesAndIdsThatWouldBreakTheStreamAreRefused) {
  std::vector<Error> errors;
  app.get("/events", with_sse([&](Request&, SSE& sse) -> Task<> {
            const std::string_view nul("a\0b", 3);
            const Result<void> event = co_await sse.send("x", "a\nb");
            const Result<void> id = co_await sse.send("x", "", "1\r2");
            const Result<void> zero = co_await sse.send("x", "", nul);
            const Result<void> good = co_await sse.send("good");
            errors = {event.error(), id.error(), zero.error(), good.error()};
          }));
  auto events = client().events("/events");
  EXPECT_EQ(events.next()->data, "good");
  EXPECT_FALSE(events.next());
  EXPECT_EQ(errors, (std::vector<Error>{Error::invalid, Error::invalid, Error::invalid, Error::none}));
}

TEST_F(SSETest, LastEventIdIsGivenToTheHandler) {
  app.get("/events", with_sse([](Request&, SSE& sse) -> Task<> {
            const std::string last(sse.last_event_id());
            co_await sse.send("after " + last, "", "9");
          }));
  auto events = client().events("/events", {{"Last-Event-ID", "8"}});
  EXPECT_EQ(events.next()->data, "after 8");
  EXPECT_EQ(client().events("/events").next()->data, "after ");
}

TEST_F(SSETest, CommentsKeepAQuietStreamAlive) {
  app.get("/events", with_sse(
                         [](Request&, SSE& sse) -> Task<> {
                           co_await sleep_for(std::chrono::seconds(10));
                           co_await sse.send("busy");
                           co_await sleep_for(std::chrono::seconds(40));
                           co_await sse.send("end");
                         },
                         {.keep_alive = std::chrono::seconds(15)}));
  auto events = client().events("/events");
  EXPECT_EQ(events.next()->data, "busy");
  EXPECT_EQ(events.comments().size(), 0U);
  EXPECT_EQ(events.next()->data, "end");
  EXPECT_EQ(events.comments().size(), 2U);
}

TEST_F(SSETest, TestsThatWaitForNothingEnd) {
  app.get("/events", with_sse([](Request&, SSE& sse) -> Task<> {
            co_await sse.send("one");
            co_await sleep_for(std::chrono::hours(100));
          }));
  auto events = client().events("/events");
  EXPECT_TRUE(events.next());
  EXPECT_FALSE(events.next());
  EXPECT_FALSE(events.ended());
}

TEST_F(SSETest, HandlerIsEndedWhenTheClientGoes) {
  int alive = 0;
  app.get("/events", with_sse([&](Request&, SSE&) -> Task<> {
            const Counted counted(alive);
            co_await sleep_for(std::chrono::hours(1));
          }));
  auto events = client().events("/events");
  client().run_for(std::chrono::seconds(1));
  EXPECT_EQ(alive, 1);
  events.connection().reset();
  client().run_for(std::chrono::milliseconds(10));
  EXPECT_EQ(alive, 0);
  // One that closes is noticed when something is sent to it.
  auto other = client().events("/events");
  other.close();
  client().run_for(std::chrono::seconds(1));
  EXPECT_EQ(alive, 1);
  client().run_for(std::chrono::seconds(15));
  EXPECT_EQ(alive, 0);
  expect_all_ended();
}

TEST_F(SSETest, HalfClosedClientsGetTheirEvents) {
  app.get("/events", with_sse([](Request&, SSE& sse) -> Task<> {
            co_await sleep_for(std::chrono::seconds(1));
            co_await sse.send("still");
          }));
  auto events = client().events("/events");
  events.connection().shutdown_write();
  EXPECT_EQ(events.next()->data, "still");
}

TEST_F(SSETest, WhatTheClientSendsIsDropped) {
  app.get("/events", with_sse([](Request&, SSE& sse) -> Task<> {
            co_await sleep_for(std::chrono::seconds(1));
            co_await sse.send("x");
          }));
  auto events = client().events("/events");
  events.connection().send(std::string(100'000, 'x'));
  EXPECT_EQ(events.next()->data, "x");
  EXPECT_FALSE(events.next());
  EXPECT_FALSE(events.connection().was_reset());
}

TEST_F(SSETest, OldEventsAreDroppedForSlowClients) {
  app.get("/events", with_sse(
                         [](Request&, SSE& sse) -> Task<> {
                           for (int i = 0; i < 1000; ++i) {
                             co_await sse.send(std::to_string(i) + "\n" + std::string(90, '.'), "n");
                             if (i % 100 == 0) co_await sleep_for(std::chrono::milliseconds(10));
                           }
                           co_await sleep_for(std::chrono::seconds(5));
                         },
                         {.when_slow = WhenSlow::drop_oldest, .queue_bytes = 1000}));
  auto events = client().events("/events");
  events.connection().set_receive_window(555);
  client().run_for(std::chrono::seconds(1));
  events.connection().set_receive_window(SIZE_MAX);
  int last = -1;
  std::uint64_t count = 0;
  while (auto event = events.next()) {
    const int number = std::stoi(event->data);
    EXPECT_EQ(event->data, std::to_string(number) + "\n" + std::string(90, '.'));
    EXPECT_EQ(event->event, "n");
    EXPECT_GT(number, last);
    last = number;
    ++count;
  }
  EXPECT_EQ(last, 999);
  EXPECT_EQ(app.stats().messages_dropped, 1000 - count);
}

TEST_F(SSETest, EventsLargerThanTheQueueGoInPieces) {
  std::string large;
  for (int i = 0; i < 3000; ++i) large += "line " + std::to_string(i) + "\n";
  app.get("/events", with_sse([&](Request&, SSE& sse) -> Task<> { co_await sse.send(large, "big", "1"); },
                              {.queue_bytes = 300}));
  for (const std::size_t window : {SIZE_MAX, std::size_t{700}, std::size_t{1}}) {
    auto events = client().events("/events");
    events.connection().set_receive_window(window);
    auto event = events.next();
    ASSERT_TRUE(event);
    EXPECT_EQ(event->data, large);
    EXPECT_EQ(event->event, "big");
  }
}

TEST_F(SSETest, HeadIsAnsweredWithoutAStream) {
  app.get("/events", with_sse([](Request&, SSE& sse) -> Task<> { co_await sse.send("x"); }));
  auto head = client().head("/events");
  EXPECT_EQ(head.status_code, 200);
  EXPECT_EQ(head.headers["Content-Type"], "text/event-stream");
  EXPECT_FALSE(head.headers.contains("Content-Length"));  // as GET's answer has none (RFC 9110 8.6)
  EXPECT_EQ(app.stats().streams_high_water, 0U);
  EXPECT_EQ(app.stats().exchanges, 0U);
  EXPECT_EQ(client().get("/events").status_code, 200);
}

TEST_F(SSETest, HooksMayAddFields) {
  app.after_request([](Request&, Response& res) { res.header("Access-Control-Allow-Origin", "*"); });
  app.get("/events", with_sse([](Request&, SSE& sse) -> Task<> { co_await sse.send("x"); }));
  const std::string bytes = client().raw("GET /events HTTP/1.0\r\n\r\n");
  EXPECT_NE(bytes.find("Access-Control-Allow-Origin: *\r\n"), std::string::npos);
  EXPECT_TRUE(bytes.ends_with("\r\n\r\ndata: x\n\n"));
}

TEST_F(SSETest, BroadcastReachesAllAndSlowOnesCostNothing) {
  Channel<std::string> channel;
  app.get("/events", with_sse(
                         [&](Request&, SSE& sse) -> Task<> {
                           Channel<std::string>::Subscription<4> subscription(channel);
                           while (auto message = co_await subscription.next()) {
                             if (!co_await sse.send(*message)) co_return;
                           }
                         },
                         {.queue_bytes = 500}));
  auto reader = client().events("/events");
  auto slow = client().events("/events");
  slow.connection().set_receive_window(100);
  client().run_for(std::chrono::milliseconds(1));
  EXPECT_EQ(channel.subscribers(), 2U);
  for (int i = 0; i < 50; ++i) {
    channel.publish(std::to_string(i) + std::string(50, ' '));
    EXPECT_EQ(std::stoi(reader.next()->data), i);
  }
  EXPECT_GT(channel.dropped(), 30U);
  slow.connection().set_receive_window(SIZE_MAX);
  EXPECT_EQ(std::stoi(slow.next()->data), 0);
  reader.connection().reset();
  client().run_for(std::chrono::seconds(1));
  EXPECT_EQ(channel.subscribers(), 1U);
  channel.close();
  while (slow.next()) {
  }
  EXPECT_TRUE(slow.ended());
  expect_all_ended();
}

TEST_F(SSETest, ShutdownEndsIt) {
  bool told = false;
  app.get("/events", with_sse([&](Request&, SSE& sse) -> Task<> {
            while (co_await sse.send("x")) co_await sleep_for(std::chrono::milliseconds(100));
            told = true;
          }));
  auto events = client().events("/events");
  EXPECT_TRUE(events.next());
  app.shutdown();
  while (events.next()) {
  }
  EXPECT_TRUE(events.ended());
  EXPECT_FALSE(told);  // it slept
}

}  // namespace
