// Pipelining: what known servers get wrong. A request that is split at the end of a read, a body followed by
// the next request, waiting for the socket although a complete request is there already; with buffers as
// small as allowed, and clients that read slowly.

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "replies.hpp"
#include "simulated.hpp"

namespace {

using corpus::Reply;
using corpus::Simulated;
using corpus::Verdict;
using microdot::Limits;
using microdot::SimClient;

Reply reply(std::string status, std::optional<std::string> body = {}) {
  return {std::move(status), false, false, std::move(body), {}};
}

/// The smallest head and response buffers that are allowed.
Limits small_buffers() {
  Limits limits = corpus::limits();
  limits.head_bytes = 256;
  limits.max_readline = 256;
  limits.response_bytes = 256;
  return limits;
}

/// GET /users/N with a head of exactly `size` bytes; at least 60.
std::string get_user(std::size_t n, std::size_t size = 60) {
  std::string head = "GET /users/" + std::to_string(n) + " HTTP/1.1\r\nHost: a\r\nX: ";
  return head + std::string(size - head.size() - 4, 'x') + "\r\n\r\n";
}

std::string post_sized(std::string_view body) {
  return "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body);
}

std::string post_chunked(std::string_view body, std::size_t chunk) {
  std::string text = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  while (!body.empty()) {
    const std::string_view part = body.substr(0, chunk);
    char size[16];
    std::snprintf(size, sizeof size, "%zx\r\n", part.size());
    text.append(size).append(part).append("\r\n");
    body.remove_prefix(part.size());
  }
  return text + "0\r\n\r\n";
}

std::string letters(std::size_t size) {
  std::string text(size, ' ');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 26);
  return text;
}

class PipeliningTest : public testing::TestWithParam<bool> {
 protected:
  microdot::TestClientOptions options() const { return {.sim = {.refers_to_written_bytes = GetParam()}}; }

  /// Sends `bytes`, expects exactly `replies` soon, and that the connection is served further.
  static void expect_answers(Simulated& server, std::string_view bytes, std::vector<Reply> replies,
                             std::string_view what) {
    {
      SimClient client = server.connect();
      const auto start = server.now();
      client.send(bytes);
      server.settle();
      Verdict verdict = corpus::match(replies, client.received(), client.closed());
      EXPECT_EQ(verdict.state, Verdict::State::done)
          << what << ": " << verdict.count << " of " << replies.size() << ", " << verdict.error << "\n"
          << corpus::show(client.received(), 600);
      EXPECT_LT(server.now() - start, std::chrono::seconds(1)) << what << ": no timeout helped";
      client.send(corpus::kProbe);
      replies.push_back(corpus::probe_reply());
      server.settle();
      verdict = corpus::match(replies, client.received(), client.closed());
      EXPECT_EQ(verdict.state, Verdict::State::done) << what << ": behind it: " << verdict.error;
    }
    EXPECT_EQ(server.leftovers(), "") << what;
  }
};

// With heads of every size, the end of a read and of the head buffer (256 bytes) falls on every byte of a
// later request.
TEST_P(PipeliningTest, ARequestSplitAtTheEndOfARead) {
  Simulated server(small_buffers(), options());
  for (std::size_t size = 60; size <= 256; ++size) {
    std::string bytes;
    std::vector<Reply> replies;
    for (std::size_t n = 0; n < 9; ++n) {
      bytes += get_user(n, n % 2 == 0 ? size : 61);
      replies.push_back(reply("200", std::to_string(n)));
    }
    expect_answers(server, bytes, replies, "heads of " + std::to_string(size));
    if (HasFailure()) return;
  }
}

// The same with two segments, so that a read ends at every byte.
TEST_P(PipeliningTest, ARequestSplitBetweenTwoSegments) {
  Simulated server(small_buffers(), options());
  const std::string bytes =
      get_user(1) + post_sized("hello") + get_user(2) + post_chunked("world", 2) + get_user(3);
  const std::vector<Reply> replies = {reply("200", "1"), reply("200", "hello"), reply("200", "2"),
                                      reply("200", "world"), reply("200", "3")};
  for (std::size_t at = 1; at < bytes.size(); ++at) {
    SimClient client = server.connect();
    client.send(std::string_view(bytes).substr(0, at));
    server.settle();
    client.send(std::string_view(bytes).substr(at));
    server.settle();
    const Verdict verdict = corpus::match(replies, client.received(), client.closed());
    ASSERT_EQ(verdict.state, Verdict::State::done) << "split at " << at << ": " << verdict.error;
  }
}

