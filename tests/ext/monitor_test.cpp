// /metrics and /healthz: what docs/guide/monitoring.md says.

#include <cctype>
#include <cstdlib>
#include <map>
#include <set>

#include "monitor_support.hpp"

namespace microdot_test {
namespace {

using testing::HasSubstr;

// ---- The exposition format, strictly (version 0.0.4, as Prometheus documents it) ----

bool is_name(std::string_view text, bool colons) {
  if (text.empty() || std::isdigit(static_cast<unsigned char>(text[0])) != 0) return false;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_' && !(colons && c == ':')) return false;
  }
  return true;
}

/// The metrics of an exposition, and every breach of the format.
class Metrics {
 public:
  struct Family {
    std::string type;
    std::string help;
    std::vector<std::pair<std::string, double>> samples;  // the name with its labels, in order
  };

  explicit Metrics(std::string_view text) {
    if (!text.ends_with('\n')) breach("the last line does not end");
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      const std::string_view line = text.substr(0, end);
      if (!read_line(line)) breach(line);
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    for (const auto& [name, family] : families_) {
      if (family.help.empty() || family.samples.empty()) breach(name);
      if (family.type == "histogram") check_histogram(name, family);
    }
  }

  const std::vector<std::string>& breaches() const { return breaches_; }
  const std::map<std::string, Family>& families() const { return families_; }
  const Family& family(const std::string& name) const {
    static const Family kNone;
    const auto found = families_.find(name);
    EXPECT_NE(found, families_.end()) << "no " << name;
    return found == families_.end() ? kNone : found->second;
  }
  /// The value of a sample, by its name after "microdot_", with its labels.
  double operator[](const std::string& sample) const {
    const auto found = values_.find("microdot_" + sample);
    EXPECT_NE(found, values_.end()) << "no " << sample;
    return found == values_.end() ? -1 : found->second;
  }

 private:
  void breach(std::string_view where) { breaches_.emplace_back(where); }

  bool read_line(std::string_view line) {
    for (const bool help : {true, false}) {
      const std::string_view start = help ? "# HELP " : "# TYPE ";
      if (!line.starts_with(start)) continue;
      line.remove_prefix(start.size());
      const std::size_t space = line.find(' ');
      if (space == std::string_view::npos) return false;
      return help ? begin_family(line.substr(0, space), line.substr(space + 1))
                  : set_type(line.substr(0, space), line.substr(space + 1));
    }
    return read_sample(line);
  }

  // A metric's lines stand together, HELP first: so each name comes once.
  bool begin_family(std::string_view name, std::string_view help) {
    current_ = name;
    return is_name(name, true) && !help.empty() && help.find('\\') == std::string_view::npos &&
           families_.try_emplace(current_, Family{{}, std::string(help), {}}).second;
  }

  bool set_type(std::string_view name, std::string_view type) {
    if (name != current_ || !families_[current_].type.empty()) return false;
    families_[current_].type = type;
    if ((type == "counter") != name.ends_with("_total")) return false;
    return type == "counter" || type == "gauge" || type == "histogram";
  }

  bool read_sample(std::string_view line) {
    const std::size_t name_end = line.find_first_of("{ ");
    if (name_end == std::string_view::npos) return false;
    std::string_view name = line.substr(0, name_end);
    if (!is_name(name, true)) return false;
    std::size_t at = name_end;
    if (line[at] == '{') {
      std::set<std::string> labels;
      do {
        const std::size_t equals = line.find("=\"", ++at);
        if (equals == std::string_view::npos) return false;
        const std::string_view label = line.substr(at, equals - at);
        const std::size_t end = line.find_first_of("\"\\", equals + 2);  // none needs an escape
        if (!is_name(label, false) || end == std::string_view::npos || line[end] == '\\') return false;
        if (!labels.emplace(label).second) return false;
        at = end + 1;
      } while (at < line.size() && line[at] == ',');
      if (at >= line.size() || line[at++] != '}') return false;
    }
    if (at >= line.size() || line[at] != ' ') return false;
    const std::string key(line.substr(0, at));
    const std::string number(line.substr(at + 1));
    if (number.find_first_not_of("0123456789.") != std::string::npos) return false;
    char* end = nullptr;
    const double value = std::strtod(number.c_str(), &end);
    if (number.empty() || *end != '\0') return false;

    const auto found = families_.find(current_);
    if (found == families_.end() || found->second.type.empty()) return false;
    Family& family = found->second;
    if (family.type == "histogram") {
      if (!name.starts_with(current_)) return false;
      name.remove_prefix(current_.size());
      if (name != "_bucket" && name != "_sum" && name != "_count") return false;
    } else if (name != current_) {
      return false;
    }
    family.samples.emplace_back(key, value);
    return values_.emplace(key, value).second;
  }

