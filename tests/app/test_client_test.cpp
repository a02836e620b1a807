// What the TestClient itself offers.

#include "support.hpp"

namespace {

constexpr Limits kOneForEach{.connections = 8, .connections_per_client = 1, .exchanges = 2};

TEST(TestClientOptions, TakesWhatTheServerTakes) {
  App app(kOneForEach);
  app.get("/", [](Request&) { return "Hello"; });
  const std::string request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  {
    TestClient client(app);
    client.get("/");
    EXPECT_NE(client.raw(request).find("HTTP/1.1 503"), std::string::npos);  // its second connection
    EXPECT_FALSE(testing_support::logged(client, "GET /"));
  }
  TestClient client(app, {.server = {.debug = true, .trusted_proxies = "127.0.0.1"}});
  client.get("/");
  EXPECT_NE(client.raw(request).find("HTTP/1.1 200"), std::string::npos);
  EXPECT_TRUE(testing_support::logged(client, "127.0.0.1 GET / 200 5"));
}

TEST(TestClientOptions, TheClientFindsTheServerWhereverItWasTold) {
  App app;
  app.get("/", [](Request&) { return "Hello"; });
  TestClient client(app, {.server = {.host = "127.0.0.2", .port = 8080}});
  EXPECT_EQ(client.get("/").text, "Hello");
  EXPECT_EQ(app.port(), 80);
}

TEST(TestClientOptions, OnesThatAreWrongAreNamed) {
  App app;
  TestClient client(app, {.server = {.trusted_proxies = "my-proxy"}});
  EXPECT_FALSE(client.started());
  EXPECT_TRUE(testing_support::logged(client, "my-proxy"));
}

TEST(TestClientLog, NothingIsPrinted) {
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  {
    App app;
    TestClient client(app);
    EXPECT_EQ(client.sim().log_text(), "listening on http://[::]:80/\n");
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
}

}  // namespace
