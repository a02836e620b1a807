// Bodies of requests: kept as a whole, streamed, too large, or never complete.

#include <array>

#include "support.hpp"

namespace {

constexpr Limits kSmall{.max_content_length = 4096, .max_body_length = 2048};

/// Reads the whole stream in parts of at most `part` bytes.
Task<Result<std::string>> read_all(Request& req, std::size_t part) {
  std::string all;
  std::array<char, 512> buffer{};
  for (;;) {
    const Result<std::size_t> size = co_await req.stream().read({buffer.data(), part});
    if (!size) co_return size.error();
    if (*size == 0) co_return all;
    all.append(buffer.data(), *size);
  }
}

std::string chunked(std::string_view path, std::string_view body, std::size_t chunk) {
  std::string text =
      "POST " + std::string(path) + " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  while (!body.empty()) {
    const std::string_view part = body.substr(0, chunk);
    char size[16];
    text.append(size, static_cast<std::size_t>(std::snprintf(size, sizeof size, "%zx\r\n", part.size())));
    text.append(part).append("\r\n");
    body.remove_prefix(part.size());
  }
  return text + "0\r\n\r\n";
}

std::string bytes(std::size_t size) {
  std::string text(size, ' ');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 23);
  return text;
}

void add_routes(App& app) {
  app.post("/body", [](Request& req) { return std::string(req.body()); });
  app.post("/size", [](Request& req) { return req.format("{}/{}", req.body().size(), req.content_length); });
  app.post("/stream/<int:part>", [](Request& req, std::size_t part) -> Task<Response> {
    Result<std::string> all = co_await read_all(req, part);
    if (!all) co_return Response(to_string(all.error()), 400);
    co_return Response(std::move(*all));
  });
}

}  // namespace

TEST(RequestBody, UpToItsLimitIsKept) {
  App app{kSmall};
  add_routes(app);
  TestClient client(app);
  for (const std::size_t size : {0U, 1U, 100U, 2047U, 2048U}) {
    EXPECT_EQ(client.post("/body", bytes(size)).text, bytes(size)) << size;
  }
  for (const std::size_t size : {2049U, 4095U, 4096U}) {
    EXPECT_EQ(client.post("/size", bytes(size)).text, "0/" + std::to_string(size));
  }
  const std::string binary("\0\xff\r\n\r\n\x80", 7);
  EXPECT_EQ(client.post("/body", binary).text, binary);
}

TEST(RequestBody, AboveTheContentLimitIsRefused) {
  App app{kSmall};
  add_routes(app);
  TestClient client(app);
  auto res = client.post("/body", bytes(4097));
  EXPECT_EQ(res.status_code, 413);
  EXPECT_EQ(res.text, "Payload too large");
  EXPECT_EQ(client.post("/stream/512", bytes(4097)).status_code, 413);
  // Also without a route: the length is looked at first, as in Microdot.
  EXPECT_EQ(client.post("/missing", bytes(4097)).status_code, 413);
  EXPECT_EQ(client.post("/body", "small again").text, "small again");
}

TEST(RequestBody, IsGivenByTheStreamWhateverItsSize) {
  App app{kSmall};
  add_routes(app);
  TestClient client(app);
  for (const std::size_t size : {0U, 1U, 511U, 512U, 513U, 2047U, 2048U, 2049U, 4096U}) {
    for (const char* url : {"/stream/512", "/stream/7"}) {
      EXPECT_EQ(client.post(url, bytes(size)).text, bytes(size)) << size << url;
    }
  }
}