  void check_histogram(const std::string& name, const Family& family) {
    double limit = -1;
    double count = 0;
    double infinite = -1;
    double total = -2;
    int sums = 0;
    for (const auto& [key, value] : family.samples) {
      const std::string start = name + "_bucket{le=\"";
      if (key.starts_with(start)) {
        if (infinite != -1) breach(key);  // +Inf is the last
        const std::string le = key.substr(start.size(), key.size() - start.size() - 2);
        const double next = le == "+Inf" ? HUGE_VAL : std::strtod(le.c_str(), nullptr);
        if (next <= limit || value < count) breach(key);
        limit = next;
        count = value;
        if (le == "+Inf") infinite = value;
      } else if (key == name + "_count") {
        total = value;
      } else if (key == name + "_sum") {
        ++sums;
      } else {
        breach(key);
      }
    }
    if (infinite != total || sums != 1) breach(name);
  }

  std::map<std::string, Family> families_;
  std::map<std::string, double> values_;
  std::string current_;
  std::vector<std::string> breaches_;
};

// ---- What the tests share ----

void add_routes(App& app) {
  app.get("/metrics", metrics);
  app.get("/healthz", healthz);
  app.get("/", [](Request&) { return "Hello"; });
  app.get("/fails", [](Request&) { return abort(500); });
  app.get("/sleep/<int:seconds>", [](Request&, int seconds) -> Task<Response> {
    co_await sleep_for(std::chrono::seconds(seconds));
    co_return Response("slept");
  });
}

/// The metrics of a whole answer, whose frame is checked.
Metrics parse(std::string_view answer) {
  EXPECT_EQ(status_of(answer), 200);
  EXPECT_EQ(field_of(answer, "Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(field_of(answer, "Content-Length"), std::to_string(body_of(answer).size()));
  Metrics metrics(body_of(answer));
  EXPECT_THAT(metrics.breaches(), testing::IsEmpty());
  return metrics;
}
Metrics scrape(SimServer& server) {
  const SimClient client = server.send_from(kMe, get("/metrics"));
  return parse(client.received());
}

// ---- The exposition ----

TEST(Monitor, MetricsAreWellFormed) {
  App app;
  add_routes(app);
  SimServer server(app);
  const Metrics metrics = scrape(server);
  for (const auto& [name, family] : metrics.families()) EXPECT_TRUE(name.starts_with("microdot_")) << name;
  EXPECT_EQ(metrics.family("microdot_requests_total").type, "counter");
  EXPECT_EQ(metrics.family("microdot_connections").type, "gauge");
  EXPECT_EQ(metrics.family("microdot_request_duration_seconds").type, "histogram");
  EXPECT_EQ(metrics.family("microdot_request_duration_seconds").samples.size(),
            LatencyHistogram::kBuckets + 2);
}

TEST(Monitor, TheParserOfThisTestIsStrict) {
  const auto breaches = [](const std::string& text) { return Metrics(text).breaches().size(); };
  EXPECT_EQ(breaches("# HELP a A.\n# TYPE a gauge\na{b=\"c d\",e=\"f\"} 1\na 2.5\n"), 0U);
  EXPECT_GT(breaches("# HELP a A.\n# TYPE a gauge\na 1"), 0U);                 // no line end
  EXPECT_GT(breaches("# HELP a A.\n# TYPE a gauge\na 1\na 1\n"), 0U);          // twice
  EXPECT_GT(breaches("# HELP a A.\na 1\n# TYPE a gauge\n"), 0U);               // TYPE too late
  EXPECT_GT(breaches("# TYPE a gauge\na 1\n"), 0U);                            // no HELP
  EXPECT_GT(breaches("# HELP a A.\n# TYPE a gauge\nb 1\n"), 0U);               // not announced
  EXPECT_GT(breaches("# HELP a A.\n# TYPE a gauge\na{1=\"x\"} 1\n"), 0U);      // bad label
  EXPECT_GT(breaches("# HELP a A.\n# TYPE a gauge\na{b=\"x\" 1\n"), 0U);       // open
  EXPECT_GT(breaches("# HELP a A.\n# TYPE a gauge\na x\n"), 0U);               // no number
  EXPECT_GT(breaches("# HELP a A.\n# TYPE a counter\na 1\n"), 0U);             // not _total
  EXPECT_GT(breaches("# HELP a A.\n# TYPE a gauge\na 1\n# HELP a A.\n"), 0U);  // again
  const std::string start = "# HELP a A.\n# TYPE a histogram\n";
  EXPECT_EQ(breaches(start + "a_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 2\na_sum 1\na_count 2\n"), 0U);
  EXPECT_GT(breaches(start + "a_bucket{le=\"1\"} 3\na_bucket{le=\"+Inf\"} 2\na_sum 1\na_count 2\n"), 0U);
  EXPECT_GT(breaches(start + "a_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 2\na_sum 1\na_count 3\n"), 0U);
  EXPECT_GT(breaches(start + "a_bucket{le=\"1\"} 1\na_sum 1\na_count 1\n"), 0U);
}

TEST(Monitor, CountersMoveWithWhatHappens) {
  App app(kSmall);
  add_routes(app);
  SimServer server(app);
  const Metrics before = scrape(server);
  EXPECT_EQ(before["requests_total"], 0);  // this one is in flight
  EXPECT_EQ(before["exchanges"], 1);
  EXPECT_EQ(before["request_duration_seconds_count"], 0);

  const std::string requests = get("/") + get("/none") + get("/fails") + get("/sleep/1") + get("/sleep/3");
  const SimClient client = server.send_from("10.0.0.1", requests);
  server.run_for(5s);
  ASSERT_EQ(answers_in(client.received()), 5);
  const std::size_t received = client.received().size();
  const Stats stats = server.stats();
  const Metrics after = scrape(server);
  EXPECT_EQ(after["requests_total"], 6);
  EXPECT_EQ(after["client_errors_total"], 1);
  EXPECT_EQ(after["server_errors_total"], 1);
  EXPECT_EQ(after["connections_accepted_total"], 3);
  EXPECT_EQ(after["connections"], 2);  // the first client is gone
  EXPECT_EQ(after["connections_idle"], 1);
  EXPECT_EQ(after["connections_high_water"], 2);
  EXPECT_EQ(after["received_bytes_total"],
            2.0 * static_cast<double>(get("/metrics").size()) + static_cast<double>(requests.size()));
  EXPECT_EQ(after["sent_bytes_total"], static_cast<double>(stats.bytes_out));
  EXPECT_GT(after["sent_bytes_total"], static_cast<double>(received));
  EXPECT_EQ(after["arena_high_water_bytes"], stats.arena_high_water);

  EXPECT_EQ(after["request_duration_seconds_count"], 6);
  EXPECT_EQ(after["request_duration_seconds_sum"], 4);
  EXPECT_EQ(after["request_duration_seconds_bucket{le=\"0.000128\"}"], 4);  // time is virtual
  EXPECT_EQ(after["request_duration_seconds_bucket{le=\"0.524288\"}"], 4);
  EXPECT_EQ(after["request_duration_seconds_bucket{le=\"1.048576\"}"], 5);
  EXPECT_EQ(after["request_duration_seconds_bucket{le=\"2.097152\"}"], 5);
  EXPECT_EQ(after["request_duration_seconds_bucket{le=\"4.194304\"}"], 6);
}

TEST(Monitor, WhatIsScarceIsSeenAgainstItsLimit) {
  App app(kSmall);
  add_routes(app);
  app.get("/task", [](Request&) {
    create_task([]() -> Task<> { co_await sleep_for(1s); });
    return "started";
  });
  SimServer server(app);
  EXPECT_EQ(status_of(server.exchange(get("/task"))), 200);
  std::vector<SimClient> clients;
  for (int i = 0; i < 6; ++i)
    clients.push_back(server.send_from("10.0.0." + std::to_string(i + 1), get("/sleep/2")));
  Metrics metrics = [&] {
    SimClient scraper = server.send_from(kMe, "");
    server.run_for(2500ms);  // the first three are done, two that waited run now, one was refused
    scraper.send(get("/metrics"));
    server.settle();
    return parse(scraper.received());
  }();
  EXPECT_EQ(status_of(clients[5].received()), 503);
  EXPECT_EQ(metrics["exchanges"], 3);
  EXPECT_EQ(metrics["exchanges_limit"], 3);
  EXPECT_EQ(metrics["exchanges_high_water"], 3);
  EXPECT_EQ(metrics["queue"], 0);
  EXPECT_EQ(metrics["queue_limit"], 2);
  EXPECT_EQ(metrics["queue_high_water"], 2);
  EXPECT_EQ(metrics["connections_limit"], 8);
  EXPECT_EQ(metrics["connections_refused_total"], 1);
  EXPECT_EQ(metrics["tasks_of_requests"], 0);
  EXPECT_EQ(metrics["tasks_of_requests_limit"], 4);
  EXPECT_EQ(metrics["arena_limit_bytes"], kSmall.arena_bytes);
  EXPECT_LE(metrics["task_pool_high_water_bytes"], metrics["task_pool_limit_bytes"]);
  EXPECT_GT(metrics["task_pool_high_water_bytes"], 0);
  EXPECT_GE(metrics["tier_changes_total"], 1);
  for (SimClient& client : clients) client.close();
  server.run_for(3s);

  EXPECT_EQ(status_of(server.exchange(get("/task"))), 200);
  const Metrics again = scrape(server);
  EXPECT_EQ(again["tasks_of_requests"], 1);
  EXPECT_EQ(again["tasks"], 1);
  server.run_for(2s);
}

TEST(Monitor, ThoseWhoAreTooSlowAreCounted) {
  App app(kSmall);
  add_routes(app);
  SimServer server(app);
  std::vector<SimClient> slow;
  for (int i = 0; i < 3; ++i)
    slow.push_back(server.send_from("10.0.0." + std::to_string(i + 1), "GET / HTTP/1.1\r\nX: "));
  SimClient waiting = server.send_from("10.0.0.9", get("/"));
  server.run_for(3s);
  EXPECT_EQ(status_of(waiting.received()), 200);
  server.run_for(10s);
  const Metrics metrics = scrape(server);
  EXPECT_EQ(metrics["requests_timed_out_total"], 3);
  EXPECT_EQ(metrics["requests_forfeited_total"], 1);
}

// A client that reads slowly gets the numbers of one moment, whatever happens meanwhile.
TEST(Monitor, ASlowReaderGetsTheNumbersOfOneMoment) {
  App app(kSmall);
  add_routes(app);
  SimServer server(app, {.refers_to_written_bytes = true});
  SimClient slow = server.sim.connect(kPort, Endpoint::from_address(kMe));
  slow.set_receive_window(100);
  slow.send(get("/metrics"));
  server.settle();
  std::string answer;
  int others = 0;
  while (!slow.received().empty()) {
    answer.append(slow.received());
    slow.consume(slow.received().size());
    SimClient other = server.send_from("10.0.0.1", get(others % 2 == 0 ? "/" : "/none"));
    EXPECT_NE(status_of(other.received()), 0);
    ++others;
  }
  EXPECT_GT(others, 30);
  EXPECT_EQ(parse(answer)["requests_total"], 0);
  EXPECT_EQ(scrape(server)["requests_total"], others + 1);
}

TEST(Monitor, HeadHasTheSameHead) {
  App app(kSmall);
  add_routes(app);
  SimServer server(app);
  SimClient client = server.send_from(kMe, "HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
  const std::string head(client.received());
  EXPECT_EQ(status_of(head), 200);
  EXPECT_EQ(field_of(head, "Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_GT(std::stoi(field_of(head, "Content-Length")), 2000);
  EXPECT_EQ(body_of(head), "");
  client.consume(head.size());
  client.send(get("/"));
  server.settle();
  EXPECT_EQ(body_of(client.received()), "Hello");

  SimClient health = server.send_from(kMe, "HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(status_of(health.received()), 200);
  EXPECT_EQ(field_of(health.received(), "Content-Length"), "11");
  EXPECT_EQ(body_of(health.received()), "");
}

TEST(Monitor, WithoutRoomItIsA503) {
  App app(Limits{.exchanges = 1, .arena_bytes = 1024});
  add_routes(app);
  app.get("/full/metrics", [](Request& req) {
    while (req.arena().allocate(64) != nullptr) continue;
    return metrics(req);
  });
  SimServer server(app);
  EXPECT_EQ(status_of(server.exchange(get("/full/metrics"))), 503);
  EXPECT_EQ(status_of(server.exchange(get("/"))), 200);
}

// ---- On a device ----

void expect_to_work_on_a_device(App& app) {
  add_routes(app);
  // As much as such an App does beside it: hooks that are coroutines, objects and fields.
  app.before_request([](Request& req) -> Task<> {
    req.g_emplace<int>(1);
    co_await yield();
  });
  app.after_request([](Request&, Response& res) -> Task<> {
    co_await yield();
    res.header("X-Device", "1");
  });
  SimServer server(app, {.receive_window = 1460, .refers_to_written_bytes = true});
  server.sim.clear_log();
  std::vector<SimClient> clients;
  for (int i = 0; i < 6; ++i) {
    clients.push_back(server.sim.connect(kPort));
    clients.back().send(get("/metrics") + get("/metrics"));
  }
  std::vector<std::string> answers(clients.size());
  for (int i = 0; i < 200; ++i) {
    server.settle();
    for (std::size_t at = 0; at < clients.size(); ++at) {
      answers[at].append(clients[at].received());
      clients[at].consume(clients[at].received().size());
    }
  }
  for (const std::string& both : answers) {
    ASSERT_EQ(answers_in(both), 2);
    const std::size_t second = both.rfind("HTTP/1.1 ");
    parse(both.substr(0, second));
    EXPECT_EQ(field_of(both, "X-Device"), "1");
    const Metrics metrics = parse(both.substr(second));
    EXPECT_EQ(metrics["exchanges_limit"], 3);
    EXPECT_EQ(metrics["arena_limit_bytes"], Limits::device().arena_bytes);
    EXPECT_LE(metrics["arena_high_water_bytes"], Limits::device().arena_bytes);
  }
  EXPECT_EQ(server.stats().server_errors, 0U);
  EXPECT_EQ(server.log(), "");
  for (SimClient& client : clients) client.close();
  server.settle();
  const std::string health = server.exchange(get("/healthz"));
  EXPECT_EQ(body_of(health), "ok: normal\n");
}

TEST(Monitor, ADeviceHasRoomForIt) {
  static StaticApp<Limits::device()> device_app;
  expect_to_work_on_a_device(device_app);
}

TEST(Monitor, AHostAppWithADevicesLimitsToo) {
  App app(Limits::device());
  expect_to_work_on_a_device(app);
}

// ---- Health ----

TEST(Monitor, HealthFollowsTheTier) {
  App app(kSmall);
  add_routes(app);
  SimServer server(app);
  std::vector<SimClient> checkers;  // connections that are there before it gets worse
  for (int i = 0; i < 6; ++i)
    checkers.push_back(server.send_from("10.0.0." + std::to_string(i + 1), get("/")));
  std::size_t next = 0;
  const auto ask = [&](std::string_view path) {
    SimClient& checker = checkers[next++];
    checker.consume(checker.received().size());
    checker.send(get(path));
    server.settle();
    return std::string(checker.received());
  };
  const auto expect_health = [&](int status, std::string_view body) {
    const std::string answer = ask("/healthz");
    EXPECT_EQ(status_of(answer), status) << body;
    EXPECT_EQ(body_of(answer), body);
    EXPECT_EQ(field_of(answer, "Cache-Control"), "no-store");
    EXPECT_EQ(field_of(answer, "Retry-After"), status == 503 ? "5" : "");
  };
  const auto expect_tier = [&](int number, const std::string& name) {
    const Metrics metrics = parse(ask("/metrics"));
    EXPECT_EQ(metrics["tier"], number);
    EXPECT_EQ(metrics["tier_state{tier=\"" + name + "\"}"], 1);
    const auto& states = metrics.family("microdot_tier_state").samples;
    EXPECT_EQ(states.size(), 5U);
    double sum = 0;
    for (const auto& [key, value] : states) sum += value;
    EXPECT_EQ(sum, 1);
  };
  expect_health(200, "ok: normal\n");
  expect_tier(0, "normal");
  server.sim.set_pressure(Pressure::some);
  server.send_from(kMe, get("/"));
  server.run_for(200ms);
  expect_health(200, "ok: no keep-alive\n");
  server.sim.set_pressure(Pressure::high);
  EXPECT_EQ(status_of(server.send_from(kMe, get("/")).received()), 503);
  expect_health(503, "unavailable: refusing\n");
  expect_tier(3, "refusing");
  server.sim.set_pressure(Pressure::none);
  server.run_for(3s);
  expect_health(200, "ok: normal\n");
}

TEST(Monitor, AServerThatIsToEndIsUnhealthyAndServesMeanwhile) {
  App app(kSmall);
  add_routes(app);
  SimServer server(app, {}, {.host = "", .port = kPort, .drain = 1s});
  app.shutdown();
  const std::string health = server.exchange(get("/healthz"));
  EXPECT_EQ(status_of(health), 503);
  EXPECT_EQ(body_of(health), "unavailable: to end\n");
  EXPECT_EQ(status_of(server.exchange(get("/"))), 200);
}

TEST(Monitor, AServerWithAQueueIsHealthy) {
  App app(kSmall);
  add_routes(app);
  SimServer server(app);
  std::vector<SimClient> clients;
  for (int i = 0; i < 3; ++i)
    clients.push_back(server.send_from("10.0.0." + std::to_string(i + 1), get("/sleep/1")));
  SimClient checker = server.send_from(kMe, get("/healthz"));
  EXPECT_EQ(checker.received(), "");
  server.run_for(1100ms);
  EXPECT_EQ(body_of(checker.received()), "ok: queueing\n");
}

TEST(Monitor, AServerThatAcceptsNobodyIsUnhealthy) {
  struct NoMore final : SimFaults {
    Error on_accept(unsigned) noexcept override { return failing ? Error::no_descriptors : Error::none; }
    bool failing = false;
  } faults;
  App app(kSmall);
  add_routes(app);
  SimServer server(app, {.faults = &faults});
  const std::string request = get("/healthz");
  SimClient checker = server.send_from(kMe, request.substr(0, 5));  // at work: an idle one would make room
  faults.failing = true;
  SimClient newcomer = server.send_from("10.0.0.1", get("/"));
  checker.send(request.substr(5));
  server.settle();
  EXPECT_EQ(status_of(checker.received()), 503);
  EXPECT_EQ(body_of(checker.received()), "unavailable: not accepting\n");
  faults.failing = false;
  server.run_for(5s);
  EXPECT_EQ(body_of(server.exchange(get("/healthz"))), "ok: normal\n");
}

// ---- Who may see it ----

TEST(Monitor, HooksDecideWhoMaySeeIt) {
  App app(kSmall);
  app.get("/", [](Request&) { return "Hello"; });
  Router monitor;
  monitor.before_request([](Request& req) -> std::optional<Response> {
    if (req.client_addr.is_in("127.0.0.0/8, ::1, 10.1.0.0/16")) return {};
    return Response("not for you", 403);
  });
  monitor.get("/metrics", metrics);
  monitor.get("/healthz", healthz);
  app.mount(monitor, "/monitor", {.local = true});
  SimServer server(app);
  SimClient mine = server.send_from("10.1.2.3", get("/monitor/metrics"));
  parse(mine.received());
  SimClient theirs = server.send_from("10.2.2.3", get("/monitor/metrics"));
  EXPECT_EQ(status_of(theirs.received()), 403);
  SimClient hello = server.send_from("10.2.2.3", get("/"));
  EXPECT_EQ(body_of(hello.received()), "Hello");
}

}  // namespace
}  // namespace microdot_test
