/// Bodies of both directions: slow readers, large answers, what is left unread, and who waits for whom.

#include <array>
#include <cstdio>

#include "sim_server.hpp"

namespace microdot_test {
namespace {

constexpr Limits kBodiesLimits{.connections = 9,
                               .exchanges = 1,
                               .head_bytes = 512,
                               .response_bytes = 512,
                               .arena_bytes = 4096,
                               .max_content_length = 4096,
                               .max_body_length = 256,
                               .linger_timeout = 2s,
                               .linger_bytes = 10'000};

const std::string& large() {
  static const std::string text = numbered(10'000'000);
  return text;
}
const std::string& medium() {
  static const std::string text = numbered(20'000);
  return text;
}

class Bodies : public testing::Test {
 protected:
  Bodies() : app_(kBodiesLimits) {
    app_.get("/", [](Request&) { return "Hello"; });
    app_.post("/echo", [](Request& req) { return Response(req.body()); });
    app_.post("/ignore", [](Request&) { return "ignored"; });
    app_.post("/refuse", [](Request&) { return abort(403, "no"); });
    app_.post("/count", [](Request& req) -> Task<Response> {
      std::size_t size = 0;
      for (;;) {
        const auto part = co_await req.stream().next();
        if (!part) co_return Response(to_string(part.error()), 400);
        if (part->empty()) break;
        size += part->size();
      }
      co_return Response(req.format("{}", size));
    });
    app_.get("/view", [](Request&) { return std::string_view(large()); });
    app_.get("/owned", [](Request&) { return large(); });
    app_.get("/file", [](Request&) { return send_file("large.txt"); });
    app_.get("/generator", [](Request&) -> Generator<std::string_view> {
      std::string_view rest = large();
      for (std::size_t size = 1; !rest.empty(); size = size * 7 % 40'009) {
        co_yield rest.substr(0, size);
        rest.remove_prefix(std::min(size, rest.size()));
      }
    });
    app_.get("/medium", [](Request&) { return std::string_view(medium()); });
    app_.get("/medium-file", [](Request&) { return send_file("medium.txt"); });
  }
  void add_files(SimServer& server) {
    server.sim.add_file("large.txt", large());
    server.sim.add_file("medium.txt", medium(), 1'600'000'000);
  }
  App app_;
};

std::string unchunk(std::string_view bytes) {
  std::string text;
  for (;;) {
    const std::size_t line = bytes.find("\r\n");
    if (line == std::string_view::npos) return text + " (cut)";
    const std::size_t size = std::stoul(std::string(bytes.substr(0, line)), nullptr, 16);
    if (size == 0) return text;
    text += bytes.substr(line + 2, size);
    bytes.remove_prefix(line + 2 + size + 2);
  }
}

TEST_F(Bodies, OfTenMegabytesReachSlowReadersWholeAndInOrder) {
  for (const bool refers : {false, true}) {
    SimServer server(app_, {.refers_to_written_bytes = refers});
    add_files(server);
    for (const std::string path : {"/view", "/owned", "/file", "/generator"}) {
      SimClient client = server.sim.connect(kPort);
      client.send(get(path));
      std::string got;
      got.reserve(large().size() + 200'000);
      for (std::size_t i = 0; i < 200'000; ++i) {
        client.set_receive_window(1 + i * 7919 % 30'000);
        server.loop.turn(Duration{0});
        server.loop.turn(1ms);
        got += client.received();
        client.consume(client.received().size());
        if (server.stats().connections == 1 && server.stats().exchanges == 0 && server.sim.idle() && i > 10 &&
            got.size() >= large().size())
          break;
      }
      const std::string_view body = body_of(got);
      EXPECT_TRUE((path == "/generator" ? unchunk(body) : std::string(body)) == large()) << path << refers;
      client.close();
      server.run_for(10ms);
      server.expect_clean(path);
    }
  }
}

TEST_F(Bodies, AnExchangeWaitsForItsOwnBytesAndNotForTheTailBehindThem) {
  // The head arrives at once, what follows it only after an hour.
  struct Faults final : SimFaults {
    Duration delay(unsigned connection, SimDirection direction) noexcept override {
      if (direction != SimDirection::to_client || connection != 0) return Duration{0};
      return pieces++ == 0 ? Duration{0} : Duration(1h);
    }
    int pieces = 0;
  } faults;
  SimServer server(app_, {.receive_window = 4000, .refers_to_written_bytes = true, .faults = &faults});
  SimClient client = server.send(get("/medium"));
  ASSERT_GT(client.received().size(), 0U);
  ASSERT_EQ(body_of(client.received()), "") << "the head alone, or this tests nothing";
  client.consume(client.received().size());
  server.settle();
  EXPECT_EQ(server.stats().exchanges, 0U);
  EXPECT_EQ(body_of(server.exchange(get("/"))), "Hello") << "the only exchange serves another one meanwhile";
}

TEST_F(Bodies, StaticBytesAndFilesAreSentWithoutAnExchange) {
  for (const std::string path : {"/medium", "/medium-file"}) {
    SimServer server(app_);
    add_files(server);
    std::array<SimClient, 8> slow;
    for (SimClient& client : slow) {
      client = server.sim.connect(kPort);
      client.set_receive_window(1000);
      client.send(get(path));
    }
    server.run_for(10ms);
    EXPECT_EQ(server.stats().exchanges, 0U) << path;
    EXPECT_EQ(server.stats().queued, 0U) << path;
    EXPECT_EQ(body_of(server.exchange(get("/"))), "Hello") << path;
    for (SimClient& client : slow) {
      std::string got;
      for (int i = 0; i < 40; ++i) {
        got += client.received();
        client.consume(client.received().size());
        server.run_for(1ms);
      }
      EXPECT_EQ(body_of(got), medium()) << path;
      client.send(get("/"));  // the connection goes on
      server.settle();
      EXPECT_EQ(body_of(client.received()), "Hello") << path;
    }
    EXPECT_EQ(server.sim.open_files(), 0U);
  }
}

TEST_F(Bodies, BytesOfTheRequestsObjectsKeepTheirExchange) {
  app_.get("/object", [](Request& req) {
    auto* text = req.g_emplace<std::string>(medium());
    return std::string_view(*text);
  });
  SimServer server(app_);
  SimClient client = server.sim.connect(kPort);
  client.set_receive_window(1000);
  client.send(get("/object"));
  server.run_for(10ms);
  EXPECT_EQ(server.stats().exchanges, 1U);
  std::string got;
  for (int i = 0; i < 40; ++i) {
    got += client.received();
    client.consume(client.received().size());
    server.run_for(1ms);
  }
  EXPECT_EQ(body_of(got), medium());
}

TEST_F(Bodies, OfAConnectionThatEndsAreWholeToo) {
  for (const std::string path : {"/medium", "/medium-file"}) {
    SimServer server(app_);
    add_files(server);
    SimClient client = server.sim.connect(kPort);
    client.set_receive_window(1000);
    client.send(get(path, "Connection: close\r\n"));
    std::string got;
    for (int i = 0; i < 40; ++i) {
      server.run_for(1ms);
      got += client.received();
      client.consume(client.received().size());
    }
    EXPECT_EQ(body_of(got), medium()) << path;
    EXPECT_TRUE(client.ended()) << path;
    EXPECT_FALSE(client.was_reset()) << path;
  }
}

TEST_F(Bodies, RequestsBehindADownloadAreAnsweredAfterIt) {
  for (const std::string path : {"/medium", "/medium-file"}) {
    SimServer server(app_);
    add_files(server);
    for (const bool at_once : {true, false}) {
      SimClient client = server.sim.connect(kPort);
      client.set_receive_window(1000);
      client.send(get(path) + (at_once ? get("/") : ""));
      server.settle();
      if (!at_once) client.send(get("/"));
      std::string got;
      for (int i = 0; i < 60; ++i) {
        server.run_for(1ms);
        got += client.received();
        client.consume(client.received().size());
      }
      EXPECT_EQ(answers_in(got), 2) << path;
      EXPECT_THAT(got, testing::EndsWith("\r\n\r\nHello"));
      EXPECT_EQ(body_of(got).substr(0, medium().size()), medium());
    }
  }
}

TEST_F(Bodies, HeadAndNotModifiedSendNoneAndCloseTheFile) {
  SimServer server(app_);
  add_files(server);
  const std::string whole = server.exchange(get("/medium-file", "Connection: close\r\n"));
  const std::size_t etag = whole.find("ETag: ");
  ASSERT_NE(etag, std::string::npos);
  const std::string tag = whole.substr(etag + 6, whole.find('\r', etag) - etag - 6);
  SimClient client = server.send("HEAD /medium-file HTTP/1.1\r\nHost: a\r\n\r\n" +
                                 get("/medium-file", "If-None-Match: " + tag + "\r\n") + get("/"));
  EXPECT_EQ(answers_in(client.received()), 3);
  EXPECT_THAT(std::string(client.received()), testing::HasSubstr("Content-Length: 20000\r\n"));
  EXPECT_THAT(std::string(client.received()), testing::HasSubstr("HTTP/1.1 304 "));
  EXPECT_THAT(std::string(client.received()), testing::EndsWith("\r\n\r\nHello"));
  EXPECT_LT(client.received().size(), 1500U);
  EXPECT_EQ(server.sim.open_files(), 0U);
}

TEST_F(Bodies, StreamsWithLargeHeadsFitInTheirTurn) {
  static const std::string kFill(420, 'f');
  for (std::size_t size = 300; size <= kFill.size(); ++size) {
    App app(kBodiesLimits);
    app.get("/", [size](Request&) {
      struct Body {
        static Generator<std::string_view> pieces() {
          co_yield "one ";
          co_yield "two";
        }
      };
      Response response(Body::pieces());
      response.header("X", std::string_view(kFill).substr(0, size));
      return response;
    });
    SimServer server(app);
    const std::string got = server.exchange(get("/"));
    if (status_of(got) != 200) {
      EXPECT_EQ(status_of(got), 500) << size;  // a head that is too large for the buffer
      EXPECT_GT(size, 350U);
      continue;
    }
    EXPECT_EQ(unchunk(body_of(got)), "one two") << size;
  }
}

TEST_F(Bodies, ThatAreTooLargeAreDrainedSoThatTheAnswerArrives) {
  SimServer server(app_);
  const std::string request = post("/echo", std::string(9000, 'x'));
  SimClient client = server.send(request);
  EXPECT_EQ(status_of(client.received()), 413);
  EXPECT_TRUE(client.ended());
  EXPECT_FALSE(client.was_reset());
  EXPECT_EQ(client.unread(), 0U);
  client.close();
  server.settle();
  server.expect_clean("after the client's end");
}

TEST_F(Bodies, AreDrainedNoFurtherThanTheBound) {
  SimServer server(app_);
  SimClient client = server.sim.connect(kPort);
  client.set_segment_size(1000);
  client.send(post("/echo", std::string(100'000, 'x')));
  server.run_for(100ms);
  EXPECT_EQ(status_of(client.received()), 413);
  EXPECT_FALSE(client.was_reset());  // it has time to read the answer
  EXPECT_GT(client.unread(), 85'000U);
  server.run_for(3s);
  EXPECT_TRUE(client.was_reset());
  server.expect_clean("after the linger timeout");
}

TEST_F(Bodies, InChunksAboveTheLimitHaveOneOutcomeHoweverTheyAreCut) {
  int ran = 0;
  std::size_t streamed = 0;
  app_.post("/form", [&ran](Request& req) {
    ++ran;
    return req.form() == nullptr ? "none" : "kept";
  });
  app_.post("/stream", [&](Request& req) -> Task<Response> {
    ++ran;
    for (streamed = 0;;) {
      const auto part = co_await req.stream().next();
      if (!part) co_return Response("broken", 400);
      if (part->empty()) co_return Response("whole");
      streamed += part->size();
    }
  });
  const auto chunked = [](std::string_view path, std::string_view end) {
    return "POST " + std::string(path) +
           " HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
           "Transfer-Encoding: chunked\r\n\r\n101\r\n" +
           std::string(257, 'x') + "\r\n" + std::string(end);
  };
  for (const std::size_t cut : {SIZE_MAX, std::size_t{1}, std::size_t{7}}) {
    const auto answer = [&](const std::string& request) {
      SimServer server(app_);
      SimClient client = server.sim.connect(kPort);
      client.set_segment_size(cut);
      client.send(request);
      server.run_for(1s);
      return std::string(client.received());
    };
    EXPECT_EQ(status_of(answer(chunked("/form", "0\r\n\r\n"))), 413) << cut;
    EXPECT_EQ(std::exchange(ran, 0), 1) << cut;
    EXPECT_EQ(body_of(answer(chunked("/stream", "0\r\n\r\n"))), "whole") << cut;
    EXPECT_EQ(std::exchange(ran, 0), 1) << cut;
    const std::string broken = answer(chunked("/stream", "0S"));
    EXPECT_EQ(status_of(broken), 400) << cut;
    EXPECT_EQ(body_of(broken), "broken") << cut;
    EXPECT_EQ(streamed, 257U) << cut;
    EXPECT_EQ(std::exchange(ran, 0), 1) << cut;
  }
}

// Heads and bodies of pipelined requests lie anywhere in the memory that they are read to, also across the
// place that bodies are collected in.
TEST_F(Bodies, OfPipelinedRequestsAreToldApartWhereverTheyLie) {
  const auto chunked = [](std::string_view path, std::string_view body, std::size_t piece,
                          const std::string& fields) {
    std::string text = "POST " + std::string(path) +
                       " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" + fields + "\r\n";
    for (; !body.empty(); body.remove_prefix(std::min(piece, body.size()))) {
      char size[20];
      std::snprintf(size, sizeof size, "%zx\r\n", std::min(piece, body.size()));
      text.append(size).append(body.substr(0, piece)).append("\r\n");
    }
    return text + "0\r\n\r\n";
  };
  SimServer server(app_);
  std::string requests;
  std::string answers;
  for (std::size_t i = 0; i < 60; ++i) {
    const std::string body = numbered(1 + i * 7919 % 251);       // is kept
    const std::string stream = numbered(257 + i * 7907 % 1400);  // is not
    const std::string fields = "X: " + std::string(i * 7901 % 400, 'x') + "\r\n";
    const std::string request = i % 5 == 0   ? get("/", fields)
                                : i % 5 == 1 ? post("/echo", body, fields)
                                : i % 5 == 2 ? chunked("/echo", body, 1 + i % 97, fields)
                                : i % 5 == 3 ? post("/count", stream, fields)
                                             : chunked("/count", stream, 1 + i % 331, fields);
    requests += request;
    const std::string answer = server.exchange(request);
    ASSERT_EQ(status_of(answer), 200) << request;
    ASSERT_TRUE((i % 5 != 1 && i % 5 != 2) || body_of(answer) == body) << request;
    answers += answer;
  }
  constexpr std::size_t kCuts[] = {97, 511, 512, 513, 1040, 1551, 1552, 1553, 5000, 1'000'000};
  for (const std::size_t cut : kCuts) {
    SimClient client = server.sim.connect(kPort);
    client.set_segment_size(cut);
    client.send(requests);
    for (int i = 0; i < 10'000 && client.received().size() < answers.size(); ++i)
      server.loop.turn(Duration{0});
    EXPECT_TRUE(client.received() == answers) << cut;
    EXPECT_EQ(app_.check(), nullptr);
  }
}

TEST_F(Bodies, ThatAHandlerIgnoresEndTheConnectionUnlessTheyAreThereAlready) {
  SimServer server(app_);
  SimClient small = server.send(post("/ignore", "small") + get("/"));
  EXPECT_EQ(answers_in(small.received()), 2);
  SimClient large_one = server.send(post("/ignore", std::string(2000, 'x')) + get("/"));
  EXPECT_EQ(answers_in(large_one.received()), 1);
  EXPECT_THAT(std::string(large_one.received()), testing::HasSubstr("Connection: close"));
  EXPECT_TRUE(large_one.ended());
  EXPECT_FALSE(large_one.was_reset());
}

TEST_F(Bodies, AnEndThatTheServerChoosesDoesNotResetWhatTheClientSentMeanwhile) {
  Limits limits = kBodiesLimits;
  limits.connections = 1;
  App app(limits);
  app.get("/sleep", [](Request&) -> Task<Response> {
    co_await sleep_for(1s);
    co_return Response("slept");
  });
  SimServer server(app);
  SimClient client = server.send(get("/sleep"));
  client.send(get("/sleep"));  // stays with TCP
  server.run_for(100ms);
  app.shutdown();  // so that the answer ends the connection
  server.run_for(1s);
  EXPECT_EQ(body_of(client.received()), "slept");
  EXPECT_TRUE(client.ended());
  EXPECT_FALSE(client.was_reset());
}

TEST_F(Bodies, ADownloadThatOutlastsTheServerIsNotCutByARequestBehindIt) {
  SimServer server(app_);
  SimClient client = server.sim.connect(kPort);
  client.set_receive_window(1000);
  client.send(get("/medium"));
  server.run_for(1ms);
  client.send(get("/"));  // stays with TCP
  server.run_for(1ms);
  app_.shutdown();
  std::string got;
  for (int i = 0; i < 60; ++i) {
    server.run_for(1ms);
    got += client.received();
    client.consume(client.received().size());
  }
  EXPECT_EQ(body_of(got), medium());
  EXPECT_TRUE(client.ended());
  EXPECT_FALSE(client.was_reset());
}

// Expect: 100-continue (RFC 9110 10.1.1)

constexpr std::string_view kExpect = "Expect: 100-continue\r\n";
constexpr std::string_view kGoOn = "HTTP/1.1 100 Continue\r\n\r\n";

TEST_F(Bodies, AClientThatWaitsIsToldToGoOn) {
  for (const std::string path : {"/echo", "/count"}) {
    for (const std::size_t size : {10U, 1000U}) {
      if (path == "/echo" && size > 256) continue;
      SimServer server(app_);
      const std::string body(size, 'x');
      const std::string request = post(path, body, kExpect);
      SimClient client = server.send(std::string_view(request).substr(0, request.size() - size));
      EXPECT_EQ(client.received(), kGoOn) << path;
      client.send(body);
      server.settle();
      const std::string_view answer = client.received().substr(kGoOn.size());
      EXPECT_EQ(body_of(answer), path == "/echo" ? body : std::to_string(size)) << path;
      client.send(get("/"));
      server.settle();
      EXPECT_EQ(answers_in(client.received()), 3);
    }
  }
}

TEST_F(Bodies, AClientThatDoesNotWaitIsNotTold) {
  SimServer server(app_);
  EXPECT_EQ(body_of(server.exchange(post("/echo", "body", kExpect))), "body");
  EXPECT_EQ(body_of(server.exchange(post("/count", "body", kExpect))), "4");
}

TEST_F(Bodies, AnOldClientIsNeverToldToGoOn) {
  SimServer server(app_);
  SimClient client = server.send("POST /echo HTTP/1.0\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.received(), "");
  client.send("body");
  server.settle();
  EXPECT_EQ(body_of(client.received()), "body");
}

TEST_F(Bodies, ARefusalComesInsteadOfTheBody) {
  SimServer server(app_);
  // Too large; a route that there is not; a handler that refuses.
  for (const auto& [path, size, status] :
       {std::tuple("/echo", 9000, 413), std::tuple("/none", 1000, 404), std::tuple("/refuse", 1000, 403)}) {
    const std::string head = std::string("POST ") + path +
                             " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(size) + "\r\n" +
                             std::string(kExpect) + "\r\n";
    SimClient client = server.send(head);
    EXPECT_EQ(status_of(client.received()), status);
    EXPECT_THAT(std::string(client.received()), testing::HasSubstr("Connection: close"));
    EXPECT_TRUE(client.ended());
    // The next one on the same exchange owes nothing to that.
    SimClient next = server.send("");
    server.run_for(10ms);
    next.send("GET / HT");
    server.settle();
    EXPECT_EQ(next.received(), "");
    next.send("TP/1.1\r\nHost: a\r\n\r\n");
    server.settle();
    EXPECT_EQ(body_of(next.received()), "Hello");
  }
}

TEST_F(Bodies, AnAnswerThatHasBegunIsNotInterruptedByGoOn) {
  app_.post("/both", [](Request& req) -> Generator<std::string_view> {
    co_yield "begun ";
    for (;;) {
      const auto part = co_await req.stream().next();
      if (!part || part->empty()) break;
    }
    co_yield "read";
  });
  SimServer server(app_);
  const std::string request = post("/both", std::string(1000, 'x'), kExpect);
  SimClient client = server.send(std::string_view(request).substr(0, request.size() - 1000));
  EXPECT_EQ(answers_in(client.received()), 1);
  client.send(std::string(1000, 'x'));
  server.settle();
  EXPECT_EQ(unchunk(body_of(client.received())), "begun read");
  EXPECT_EQ(answers_in(client.received()), 1);
}

TEST(FastBodies, SmallPiecesThatNeedNoWaitingLeaveTogether) {
  App app;
  SimServer* at = nullptr;
  app.get("/", [&](Request&) -> Generator<std::string_view> {
    for (int i = 0; i < 1000; ++i) {
      at->sim.advance(1us);  // to make one takes some time, too
      co_yield "piece";
    }
  });
  SimServer server(app);
  at = &server;
  SimClient client = server.sim.connect(kPort);
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  int turns = 0;  // each write of its own would take one
  while (!client.received().ends_with("\r\n0\r\n\r\n") && turns < 200) {
    server.loop.turn(Duration{0});
    ++turns;
  }
  EXPECT_LT(turns, 10);
  std::string all;
  for (int i = 0; i < 1000; ++i) all += "piece";
  EXPECT_EQ(unchunk(body_of(client.received())), all);
}

// One write for all of them, as all of them were read at once.
TEST(FastBodies, WhatABrowserSendsAtOnceIsReadAndAnsweredAtOnce) {
  App app;
  app.get("/", [](Request&) { return "Hello"; });
  SimServer server(app);
  std::string requests;
  for (int i = 0; i < 16; ++i) requests += get("/", "Cookie: " + std::string(1000, 'x') + "\r\n");
  SimClient client = server.sim.connect(kPort);
  client.set_segment_size(requests.size());
  client.send(requests);
  const auto turns_with_answers = [&] {
    int count = 0;
    for (std::size_t before = 0, i = 0; i < 100; ++i, before = client.received().size()) {
      server.loop.turn(Duration{0});
      if (client.received().size() != before) ++count;
    }
    return count;
  };
  EXPECT_EQ(turns_with_answers(), 1);
  EXPECT_EQ(answers_in(client.received()), 16);
}

TEST(FastBodies, AGeneratorsAnswerHasTheDefaultTypeInEveryVersion) {
  App app;
  app.get("/", [](Request&) -> Generator<std::string_view> { co_yield "piece"; });
  app.get("/none", [](Request&) { return 204; });
  SimServer server(app);
  for (const std::string version : {"1.0", "1.1"}) {
    for (const std::string method : {"GET ", "HEAD "}) {
      const SimClient client = server.send(method + "/ HTTP/" + version + "\r\nHost: a\r\n\r\n");
      EXPECT_THAT(client.received(), testing::HasSubstr("\r\nContent-Type: text/plain; charset=UTF-8\r\n"))
          << method << version;
    }
    const SimClient none = server.send("GET /none HTTP/" + version + "\r\nHost: a\r\n\r\n");
    EXPECT_THAT(none.received(), testing::Not(testing::HasSubstr("Content-Type")));
  }
}

TEST(FastBodies, PiecesThatTakeTimeAreSentAsTheyCome) {
  App app;
  SimServer* at = nullptr;
  int pieces = 0;
  app.get("/", [&](Request&) -> Generator<std::string_view> {
    for (; pieces < 100; ++pieces) {
      at->sim.advance(10ms);  // computes
      co_yield "piece";
    }
  });
  SimServer server(app);
  at = &server;
  SimClient client = server.sim.connect(kPort);
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  for (int turns = 0; pieces < 100 && turns < 1000; ++turns) {
    const int before = pieces;
    server.loop.turn(Duration{0});
    // A turn has sixteen rounds, and sends a piece in each.
    EXPECT_LE(pieces - before, 16);
  }
  server.settle();
  EXPECT_TRUE(client.received().ends_with("\r\n0\r\n\r\n"));
}

TEST(FastBodies, StaticTextForASlowClientHoldsNoExchange) {
  const std::string text(20'000, 't');
  App app(Limits{.connections = 4, .exchanges = 1});
  app.get("/text", [&text](Request&) { return std::string_view(text); });
  app.get("/", [](Request&) { return "Hello"; });
  SimServer server(app);
  SimClient slow = server.sim.connect(kPort);
  slow.set_receive_window(1000);
  slow.send(get("/text"));
  server.settle();
  EXPECT_LT(slow.received().size(), text.size());
  SimClient other = server.send(get("/"));
  EXPECT_EQ(body_of(other.received()), "Hello") << "it needs the only exchange";
}

TEST(FastBodies, EmptyPiecesWithoutEndLeaveTheLoopToOthers) {
  App app;
  bool enough = false;
  std::size_t pieces = 0;
  app.get("/", [&](Request&) -> Generator<std::string_view> {
    while (!enough && pieces < 1'000'000) {
      ++pieces;
      co_yield "";
    }
  });
  app.get("/enough", [&enough](Request&) {
    enough = true;
    return "it ends";
  });
  SimServer server(app);
  SimClient client = server.sim.connect(kPort);
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  for (int i = 0; i < 5; ++i) server.loop.turn(Duration{0});
  EXPECT_LT(pieces, 5000u);
  SimClient other = server.sim.connect(kPort);
  other.send("GET /enough HTTP/1.1\r\nHost: a\r\n\r\n");
  for (int i = 0; i < 20; ++i) server.loop.turn(Duration{0});
  EXPECT_EQ(body_of(other.received()), "it ends");
  EXPECT_TRUE(client.received().ends_with("\r\n0\r\n\r\n"));
}

TEST(FastBodies, AnUploadLeavesTheLoopToOthersInBetween) {
  App app(Limits{
      .connections = 2, .exchanges = 1, .max_content_length = 8 * 1024 * 1024, .max_body_length = 1024});
  std::size_t read = 0;
  app.post("/", [&read](Request& req) -> Task<Response> {
    for (;;) {
      const auto part = co_await req.stream().next();
      if (!part || part->empty()) co_return Response("read");
      read += part->size();
    }
  });
  SimServer server(app);
  SimClient client = server.sim.connect(kPort);
  client.send(post("/", std::string(4 * 1024 * 1024, 'x')));
  std::size_t most = 0;
  for (int i = 0; i < 1000 && client.received().empty(); ++i) {
    const std::size_t before = read;
    server.loop.turn(Duration{0});
    most = std::max(most, read - before);
  }
  EXPECT_EQ(read, 4U * 1024 * 1024);
  EXPECT_EQ(body_of(client.received()), "read");
  EXPECT_LT(most, 300U * 1024);
}

}  // namespace
}  // namespace microdot_test
