/// Clients that are slow: whose pace is too slow while others wait, or at all.
#include "admission.hpp"

namespace microdot_test {
namespace {

// ---- Slow clients while others wait

// Three slow clients have all exchanges; somebody else is served soon, nonetheless.
void expect_to_be_served_soon(SimServer& server) {
  EXPECT_EQ(server.stats().exchanges, 3U);
  SimClient me = server.send_from(kMe, get("/"));
  EXPECT_EQ(me.received(), "");
  server.run_for(2300ms);
  EXPECT_EQ(status_of(me.received()), 200);
  EXPECT_GE(server.stats().forfeited, 1U);
}

TEST_F(Admission, DribbledHeadsDoNotStopTheOthers) {
  SimServer server(app_);
  auto slow = send_all(server, 3, "GET / HTTP/1.1\r\nX: ");
  expect_to_be_served_soon(server);
  EXPECT_EQ(status_of(slow[0].received()), 408);
  EXPECT_TRUE(slow[0].ended());
}

TEST_F(Admission, DribbledBodiesDoNotStopTheOthers) {
  for (const std::string path : {"/echo", "/stream"}) {
    SimServer server(app_);
    const std::string request = post(path, std::string(path == "/echo" ? 8000 : 20'000, 'x'));
    auto slow = send_all(server, 3, std::string_view(request).substr(0, 150));
    expect_to_be_served_soon(server);
    EXPECT_EQ(status_of(slow[0].received()), path == "/echo" ? 408 : 400) << path;
  }
}

TEST_F(Admission, ClientsThatDoNotReadDoNotStopTheOthers) {
  for (const std::string path : {"/owned", "/generator"}) {
    SimServer server(app_, {.receive_window = 200});
    auto slow = send_all(server, 3, get(path));
    expect_to_be_served_soon(server);
    EXPECT_TRUE(slow[0].was_reset()) << path;
  }
}

TEST_F(Admission, NoMoreGoThanThereAreWaiting) {
  SimServer server(app_);
  auto slow = send_all(server, 3, "GET / HTTP/1.1\r\nX: ");
  expect_to_be_served_soon(server);
  server.run_for(4s);
  EXPECT_EQ(server.stats().forfeited, 1U);
  EXPECT_EQ(slow[1].received(), "");
  slow[1].send("x\r\nHost: a\r\n\r\n");
  server.settle();
  EXPECT_EQ(status_of(slow[1].received()), 200);
}

TEST_F(Admission, SlowButSteadyClientsKeepWhatTheyHave) {
  SimServer server(app_);
  const std::string request = post("/echo", std::string(8000, 'x'));
  std::vector<SimClient> steady = send_all(server, 3, std::string_view(request).substr(0, 200));
  SimClient me = server.send_from(kMe, get("/"));
  std::size_t sent = 200;
  for (int i = 0; i < 90; ++i) {  // 150 bytes a second, where 100 are asked for
    for (SimClient& client : steady) client.send(std::string_view(request).substr(sent, 15));
    sent += 15;
    server.run_for(100ms);
  }
  EXPECT_EQ(server.stats().forfeited, 0U);
  for (SimClient& client : steady) client.send(std::string_view(request).substr(sent));
  server.settle();
  for (const SimClient& client : steady) EXPECT_EQ(status_of(client.received()), 200);
  EXPECT_EQ(status_of(me.received()), 200);
}

TEST_F(Admission, ALongHandlerIsNotTheClientsFault) {
  SimServer server(app_);
  auto clients = send_all(server, 3, get("/sleep/9"));
  SimClient me = server.send_from(kMe, get("/"));
  server.run_for(8s);
  EXPECT_EQ(me.received(), "");
  server.run_for(2s);
  for (const SimClient& client : clients) EXPECT_EQ(status_of(client.received()), 200);
  EXPECT_EQ(status_of(me.received()), 200);
  EXPECT_EQ(server.stats().forfeited, 0U);
}

// ---- Slow clients though nobody waits

TEST_F(Admission, ABodyMustMakeItsRateOnTheWhole) {
  for (const std::string path : {"/echo", "/stream"}) {
    SimServer server(app_);
    const std::string request = post(path, std::string(path == "/echo" ? 8000 : 20'000, 'x'));
    SimClient dribbling = server.send_from(kMe, std::string_view(request).substr(0, 150));
    for (int i = 0; i < 29; ++i) {
      server.run_for(1s);
      dribbling.send("x");
    }
    server.settle();
    EXPECT_EQ(dribbling.received(), "") << path;
    for (int i = 0; i < 3; ++i) {
      server.run_for(1s);
      dribbling.send("x");
    }
    server.settle();
    EXPECT_EQ(status_of(dribbling.received()), path == "/echo" ? 408 : 400) << path;
    EXPECT_TRUE(dribbling.closed()) << path;
    EXPECT_GE(server.stats().timed_out, 1U) << path;
  }
}

TEST_F(Admission, AnAnswerMustBeReadAtItsRateOnTheWhole) {
  for (const std::string path : {"/owned", "/generator", "/view"}) {
    SimServer server(app_, {.receive_window = 200});
    SimClient slow = server.send_from(kMe, get(path));
    for (int i = 0; i < 14; ++i) {
      server.run_for(2s);
      slow.consume(20);
    }
    server.settle();
    EXPECT_FALSE(slow.closed()) << path;
    for (int i = 0; i < 3; ++i) {
      server.run_for(2s);
      slow.consume(20);
    }
    server.settle();
    EXPECT_TRUE(slow.was_reset()) << path;
    EXPECT_GE(server.stats().timed_out, 1U) << path;
    server.expect_clean(path);
  }
}

TEST_F(Admission, AnAnswerThatIsReadSteadilyMayTakeLong) {
  for (const std::string path : {"/owned", "/view"}) {
    SimServer server(app_, {.receive_window = 2000});
    SimClient steady = server.send_from(kMe, get(path));
    std::string all;
    for (int i = 0; i < 400 && all.size() < 100'000; ++i) {
      server.run_for(1s);
      all += steady.received().substr(0, 500);
      steady.consume(std::min<std::size_t>(500, steady.received().size()));
    }
    server.settle();
    EXPECT_FALSE(steady.closed()) << path;
    EXPECT_EQ(body_of(all).substr(0, 90'000), numbered(100'000).substr(0, 90'000)) << path;
  }
}

TEST_F(Admission, ASlowBadHeadIsStillAnswered) {
  Limits limits = kAdmissionLimits;
  limits.body_rate = 0;
  limits.write_timeout = 1s;
  App app(limits);
  add_routes(app);
  // The port says that all is sent only when it has arrived, as lwIP does.
  SimServer server(app, {.latency = 5ms, .refers_to_written_bytes = true});
  SimClient bad = server.send_from(kMe, "GET / HTTP/1.1\r\n");
  server.run_for(2s);
  bad.send("Bad Field: x\r\n\r\n");
  server.run_for(500ms);
  EXPECT_EQ(status_of(bad.received()), 400);
  EXPECT_FALSE(bad.was_reset());
}

TEST_F(Admission, BytesOfABodyThatCameWithItsHeadCount) {
  SimServer server(app_);
  const std::string request = post("/echo", std::string(1000, 'x'));
  // 400 bytes ahead, where 100 a second are asked for: three seconds of rest are its right.
  std::vector<SimClient> ahead = send_all(server, 3, std::string_view(request).substr(0, 450));
  SimClient me = server.send_from(kMe, get("/"));
  server.run_for(3s);
  EXPECT_EQ(server.stats().forfeited, 0U);
  for (SimClient& client : ahead) client.send(std::string_view(request).substr(450));
  server.settle();
  for (const SimClient& client : ahead) EXPECT_EQ(status_of(client.received()), 200);
  EXPECT_EQ(status_of(me.received()), 200);
}

}  // namespace
}  // namespace microdot_test
