/// Clients that leave: at any byte of what they send or get, in order or with a reset.

#include "sim_server.hpp"

namespace microdot_test {
namespace {

int counters_alive = 0;  // counters that requests took and must give back
struct Counter {
  Counter() { ++counters_alive; }
  Counter(const Counter&) = delete;
  Counter& operator=(const Counter&) = delete;
  ~Counter() { --counters_alive; }
};

constexpr Limits kSmall{.connections = 4,
                        .exchanges = 2,
                        .head_bytes = 512,
                        .response_bytes = 512,
                        .arena_bytes = 4096,
                        .max_content_length = 4096,
                        .max_body_length = 256};

Generator<std::string_view> pieces(Request& req) {
  const Counter counter;
  co_yield req.path;
  co_await sleep_for(10ms);
  co_yield "second";
  co_await sleep_for(10ms);
  co_yield "third";
}

Task<Response> read_all(Request& req) {
  const Counter counter;
  std::size_t size = 0;
  for (;;) {
    const Result<std::string_view> part = co_await req.stream().next();
    if (!part) co_return Response("cut", 400);
    if (part->empty()) break;
    size += part->size();
  }
  co_await sleep_for(5ms);
  co_return Response(req.format("{}", size));
}

struct Scenario {
  const char* name;
  std::string request;
};

std::vector<Scenario> scenarios() {
  std::string chunked = "POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 12; ++i) chunked += "20\r\n" + std::string(32, 'x') + "\r\n";
  chunked += "0\r\n\r\n";
  return {{"static text", get("/")},
          {"body", post("/echo", "some body")},
          {"large body", post("/stream", numbered(600))},
          {"chunked body", chunked},
          {"generator", get("/pieces")},
          {"file", get("/file")},
          {"small file", get("/small")},
          {"slow handler", get("/slow")},
          {"large view", get("/large")},
          {"not found", get("/none")},
          {"five in a row", get("/") + post("/echo", "b") + get("/pieces") + get("/small") + get("/")}};
}

class Leaving : public testing::Test {
 protected:
  Leaving() : app_(kSmall) {
    counters_alive = 0;
    app_.before_request([](Request& req) {
      req.g_emplace<Counter>();
      ++counters_alive;
      req.on_end([] { --counters_alive; });
    });
    app_.get("/", [](Request&) { return "Hello"; });
    app_.post("/echo", [](Request& req) { return Response(req.body()); });
    app_.post("/stream", read_all);
    app_.get("/pieces", [](Request& req) { return pieces(req); });
    app_.get("/file", [](Request&) { return send_file("file.txt"); });
    app_.get("/small", [](Request&) { return send_file("small.txt"); });
    app_.get("/large", [](Request&) { return std::string_view(kLarge); });
    app_.get("/slow", [](Request&) -> Task<Response> {
      const Counter counter;
      co_await sleep_for(20ms);
      co_return Response("slow");
    });
  }

  void add_files(SimServer& server) {
    server.sim.add_file("file.txt", numbered(3000));
    server.sim.add_file("small.txt", "small");
  }