TEST_P(PipeliningTest, ABodyFollowedByTheNextRequest) {
  Simulated server(small_buffers(), options());
  for (std::size_t size = 0; size <= 600; ++size) {
    const std::string body = letters(size);
    const std::string bytes = post_sized(body) + get_user(7) + post_sized(body) + get_user(8);
    expect_answers(server, bytes,
                   {reply("200", body), reply("200", "7"), reply("200", body), reply("200", "8")},
                   "a body of " + std::to_string(size));
    if (HasFailure()) return;
  }
}

TEST_P(PipeliningTest, AChunkedBodyFollowedByTheNextRequest) {
  Simulated server(small_buffers(), options());
  for (std::size_t size = 0; size <= 600; ++size) {
    const std::string body = letters(size);
    const std::string bytes =
        post_chunked(body, 1 + size % 37) + get_user(7) + post_chunked(body, 300) + get_user(8);
    expect_answers(server, bytes,
                   {reply("200", body), reply("200", "7"), reply("200", body), reply("200", "8")},
                   "a chunked body of " + std::to_string(size));
    if (HasFailure()) return;
  }
}

// As long as the limit allows: its end is read behind the whole of it.
TEST_P(PipeliningTest, ABodyOfExactlyTheLimitIsKept) {
  Simulated server(corpus::limits(), options());
  const std::string body = letters(16 * 1024);
  for (const std::size_t chunk : {std::size_t{16 * 1024}, std::size_t{1000}, std::size_t{7}}) {
    expect_answers(server, post_chunked(body, chunk) + get_user(1), {reply("200", body), reply("200", "1")},
                   "chunks of " + std::to_string(chunk));
  }
  expect_answers(server, post_sized(body) + get_user(1), {reply("200", body), reply("200", "1")}, "sized");
}

// Everything was read at once: nothing more comes that could wake the server.
TEST_P(PipeliningTest, NeverWaitsWhileACompleteRequestIsThere) {
  Simulated server(corpus::limits(), options());
  for (std::size_t count = 1; count <= 40; ++count) {
    std::string bytes;
    std::vector<Reply> replies;
    for (std::size_t n = 0; n < count; ++n) {
      bytes += get_user(n);
      replies.push_back(reply("200", std::to_string(n)));
    }
    expect_answers(server, bytes, replies, std::to_string(count) + " requests");
  }
}

TEST_P(PipeliningTest, AnswersDoNotWaitForTheRestOfTheNextRequest) {
  Simulated server(corpus::limits(), options());
  const std::string next = post_sized("hello");
  for (std::size_t part = 1; part < next.size(); ++part) {
    SimClient client = server.connect();
    client.send(get_user(1) + get_user(2) + next.substr(0, part));
    server.settle();
    std::vector<Reply> replies = {reply("200", "1"), reply("200", "2")};
    ASSERT_EQ(corpus::match(replies, client.received(), client.closed()).state, Verdict::State::done) << part;
    client.send(next.substr(part));
    server.settle();
    replies.push_back(reply("200", "hello"));
    ASSERT_EQ(corpus::match(replies, client.received(), client.closed()).state, Verdict::State::done) << part;
  }
}