TEST(RequestBody, Chunked) {
  App app{kSmall};
  add_routes(app);
  TestClient client(app);
  const auto post = [&client](std::string_view path, std::size_t size, std::size_t chunk) {
    const std::string answer = client.raw(chunked(path, bytes(size), chunk) +
                                          "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    const std::size_t head = answer.find("\r\n\r\n") + 4;
    const std::size_t next = answer.find("HTTP/1.1 404", head);
    EXPECT_NE(next, std::string::npos) << path << size << "/" << chunk;
    return answer.substr(head, next - head);
  };
  for (const std::size_t size : {0U, 1U, 500U, 2047U}) {
    EXPECT_EQ(post("/body", size, 100), bytes(size)) << size;
  }
  for (const std::size_t size : {1U, 2047U, 2048U, 2049U, 3000U, 4096U}) {
    EXPECT_EQ(post("/stream/512", size, 1000), bytes(size)) << size;
    EXPECT_EQ(post("/stream/11", size, 13), bytes(size)) << size;
  }
}

TEST(RequestBody, ChunkedAboveTheContentLimitEnds) {
  App app{kSmall};
  add_routes(app);
  TestClient client(app);
  EXPECT_EQ(client.raw(chunked("/stream/512", bytes(5000), 1000)).substr(0, 13), "HTTP/1.1 400 ");
  // A handler that never reads the stream is none the wiser, but the connection does not go on.
  const std::string answer = client.raw(chunked("/size", bytes(5000), 1000));
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
}

TEST(RequestBody, BadChunksAre400AndNeverReachAHandler) {
  App app{kSmall};
  app.post("/", [](Request&) {
    ADD_FAILURE() << "the handler ran";
    return "";
  });
  TestClient client(app);
  const std::string answer =
      client.raw("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n");
  EXPECT_EQ(answer.substr(0, 13), "HTTP/1.1 400 ");
}

TEST(RequestBody, ThatEndsEarlyNeverReachesAHandler) {
  App app;
  app.post("/", [](Request&) {
    ADD_FAILURE() << "the handler ran";
    return "";
  });
  TestClient client(app);
  SimClient half = connect(client);
  half.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  half.shutdown_write();
  client.run_for(1s);
  EXPECT_EQ(half.received().substr(0, 13), "HTTP/1.1 400 ");
}

TEST(RequestBody, ThatDoesNotComeIs408) {
  App app;
  app.post("/", [](Request&) {
    ADD_FAILURE() << "the handler ran";
    return "";
  });
  TestClient client(app);
  const std::string answer = client.raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(answer.substr(0, 13), "HTTP/1.1 408 ");
}

TEST(RequestBody, HalfClosedClientsGetTheirAnswer) {
  App app;
  app.post("/", [](Request& req) -> Task<Response> {
    co_await sleep_for(10s);
    co_return Response(req.body());
  });
  TestClient client(app);
  SimClient half = connect(client);
  half.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
  half.shutdown_write();
  client.run_for(11s);
  EXPECT_EQ(half.received().substr(0, 12), "HTTP/1.1 200");
  EXPECT_EQ(half.received().substr(half.received().size() - 3), "abc");
}

TEST(RequestBody, OfAStreamComesAsTheClientSendsIt) {
  App app{kSmall};
  add_routes(app);
  TestClient client(app);
  SimClient slow = connect(client);
  slow.send("POST /stream/512 HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n");
  const std::string body = bytes(3000);
  for (std::size_t at = 0; at < body.size(); at += 100) {
    client.run_for(1s);
    EXPECT_EQ(slow.received(), "") << at;
    slow.send(std::string_view(body).substr(at, 100));
  }
  client.run_for(1s);
  EXPECT_EQ(slow.received().substr(0, 12), "HTTP/1.1 200");
  EXPECT_NE(slow.received().find(body), std::string_view::npos);
}

TEST(RequestBody, AReadThatWaitsIsToldWhenTheClientGoes) {
  App app{kSmall};
  std::string seen;
  int alive = 0;
  app.post("/", [&seen, &alive](Request& req) -> Task<Response> {
    const Counted counted(alive);
    const Result<std::string_view> part = co_await req.stream().next();
    seen = part ? "bytes" : to_string(part.error());
    co_await sleep_for(1h);
    seen = "went on for too long";
    co_return Response();
  });
  TestClient client(app);
  SimClient leaver = connect(client);
  leaver.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n");
  client.run_for(1s);
  EXPECT_EQ(alive, 1);
  EXPECT_EQ(seen, "");
  leaver.reset();
  client.run_for(1s);
  EXPECT_EQ(seen, to_string(Error::closed));
  client.run_for(2h);
  EXPECT_EQ(seen, to_string(Error::closed));
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(client.sim().open_transports(), 0U);
}

TEST(RequestBody, Expect100ContinueIsAnsweredWhenTheBodyIsWanted) {
  App app{kSmall};
  add_routes(app);
  TestClient client(app);
  SimClient polite = connect(client);
  polite.send("POST /body HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  client.run_for(1s);
  EXPECT_EQ(polite.received(), "HTTP/1.1 100 Continue\r\n\r\n");
  polite.send("abc");
  client.run_for(1s);
  EXPECT_NE(polite.received().find("HTTP/1.1 200 OK"), std::string_view::npos);
  // What is too large is refused before it is sent.
  SimClient large = connect(client);
  large.send("POST /body HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n");
  client.run_for(1s);
  EXPECT_EQ(large.received().substr(0, 12), "HTTP/1.1 413");
}

TEST(Body, AFormThatIsTooLargeToBeKeptIsRefusedHoweverItIsSent) {
  Limits limits;
  limits.max_body_length = 1024;
  App app(limits);
  app.post("/", [](Request& req) { return std::string((*req.form())["a"]); });
  TestClient client(app);
  const std::string form = "a=" + std::string(1998, 'x');
  const Header type{"Content-Type", "application/x-www-form-urlencoded"};
  EXPECT_EQ(client.post("/", form, {type}).status_code, 413);
  const std::string chunked = "7d0\r\n" + form + "\r\n0\r\n\r\n";
  EXPECT_EQ(client.post("/", chunked, {type, {"Transfer-Encoding", "chunked"}}).status_code, 413);
  EXPECT_EQ(client.post("/", "a=b", {type}).text, "b");
}

TEST(Body, ContinueIsSentHoweverFullTheResponseBufferIs) {
  App app;
  std::size_t size = 0;
  app.get("/", [&size](Request& req) { return req.copy(std::string(size, 'x')); });
  app.post("/", [](Request& req) { return Response(req.body()); });
  TestClient client(app);
  for (size = 3900; size < 4000; ++size) {
    SimClient socket = client.sim().connect(80);
    socket.send(
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
        "Content-Length: 2\r\nConnection: close\r\n\r\n");
    client.run_for(1s);
    ASSERT_TRUE(socket.received().ends_with("HTTP/1.1 100 Continue\r\n\r\n")) << size;
    socket.send("ok");
    client.run_for(1s);
    ASSERT_TRUE(socket.received().ends_with("\r\n\r\nok")) << size;
  }
}