  static const std::string kLarge;
  App app_;
};
const std::string Leaving::kLarge = numbered(2000);

enum class Way { close, reset, half_close };

void leave(SimClient& client, Way way) {
  switch (way) {
    case Way::close: client.close(); return;
    case Way::reset: client.reset(); return;
    case Way::half_close: client.shutdown_write(); return;
  }
}

void expect_all_gone(SimServer& server, const std::string& when) {
  server.expect_clean(when);
  EXPECT_EQ(counters_alive, 0) << when;
  EXPECT_EQ(status_of(server.exchange(get("/", "Connection: close\r\n"))), 200) << when;
}

TEST_F(Leaving, AtAnyByteOfTheRequestLeavesNothingBehind) {
  for (const bool refers : {false, true}) {
    SimServer server(app_, {.refers_to_written_bytes = refers});
    add_files(server);
    for (const Scenario& scenario : scenarios()) {
      for (const Way way : {Way::close, Way::reset}) {
        for (std::size_t at = 0; at <= scenario.request.size(); ++at) {
          const std::string when = std::string(scenario.name) + " cut at " + std::to_string(at) +
                                   (way == Way::reset ? " by a reset" : " by a close");
          SimClient client = server.send(std::string_view(scenario.request).substr(0, at));
          leave(client, way);
          server.run_for(300ms);
          expect_all_gone(server, when);
          if (HasFailure()) return;
        }
      }
    }
  }
}

TEST_F(Leaving, AtAnyByteOfTheAnswerLeavesNothingBehind) {
  for (const bool refers : {false, true}) {
    SimServer server(app_, {.refers_to_written_bytes = refers});
    add_files(server);
    for (const Scenario& scenario : scenarios()) {
      std::size_t size;
      {
        SimClient client = server.send(scenario.request);
        server.run_for(300ms);
        size = client.received().size();
        ASSERT_GT(size, 0U);
      }
      for (const Way way : {Way::close, Way::reset}) {
        for (std::size_t at = 0; at < size; at += at < 300 ? 1 : 17) {
          const std::string when = std::string(scenario.name) + " left after byte " + std::to_string(at) +
                                   (way == Way::reset ? " by a reset" : " by a close");
          SimClient client = server.sim.connect(kPort);
          client.set_receive_window(at);
          client.send(scenario.request);
          server.run_for(100ms);
          EXPECT_EQ(client.received().size(), at) << when;
          leave(client, way);
          server.run_for(300ms);
          expect_all_gone(server, when);
          if (HasFailure()) return;
        }
      }
    }
  }
}

TEST_F(Leaving, AClientThatHasOnlyEndedItsSideGetsItsWholeAnswer) {
  SimServer server(app_);
  add_files(server);
  for (const Scenario& scenario : scenarios()) {
    SimClient whole = server.sim.connect(kPort);  // both at the same time, for the Date
    SimClient half = server.sim.connect(kPort);
    whole.send(scenario.request);
    half.send(scenario.request);
    half.shutdown_write();
    server.run_for(300ms);
    EXPECT_EQ(half.received(), whole.received()) << scenario.name;
    EXPECT_TRUE(half.ended()) << scenario.name;
    EXPECT_FALSE(half.was_reset()) << scenario.name;
    whole.close();
    server.run_for(300ms);
    expect_all_gone(server, scenario.name);
  }
}

TEST_F(Leaving, AnEndNeverCancelsAHandlerAndAResetDoes) {
  int finished = 0;
  int ended = 0;
  app_.get("/work", [&](Request& req) -> Task<Response> {
    req.on_end([&ended] { ++ended; });
    co_await sleep_for(10s);
    ++finished;
    co_return Response("done");
  });
  SimServer server(app_);
  SimClient fin = server.send(get("/work"));
  fin.shutdown_write();
  SimClient rst = server.send(get("/work"));
  rst.reset();
  server.run_for(1s);
  EXPECT_EQ(ended, 1);  // the reset one, at once
  EXPECT_EQ(server.stats().exchanges, 1U);
  server.run_for(10s);
  EXPECT_EQ(finished, 1);
  EXPECT_EQ(ended, 2);
  EXPECT_EQ(body_of(fin.received()), "done");
}

TEST_F(Leaving, AHandlerThatReadsTheBodyIsToldAndMayFinish) {
  std::string outcome;
  app_.post("/told", [&](Request& req) -> Task<Response> {
    for (;;) {
      const Result<std::string_view> part = co_await req.stream().next();
      if (!part) {
        outcome = to_string(part.error());
        co_await sleep_for(100ms);
        outcome += ", tidied up";
        co_return Response("nobody reads this");
      }
    }
  });
  SimServer server(app_);
  SimClient client = server.send(post("/told", std::string(1000, 'x')).substr(0, 700));
  client.reset();
  server.run_for(1s);
  EXPECT_EQ(outcome, std::string(to_string(Error::closed)) + ", tidied up");
  server.expect_clean("after the reset");
}

TEST_F(Leaving, AHandlerThatWasToldDoesNotHoldItsExchangeForever) {
  Event never;
  app_.post("/told", [&](Request& req) -> Task<Response> {
    while (co_await req.stream().next()) {
    }
    co_await never.wait();
    co_return Response("");
  });
  SimServer server(app_);
  SimClient client = server.send(post("/told", std::string(1000, 'x')).substr(0, 700));
  client.reset();
  server.run_for(Duration(kSmall.linger_timeout) + 1s);
  server.expect_clean("after the reset");
  EXPECT_EQ(counters_alive, 0);
}

TEST_F(Leaving, TheNextClientIsNotToldToGoOnInstead) {
  app_.post("/wait", [](Request&) -> Task<Response> {
    co_await sleep_for(1h);
    co_return Response("");
  });
  SimServer server(app_);
  for (int i = 0; i < 2; ++i) {  // both exchanges
    SimClient client =
        server.send(post("/wait", std::string(1000, 'x'), "Expect: 100-continue\r\n").substr(0, 90));
    EXPECT_EQ(server.stats().exchanges, 1U);
    client.reset();
    server.settle();
    SimClient next = server.send("GET / HT");
    EXPECT_EQ(next.received(), "");
    next.send("TP/1.1\r\nHost: a\r\n\r\n");
    server.settle();
    EXPECT_EQ(body_of(next.received()), "Hello");
  }
}

TEST_F(Leaving, ABranchThatStoppedReadingIsForgotten) {
  Limits limits = kSmall;
  limits.arena_bytes = 16 * 1024;
  App app(limits);
  app.post("/branch", [](Request& req) -> Task<Response> {
    struct Read {
      static Task<int> one(Request& request) {
        const auto part = co_await request.stream().next();
        co_return part ? static_cast<int>(part->size()) : -1;
      }
    };
    for (;;) {  // what came with the head
      const Result<int> first = co_await wait_for(Read::one(req), 50ms);
      if (!first) break;
    }
    co_await sleep_for(100ms);  // bytes come in the meantime, and nobody waits for them
    const int rest = co_await Read::one(req);
    co_return Response(req.format("{}", rest));
  });
  SimServer server(app);
  const std::string request = post("/branch", std::string(1000, 'x'));
  SimClient client = server.send(std::string_view(request).substr(0, request.size() - 100));
  server.run_for(100ms);
  client.send(std::string(100, 'x'));
  server.run_for(1s);
  EXPECT_EQ(body_of(client.received()), "100");
}

}  // namespace
}  // namespace microdot_test
