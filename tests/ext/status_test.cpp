// /status, its data and its events: what docs/guide/monitoring.md says.

#include <cstdint>
#include <map>

#include "monitor_support.hpp"

#if __has_include(<nlohmann/json.hpp>)
#include <nlohmann/json.hpp>

namespace microdot_test {
namespace {

using nlohmann::json;

json data_of(std::string_view answer) {
  EXPECT_EQ(status_of(answer), 200);
  EXPECT_EQ(field_of(answer, "Content-Type"), "application/json");
  EXPECT_EQ(field_of(answer, "Cache-Control"), "no-store");
  const std::string_view body = body_of(answer);
  EXPECT_LE(body.size(), kStatusBytes);
  json data = json::parse(body, nullptr, false);
  EXPECT_FALSE(data.is_discarded()) << body;
  return data;
}
json ask(SimServer& server) {
  const SimClient client = server.send_from(kMe, get("/status/data"));
  EXPECT_NE(client.received(), "") << server.log();
  return data_of(client.received());
}

// ---- The data ----

TEST(Status, DataIsWhatTheStatsSay) {
  App app(kSmall);
  monitor(app);
  app.get("/", [](Request&) { return "Hello"; });
  app.get("/fails", [](Request&) { return abort(500); });
  app.get("/sleep", [](Request&) -> Task<Response> {
    co_await sleep_for(1s);
    co_return Response("slept");
  });
  SimServer server(app);
  server.run_for(2s);
  const std::string requests = get("/") + get("/none") + get("/fails") + get("/sleep") + get("/");
  const SimClient client = server.send_from("10.0.0.1", requests);
  server.run_for(1s);
  const json data = ask(server);
  const Stats stats = server.stats();
  EXPECT_EQ(data["uptime_ms"], 3000);
  EXPECT_EQ(data["tier"], 0);
  EXPECT_EQ(data["connections"], json({2, 8, 2}));
  EXPECT_EQ(data["idle"], 1);
  EXPECT_EQ(data["exchanges"], json({1, 3, 1}));
  EXPECT_EQ(data["queue"], json({0, 2, 0}));
  EXPECT_EQ(data["streams"], json({0, kSmall.streams, 0}));
  EXPECT_EQ(data["tasks"], 0);
  EXPECT_EQ(data["request_tasks"], json({0, 4, nullptr}));
  EXPECT_EQ(data["arena"][0], nullptr);
  EXPECT_EQ(data["arena"][1], kSmall.arena_bytes);
  EXPECT_GT(data["arena"][2], 0);
  EXPECT_LE(data["arena"][2], stats.arena_high_water);
  EXPECT_EQ(data["task_pool"][1], task_pool().capacity());
  EXPECT_EQ(data["requests"], 5);
  EXPECT_EQ(data["client_errors"], 1);
  EXPECT_EQ(data["server_errors"], 1);
  EXPECT_EQ(data["accepted"], 2);
  EXPECT_EQ(data["bytes_in"], requests.size() + get("/status/data").size());
  EXPECT_EQ(data["bytes_out"], client.received().size());
  EXPECT_EQ(data["longest_turn_us"], 0);                                         // time is virtual
  EXPECT_EQ(data["latency"], json({4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}));  // from 0.52 s to 1.05 s
}

TEST(Status, ScarceThingsAreSeenAgainstTheirLimits) {
  App app(kSmall);
  monitor(app);
  app.get("/sleep", [](Request&) -> Task<Response> {
    create_task([]() -> Task<> { co_await sleep_for(3s); });
    co_await sleep_for(2s);
    co_return Response("slept");
  });
  SimServer server(app);
  std::vector<SimClient> clients;
  for (int i = 0; i < 6; ++i)
    clients.push_back(server.send_from("10.0.0." + std::to_string(i + 1), get("/sleep")));
  SimClient watcher = server.send_from(kMe, "");
  server.run_for(2500ms);
  watcher.send(get("/status/data"));
  server.settle();
  const json data = data_of(watcher.received());
  EXPECT_EQ(data["exchanges"], json({3, 3, 3}));
  EXPECT_EQ(data["queue"], json({0, 2, 2}));
  EXPECT_EQ(data["refused"], 1);
  EXPECT_EQ(data["tasks"], 4);
  EXPECT_EQ(data["request_tasks"], json({4, 4, nullptr}));
  EXPECT_GE(data["tier_changes"], 1);
  server.run_for(5s);
}

TEST(Status, CodeThatDoesNotLetGoIsSeen) {
  App app;
  monitor(app);
  SimPort* sim = nullptr;
  app.get("/blocks", [&sim](Request&) {
    sim->advance(40ms);
    return "at last";
  });
  SimServer server(app);
  sim = &server.sim;
  server.exchange(get("/blocks"));
  server.run_for(1s);
  const json data = ask(server);
  EXPECT_EQ(data["longest_turn_us"], 40'000);
  EXPECT_EQ(data["longest_turn_by"], "GET /blocks");
  EXPECT_EQ(data["blocked"], 0) << "not so long that it is warned of";
  const SimClient scraper = server.send_from(kMe, get("/metrics"));
  EXPECT_NE(scraper.received().find("\nmicrodot_longest_turn_microseconds 40000\n"), std::string_view::npos);
  EXPECT_NE(scraper.received().find("\nmicrodot_longest_turn_info{by=\"GET /blocks\"} 1\n"),
            std::string_view::npos);
}

TEST(Status, WhoeverIsNamedMayBeCalledAnything) {
  App app;
  monitor(app);
  SimServer server(app);
  SimPort* const sim = &server.sim;
  server.loop.post([sim] {
    create_task("a\"b\\c\nd", [sim]() -> Task<> {
      co_await sleep_for(1ms);
      sim->advance(250ms);
    });
  });
  server.run_for(1s);
  const json data = ask(server);
  EXPECT_EQ(data["longest_turn_by"], "task 'a\"b\\c\nd'");
  EXPECT_EQ(data["blocked"], 1);
  EXPECT_EQ(data["task_restarts"], 0);
  const SimClient scraper = server.send_from(kMe, get("/metrics"));
  EXPECT_NE(scraper.received().find("\nmicrodot_longest_turn_info{by=\"task 'a\\\"b\\\\c\\nd'\"} 1\n"),
            std::string_view::npos);
  EXPECT_NE(scraper.received().find("\nmicrodot_blocked_total 1\n"), std::string_view::npos);
}

TEST(Status, TheTierIsANumber) {
  App app(kSmall);
  monitor(app);
  SimServer server(app);
  server.sim.set_pressure(Pressure::some);
  server.send_from(kMe, get("/healthz"));
  server.run_for(200ms);
  EXPECT_EQ(ask(server)["tier"], 2);
}

// ---- Its routes ----

constexpr EmbeddedFile kFiles[] = {{.name = "a.txt", .url = "", .etag = "\"a\"", .content = "a"}};
constexpr EmbeddedFolder kFolder(kFiles);

TEST(Status, TheBusiestRoutesComeFirst) {
  Router users;
  users.get("/<int:id>", [](Request&, int) { return "user"; });
  App app;
  app.get("/", [](Request&) { return "Hello"; });
  app.mount(users, "/users");
  app.static_files("/static", kFolder);
  app.route("/both", {"GET", "POST"}, [](Request&) { return "both"; });
  app.get("/never", [](Request&) { return "never"; });
  app.get("/status/data", status_data);
  SimServer server(app);
  for (int i = 0; i < 3; ++i) server.exchange(get("/users/" + std::to_string(i)));
  for (int i = 0; i < 2; ++i) server.exchange(get("/"));
  for (int i = 0; i < 2; ++i) server.exchange(get("/static/none"));
  server.exchange(post("/both", ""));
  EXPECT_EQ(ask(server)["routes"],
            json::parse(R"([["GET","/users/<int:id>",3],["GET","/",2],["GET","/static/*",2],
      ["GET, POST","/both",1],["GET","/status/data",1],["GET","/never",0]])"));
}

TEST(Status, OfManyRoutesEightAreTold) {
  App app;
  for (int i = 0; i < 30; ++i)
    app.get(runtime("/route" + std::to_string(i)), [](Request&) { return "answer"; });
  app.get("/status/data", status_data);
  SimServer server(app);
  for (int i = 0; i < 30; ++i) {
    for (int n = 0; n <= i % 10; ++n) server.exchange(get("/route" + std::to_string(i)));
  }
  const json routes = ask(server)["routes"];
  ASSERT_EQ(routes.size(), 8U);
  EXPECT_EQ(routes[0], json({"GET", "/route9", 10}));
  EXPECT_EQ(routes[2], json({"GET", "/route29", 10}));
  EXPECT_EQ(routes[7], json({"GET", "/route17", 8}));
}

TEST(Status, LongAndStrangePatternsStayJson) {
  App app;
  std::vector<std::string> patterns;
  for (int i = 0; i < 8; ++i) {
    std::string pattern = "/\"\\" + std::string(40 + static_cast<std::size_t>(i), '"') + "ääää";
    app.get(runtime(pattern), [](Request&) { return "answer"; });
  }
  app.get("/status/data", status_data);
  SimServer server(app);
  const json routes = ask(server)["routes"];
  ASSERT_GT(routes.size(), 3U);
  EXPECT_EQ(routes[1][1].get<std::string>(), "/\"\\" + std::string(40, '"') + "ää");
  EXPECT_EQ(routes[3][1].get<std::string>(), "/\"\\" + std::string(42, '"') + "ä");
}

// ---- Its size ----

// What would be the longest, with counts of ten years of a busy server: there is room for it, and for routes.
TEST(Status, ThereIsRoomForLargeNumbers) {
  App app;
  app.get("/status/data", status_data);
  SimServer server(app);
  json data = ask(server);
  std::size_t size = data.dump().size();
  const auto grow = [&size](const json& value, std::size_t digits) {
    if (!value.is_null()) size += digits - value.dump().size();
  };
  for (const auto& [name, value] : data.items()) {
    if (name == "routes" || name == "latency" || name == "tier") continue;
    if (value.is_array()) {
      for (const json& number : value) grow(number, 7);  // a million connections
    } else {
      grow(value, name.starts_with("bytes") ? 17 : 13);
    }
  }
  size += 20 * 11;  // the histogram
  EXPECT_LE(size, kStatusBytes);
}

TEST(Status, WithLittleRoomItTellsOfFewerRoutes) {
  App app;
  app.get("/status/data", [](Request& req) {
    const std::size_t leave = req.args.get<std::size_t>("leave", 0);
    const std::size_t rest = req.arena().rest().size();
    EXPECT_NE(req.arena().allocate(rest - leave - Arena::kOverhead), nullptr);
    return status_data(req);
  });
  for (int i = 0; i < 8; ++i)
    app.get(runtime("/a/path/of/forty/characters/of/its/own/" + std::to_string(i)),
            [](Request&) { return "-"; });
  SimServer server(app);
  std::map<std::size_t, int> seen;
  int refused = 0;
  for (int leave = 0; leave < 1500; leave += 4) {
    const std::string answer = server.exchange(get("/status/data?leave=" + std::to_string(leave)));
    if (status_of(answer) == 503) {
      ++refused;
      EXPECT_TRUE(seen.empty()) << leave;
    } else {
      ++seen[data_of(answer)["routes"].size()];
    }
  }
  EXPECT_GT(refused, 10);
  EXPECT_EQ(seen.rbegin()->first, 8U);
  EXPECT_GE(seen.size(), 8U);  // none may be missed, as 16 bytes are the least that is left
}

// ---- Events ----

/// The events of an answer that has not ended, each as its data.
std::vector<json> events_of(std::string_view answer) {
  EXPECT_EQ(status_of(answer), 200);
  EXPECT_TRUE(field_of(answer, "Content-Type").starts_with("text/event-stream"));
  EXPECT_EQ(field_of(answer, "Cache-Control").substr(0, 2), "no");
  const std::string text(body_of(answer));
  std::vector<json> events;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find("\n\n", at);
    const std::string event = text.substr(at, end - at);
    at = end == std::string::npos ? text.size() : end + 2;
    if (!event.starts_with("data: ")) {
      EXPECT_TRUE(event.starts_with(":") || event.starts_with("retry:")) << event;
      continue;
    }
    events.push_back(json::parse(event.substr(6), nullptr, false));
    EXPECT_FALSE(events.back().is_discarded()) << event;
  }
  return events;
}

TEST(Status, EventsComeEverySecond) {
  App app;
  monitor(app);
  app.get("/", [](Request&) { return "Hello"; });
  SimServer server(app);
  SimClient watcher = server.send_from(kMe, get("/status/events"));
  EXPECT_EQ(events_of(watcher.received()).size(), 1U);
  server.run_for(1500ms);
  server.send_from("10.0.0.1", get("/"));
  server.run_for(98s);  // longer than any answer may wait
  const std::vector<json> events = events_of(watcher.received());
  ASSERT_EQ(events.size(), 100U);
  for (std::size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i]["uptime_ms"], 1000 * i);
    EXPECT_EQ(events[i]["accepted"], i < 2 ? 1 : 2);
    EXPECT_EQ(events[i]["exchanges"][0], 0);  // it is a stream
    EXPECT_EQ(events[i]["streams"], json({1, Limits::host().streams, 1}));
    EXPECT_EQ(events[i]["messages_out"], i);
  }
  EXPECT_EQ(events.front().size(), ask(server).size());
  watcher.close();
  server.run_for(2s);
  server.expect_clean("after the watcher has gone");
}

TEST(Status, EventsEndWithTheServer) {
  App app;
  monitor(app);
  SimServer server(app);
  SimClient watcher = server.send_from(kMe, get("/status/events"));
  server.loop.request_exit();
  server.run_for(6s);
  EXPECT_TRUE(server.done());
}

// ---- The page ----

TEST(Status, ThePageIsSmallAndAskedForAgain) {
  App app;
  monitor(app);
  SimServer server(app);
  const std::string answer = server.exchange(get("/status", "Accept-Encoding: gzip\r\n"));
  EXPECT_EQ(status_of(answer), 200);
  EXPECT_EQ(field_of(answer, "Content-Type"), "text/html; charset=UTF-8");
  EXPECT_EQ(field_of(answer, "Content-Encoding"), "gzip");
  EXPECT_EQ(field_of(answer, "Cache-Control"), "no-cache");
  EXPECT_EQ(body_of(answer).substr(0, 2), "\x1f\x8b");
  EXPECT_EQ(std::to_string(body_of(answer).size()), field_of(answer, "Content-Length"));
  EXPECT_GT(body_of(answer).size(), 2000U);
  EXPECT_LT(body_of(answer).size(), 10'000U);
  const std::string etag = field_of(answer, "ETag");
  EXPECT_EQ(status_of(server.exchange(get("/status", "If-None-Match: " + etag + "\r\n"))), 304);
}

// ---- On a device ----

void expect_status_on_a_device(App& app) {
  monitor(app);
  for (int i = 0; i < 6; ++i) app.get(runtime("/another/route"), [](Request&) { return "answer"; });
  SimServer server(app, {.receive_window = 1460, .refers_to_written_bytes = true});
  server.sim.clear_log();
  EXPECT_EQ(status_of(server.exchange(get("/status"))), 200);
  EXPECT_GE(ask(server)["routes"].size(), 6U);
  SimClient watcher = server.send_from(kMe, get("/status/events"));
  std::string answer;
  for (int i = 0; i < 7; ++i) {
    answer.append(watcher.received());
    watcher.consume(watcher.received().size());
    server.run_for(500ms);
  }
  EXPECT_EQ(events_of(answer).size(), 4U);
  watcher.close();
  server.run_for(2s);
  EXPECT_EQ(server.stats().server_errors, 0U);
  EXPECT_EQ(server.log(), "");
}

TEST(Status, ADeviceHasRoomForIt) {
  static StaticApp<Limits::device()> device_app;
  expect_status_on_a_device(device_app);
}

TEST(Status, AHostAppWithADevicesLimitsToo) {
  App app(Limits::device());
  expect_status_on_a_device(app);
}

// ---- Who may see it ----

constexpr const char* kSecrets[] = {"/status", "/status/data", "/status/events", "/metrics"};

TEST(Status, WhoIsNotAllowedIsRefused) {
  App app;
  app.get("/", [](Request&) { return "Hello"; });
  monitor(app, {.allow = [](const Request& req) { return req.client_addr.is_in("10.1.0.0/16"); }});
  SimServer server(app);
  for (const char* path : kSecrets) {
    SimClient mine = server.send_from("10.1.2.3", get(path));
    EXPECT_EQ(status_of(mine.received()), 200) << path;
    SimClient theirs = server.send_from("10.2.2.3", get(path));
    EXPECT_EQ(status_of(theirs.received()), 403) << path;
    EXPECT_EQ(body_of(theirs.received()), "Forbidden") << path;
  }
  EXPECT_EQ(status_of(server.send_from("10.2.2.3", get("/healthz")).received()), 200);
  EXPECT_EQ(status_of(server.send_from("10.2.2.3", get("/")).received()), 200);
}

TEST(Status, AHookOfItsOwnRouterMayAskForALogin) {
  App app;
  app.get("/", [](Request&) { return "Hello"; });
  Router admin;
  admin.before_request([](Request& req) -> std::optional<Response> {
    if (req.headers["Authorization"] == "Basic YWRtaW46c2VjcmV0") return {};
    return Response("who are you?", 401, {{"WWW-Authenticate", "Basic realm=\"status\""}});
  });
  monitor(admin);
  app.mount(admin, "/admin", {.local = true});
  SimServer server(app);
  for (const char* path : kSecrets) {
    const std::string there = std::string("/admin") + path;
    const std::string answer = server.exchange(get(there));
    EXPECT_EQ(status_of(answer), 401) << path;
    EXPECT_EQ(field_of(answer, "WWW-Authenticate"), "Basic realm=\"status\"") << path;
    SimClient mine = server.send_from(kMe, get(there, "Authorization: Basic YWRtaW46c2VjcmV0\r\n"));
    EXPECT_EQ(status_of(mine.received()), 200) << path;
  }
  EXPECT_EQ(status_of(server.exchange(get("/"))), 200);
  EXPECT_EQ(status_of(server.exchange(get("/status"))), 404);
}

}  // namespace
}  // namespace microdot_test
#endif