// RFC 9112 9.3.2 asks for the order of answers, not for their delay.
TEST_P(PipeliningTest, AnswersDoNotWaitForAHandlerThatTakesItsTime) {
  microdot::App app;
  app.get("/fast", [](microdot::Request&) { return "fast"; });
  app.get("/slow", [](microdot::Request&) -> microdot::Task<const char*> {
    co_await microdot::sleep_for(std::chrono::seconds(20));
    co_return "slow";
  });
  microdot::TestClient server(app, options());
  SimClient client = server.sim().connect(app.port());
  client.send("GET /fast HTTP/1.1\r\nHost: a\r\n\r\nGET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
  server.run_for(std::chrono::seconds(1));
  EXPECT_TRUE(client.received().ends_with("\r\n\r\nfast")) << client.received();
  server.run_for(std::chrono::seconds(30));
  EXPECT_TRUE(client.received().ends_with("\r\n\r\nslow")) << client.received();
}

TEST_P(PipeliningTest, SlowReadersGetAThousandAnswersInOrder) {
  for (const std::size_t window : std::initializer_list<std::size_t>{1, 7, 100}) {
    Simulated server(small_buffers(), options());
    std::string bytes;
    std::vector<Reply> replies;
    const std::size_t count = window == 1 ? 100 : 1000;
    for (std::size_t n = 0; n < count; ++n) {
      bytes += get_user(n, 60 + n % 67);
      replies.push_back(reply("200", std::to_string(n)));
    }
    {
      SimClient client = server.connect();
      client.set_receive_window(window);
      client.send(bytes);
      const Verdict verdict = corpus::match(replies, server.read(client), client.closed());
      EXPECT_EQ(verdict.state, Verdict::State::done)
          << window << ": " << verdict.count << " " << verdict.error;
      EXPECT_EQ(server.calls(), count);
    }
    EXPECT_EQ(server.leftovers(), "");
  }
}

TEST_P(PipeliningTest, SlowReadersGetEveryKindOfAnswer) {
  const std::string body = letters(700);
  const std::string bytes = get_user(1) + "GET /chunked HTTP/1.1\r\nHost: a\r\n\r\n" + post_sized(body) +
                            "GET /empty HTTP/1.1\r\nHost: a\r\n\r\n" +
                            "GET /none HTTP/1.1\r\nHost: a\r\n\r\n" + post_chunked(body, 100) +
                            "GET /chunked HTTP/1.1\r\nHost: a\r\n\r\n" +
                            "DELETE /echo HTTP/1.1\r\nHost: a\r\n\r\n" + get_user(2) +
                            "GET / HTTP/1.1\r\nHost : a\r\n\r\n" + get_user(3);
  const std::vector<Reply> replies = {
      reply("200", "1"),  reply("200", "abcdef"), reply("200", body), reply("204"),      reply("404"),
      reply("200", body), reply("200", "abcdef"), reply("405"),       reply("200", "2"), reply("400")};
  for (std::size_t window = 1; window <= 100; window += 3) {
    Simulated server(small_buffers(), options());
    {
      SimClient client = server.connect();
      client.set_receive_window(window);
      client.send(bytes);
      const Verdict verdict = corpus::match(replies, server.read(client), client.closed());
      EXPECT_EQ(verdict.state, Verdict::State::done)
          << window << ": " << verdict.count << " " << verdict.error;
      EXPECT_TRUE(client.ended()) << window;
      EXPECT_FALSE(client.was_reset()) << window;
      EXPECT_EQ(server.calls(), 7u) << window;
    }
    EXPECT_EQ(server.leftovers(), "") << window;
  }
}

// Every fill of the response buffer meets every kind of head.
TEST_P(PipeliningTest, StreamedAnswersBehindOthersFindRoom) {
  for (std::size_t filler = 0; filler < 200; ++filler) {
    Simulated server(small_buffers(), options());
    SimClient client = server.connect();
    client.set_receive_window(100);
    const std::string body = letters(filler);
    client.send(post_sized(body) + "GET /chunked HTTP/1.1\r\nHost: a\r\n\r\n" + get_user(1));
    const Verdict verdict = corpus::match({reply("200", body), reply("200", "abcdef"), reply("200", "1")},
                                          server.read(client), client.closed());
    ASSERT_EQ(verdict.state, Verdict::State::done) << filler << ": " << verdict.count << " " << verdict.error;
  }
}

// The client reads on only when its window is free, and sends on only when it has its answers.
TEST_P(PipeliningTest, SlowReadersGetTheirAnswersBeforeTheySendOn) {
  Simulated server(corpus::limits(), options());
  {
    SimClient client = server.connect();
    client.set_receive_window(50);
    client.send(get_user(1) + get_user(2) + "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n");
    const auto start = server.now();
    std::string received = server.read(client);
    std::vector<Reply> replies = {reply("200", "1"), reply("200", "2")};
    EXPECT_EQ(corpus::match(replies, received, client.closed()).state, Verdict::State::done) << received;
    client.send("Expect: 100-continue\r\n\r\n");
    received += server.read(client);
    replies.push_back(reply("100"));
    EXPECT_EQ(corpus::match(replies, received, client.closed()).state, Verdict::State::done) << received;
    EXPECT_LT(server.now() - start, std::chrono::seconds(5)) << "no timeout helped";
    client.send("hello");
    received += server.read(client);
    replies.push_back(reply("200", "hello"));
    EXPECT_EQ(corpus::match(replies, received, client.closed()).state, Verdict::State::done) << received;
  }
  EXPECT_EQ(server.leftovers(), "");
}

TEST_P(PipeliningTest, ManyConnectionsPipelineOverFewExchanges) {
  Limits limits = small_buffers();
  limits.exchanges = 2;
  Simulated server(limits, options());
  {
    std::vector<SimClient> clients;
    std::string bytes;
    std::vector<Reply> replies;
    for (std::size_t n = 0; n < 50; ++n) {
      bytes += get_user(n, 60 + n);
      replies.push_back(reply("200", std::to_string(n)));
    }
    for (int i = 0; i < 20; ++i) {
      clients.push_back(server.connect());
      clients.back().send(bytes);
    }
    server.settle();
    for (SimClient& client : clients) {
      const Verdict verdict = corpus::match(replies, client.received(), client.closed());
      EXPECT_EQ(verdict.state, Verdict::State::done) << verdict.count << " " << verdict.error;
    }
  }
  EXPECT_EQ(server.leftovers(), "");
}

INSTANTIATE_TEST_SUITE_P(Transports, PipeliningTest, testing::Bool(),
                         [](const auto& its) { return its.param ? "ThatRefer" : "ThatCopy"; });

}  // namespace
