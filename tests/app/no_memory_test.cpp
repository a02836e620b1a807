// Each request for arena memory made to fail, one after the other: the answer is a 503, and the next request
// is served as if nothing had happened.

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "support.hpp"

namespace {

Task<> nap() { co_await sleep_for(1ms); }
Task<int> number(int n) {
  co_await nap();
  co_return n;
}

Task<Response> refuse_deep() {
  co_await nap();
  co_await abort(403, std::string_view("members only"));
  co_return Response("not reached");
}

/// What a background task says about how it ended.
Response outcome(TaskState state) {
  return state == TaskState::done ? Response("done") : Response(abort(503, "the task failed"));
}

struct Visit {
  int count = 0;
};

constexpr Limits kOne{.connections = 4, .exchanges = 1, .max_body_length = 4096};

/// An App with a handler of each kind, and a client for it. One exchange, so that its arena is known.
class Site {
 public:
  explicit Site(const Limits& limits = kOne) : app_(limits) {
    app_.get("/arena", [this](Request& req) {
      arena_ = &req.arena();
      return "";
    });
    add_routes(app_);
    add_async_routes(app_);
    client_ = std::make_unique<TestClient>(app_);
    SimPort& sim = client_->sim();
    app_.static_files("/static", "static", {.max_age = 5});  // a directory of the simulator's files
    sim.add_file("static/page.html", numbered(20'000), 1'600'000'000);
    sim.add_file("static/page.html.gz", "zipped", 1'600'000'000);
    sim.add_file("static/index.html", "index", 1'600'000'000);
    sim.add_file("static/sub/index.html", "index of sub", 1'600'000'000);
    client_->get("/arena");
    pool_used_ = task_pool().used();
  }
  ~Site() {
    if (arena_ != nullptr) arena_->fail_after(0, 0);
    task_pool().fail_after(0, 0);
  }
  bool started() const { return client_->started(); }

  static std::string numbered(std::size_t size) {
    std::string text;
    for (int i = 0; text.size() < size; ++i) text += std::to_string(i) + " ";
    text.resize(size);
    return text;
  }

  static void add_routes(Router& app) {
    app.get("/text", [](Request&) { return "text"; });
    app.get("/format", [](Request& req) { return req.format("{} and {}", 1, "two"); });
    app.get("/copy", [](Request& req) { return req.copy(std::string(100, 'c')); });
    app.get("/status", [](Request&) { return 204; });
    app.get("/tuple", [](Request& req) {
      return std::tuple(req.format("{}", 1), 201, std::array{Header{"X-A", "a"}, Header{"X-B", "b"}});
    });
    app.get("/users/<name>/<int:id>",
            [](Request& req, std::string_view name, int id) { return req.format("{} {}", name, id); });
    app.get("/args", [](Request& req) { return Response(req.args["a"]); });
    app.post("/form", [](Request& req) { return Response((*req.form())["name"]); });
    app.post("/echo", [](Request& req) { return Response(req.body()); });
    app.get("/cookies", [](Request& req) {
      Response res(req.cookies()["c"]);
      res.set_cookie("d", "e", {.path = "/", .max_age = 10}).delete_cookie("c");
      return res;
    });
    app.get("/redirect", [](Request&) { return redirect("/text"); });
    app.get("/abort", [](Request&) { return abort(404, "no such thing"); });
    app.get("/abort/text", [](Request&) { return abort(404, std::string("no such thing at all, really")); });
    app.get("/handled", [](Request&) { return abort(418); });
    app.errorhandler(418, [](Request& req) { return Response(req.format("{} is short", req.path), 418); });
    app.get("/g", [](Request& req) -> Response {
      Visit* visit = req.g_emplace<Visit>();
      if (visit == nullptr) return "lost";
      visit->count = 7;
      req.after_request([](Request& r, Response& res) { res.header("X-Visit", r.g<Visit>()->count); });
      req.on_end([] {});
      return req.format("{}", visit->count);
    });
    app.get("/replaced", [](Request& req) {
      req.after_request([](Request& r, Response&) { return Response(r.format("{}", "replaced"), 202); });
      return "first";
    });
    app.get("/file", [](Request&) { return send_file("static/page.html", {.max_age = 10}); });
    app.get("/file/status",
            [](Request&) { return send_file("page.html", {.root = "static", .status_code = 202}); });
    app.get("/file/none", [](Request&) { return send_file("none.html", {.root = "static"}); });
    app.get("/generator", [](Request&) -> Generator<std::string_view> {
      co_yield "one";
      co_await nap();
      co_yield "two";
    });
  }

  static void add_async_routes(App& app) {
    app.get("/task", [](Request& req) -> Task<Response> {
      const int n = co_await number(3);
      co_return Response(req.format("{}", n));
    });
    app.get("/abort/deep", [](Request&) -> Task<Response> { co_return co_await refuse_deep(); });
    app.get("/gather", [](Request& req) -> Task<Response> {
      auto [a, b] = co_await gather(number(1), number(2));
      co_await gather(sleep_for(1ms), nap());
      co_return Response(req.format("{}", a + b));
    });
    app.get("/wait_for", [](Request& req) -> Task<Response> {
      const Result<int> n = co_await wait_for(number(4), 1s);
      const Result<void> late = co_await wait_for(sleep_for(1h), 1ms);
      co_return Response(req.format("{} {}", n ? *n : -1, late ? "in time" : to_string(late.error())));
    });
    app.get("/group", [](Request& req) -> Task<Response> {
      int sum = 0;
      TaskGroup group;
      group.create_task(nap());
      group.create_task([](int& to) -> Task<> { to += co_await number(5); }, std::ref(sum));
      co_await group.join();
      co_return Response(req.format("{}", sum));
    });
    app.get("/lock", [](Request& req) -> Task<Response> {
      static Lock lock;
      Queue<int, 2> queue;
      auto guard = co_await lock.acquire();
      co_await queue.put(6);
      co_await nap();
      const int n = co_await queue.get();
      co_return Response(req.format("{}", n));
    });
    app.get("/background", [](Request&) -> Task<Response> {
      TaskHandle task = create_task(
          "background", [](int n) -> Task<> { static_cast<void>(co_await number(n)); }, 1);
      const TaskState state = co_await task;
      co_return outcome(state);
    });
    app.get("/shield", [](Request& req) -> Task<Response> {
      const int n = co_await shield([](int m) -> Task<int> { co_return co_await number(m); }, 8);
      co_return Response(req.format("{}", n));
    });
    app.get("/stream/<int:n>", [](Request& req, int n) -> Task<Response> {
      co_await nap();
      static_cast<void>(n);
      Response res([](Request& r) -> Generator<std::string_view> {
        co_yield r.copy("one");
        co_await nap();
        co_yield "two";
      }(req));
      co_return res;
    });
    app.post("/read", [](Request& req) -> Task<Response> {
      std::size_t size = 0;
      for (;;) {
        const Result<std::string_view> part = co_await req.stream().next();
        if (!part || part->empty()) break;
        size += part->size();
      }
      co_return Response(req.format("{}", size));
    });
    app.before_request([](Request& req) -> Task<> {
      if (req.path.starts_with("/hooks")) co_await nap();
    });
    app.before_request([](Request& req) -> Task<std::optional<Response>> {
      std::optional<Response> early;
      if (req.path == "/early") {
        co_await nap();
        early.emplace(req.format("{}", "early"), 202);
      }
      co_return early;
    });
    app.get("/early", [](Request&) { return "late"; });
    app.get("/handled/later", [](Request&) { return abort(429); });
    app.errorhandler(429, [](Request& req) -> Task<Response> {
      co_await nap();
      co_return Response(req.format("{}", "later"), 429);
    });
    app.after_request([](Request& req, Response& res) -> Task<> {
      if (!req.path.starts_with("/hooks")) co_return;
      co_await nap();
      res.header("X-Hook", "after");
    });
    app.after_error_request([](Request&, Response& res) { res.header("X-Error", "yes"); });
    app.get("/hooks", [](Request&) { return "hooked"; });
  }

  /// One request as often as it takes arena memory, each time with another piece of it missing.
  struct Case {
    std::string_view method;
    std::string_view url;
    std::string_view body = {};
    std::vector<Header> fields = {};
    /// Beside 503: what is answered where the documentation says so.
    int status = 503;
    std::string_view text = {};  // and its text; empty: any
    bool may_be_cut = false;     // a stream whose head is out can only be cut short
    bool may_close = false;      // a request that was not read to its end is the last of its connection
  };

  TestResponse send(const Case& at) {
    switch (at.fields.size()) {
      case 0: return client_->request(at.method, at.url, at.body);
      case 1: return client_->request(at.method, at.url, at.body, {at.fields[0]});
      default: return client_->request(at.method, at.url, at.body, {at.fields[0], at.fields[1]});
    }
  }

  static bool same(const TestResponse& a, const TestResponse& b) {
    // The boundary of several parts is random.
    const auto is_multipart = [](const TestResponse& res) {
      return res.headers["Content-Type"].starts_with("multipart/");
    };
    if (is_multipart(a) && is_multipart(b)) {
      return a.status_code == b.status_code && a.text.size() == b.text.size();
    }
    return a.status_code == b.status_code && a.text == b.text && a.error == b.error &&
           std::equal(a.headers.begin(), a.headers.end(), b.headers.begin(), b.headers.end(),
                      [](const auto& x, const auto& y) { return x == y || x.first == "Date"; });
  }

  /// `failing`: so many in a row. Gives how many requests of memory there are.
  int sweep(Arena& arena, const Case& at, std::uint16_t failing) {
    client_->cookies.clear();
    const TestResponse right = send(at);
    EXPECT_NE(right.status_code, 0) << at.url << ": " << right.error;
    EXPECT_NE(right.status_code, 503) << at.url;
    for (std::uint16_t n = 0; n < 200; ++n) {
      client_->cookies.clear();
      const std::uint32_t failures = arena.failures();
      arena.fail_after(n, failing);
      const TestResponse res = send(at);
      arena.fail_after(0, 0);
      const bool failed = arena.failures() != failures;
      if (!failed) {
        EXPECT_TRUE(same(res, right)) << at.url << ": " << res.status_code << " " << res.text;
        return n;
      }
      check(at, res, right, n);
      client_->cookies.clear();
      EXPECT_TRUE(same(send(at), right)) << at.url << ": the request after failure " << n;
      client_->run_for(1s);
      EXPECT_EQ(app_.stats().exchanges, 0u) << at.url << " " << n;
      EXPECT_EQ(task_pool().used(), pool_used_) << at.url << " " << n << ": a task is left";
    }
    ADD_FAILURE() << at.url << " asks for memory without end";
    return 0;
  }

  static void check(const Case& at, const TestResponse& res, const TestResponse& right, int n) {
    if (at.may_be_cut && res.status_code == 0 && res.error == "the body ended early") return;
    if (same(res, right)) return;  // what failed was not needed
    if (res.status_code == 503) {
      // A request that was refused before it was routed is the last of its connection.
      EXPECT_TRUE(!res.connection_closed || at.may_close || at.status == 414)
          << at.method << " " << at.url << ", failure " << n;
      return;
    }
    EXPECT_EQ(res.status_code, at.status)
        << at.method << " " << at.url << ", failure " << n << ": " << res.text.substr(0, 80) << res.error;
    if (!at.text.empty()) {
      EXPECT_EQ(res.text, at.text) << at.url << ", failure " << n;
    }
  }

  void expect_every_failure_answered(const Case& at, int at_least) {
    for (const std::uint16_t failing : {std::uint16_t{1}, std::uint16_t{2}, std::uint16_t{60'000}}) {
      EXPECT_GE(sweep(*arena_, at, failing), at_least) << at.url;
    }
  }

  App app_;
  Arena* arena_ = nullptr;
  std::unique_ptr<TestClient> client_;
  std::size_t pool_used_ = 0;
};

class NoMemory : public testing::Test, public Site {};

std::vector<Site::Case> plain_cases() {
  return {
      {"GET", "/format"},
      {"GET", "/copy"},
      {"GET", "/tuple"},
      {"GET", "/users/a%20b/7"},
      {"GET", "/args?a=x%20y&b=2", {}, {}, 414},  // as a query that is too long for the memory there is
      {"POST", "/form", "name=a+long&c=d", {{"Content-Type", "application/x-www-form-urlencoded"}}, 413},
      {"GET", "/cookies", {}, {{"Cookie", "c=x"}}},
      {"GET", "/redirect"},
      {"GET", "/abort"},
      {"GET", "/abort/text", {}, {}, 404, "Not found"},
      {"GET", "/handled"},
      {"GET", "/none"},
      {"PUT", "/text"},
      {"OPTIONS", "/text"},
      {"GET", "/g"},
      {"GET", "/replaced"},
      {"GET", "/hooks"},
      // Nothing of their own, but the hooks' frames.
      {"GET", "/text"},
      {"GET", "/status"},
      {"POST", "/echo", "body"},
  };
}

std::vector<Site::Case> coroutine_cases() {
  static const std::string large(6000, 'l');  // more than is read before the handler runs
  return {
      {"GET", "/task"},
      {"GET", "/abort/deep", {}, {}, 403, "Forbidden"},
      {"GET", "/gather"},
      {"GET", "/wait_for"},
      {"GET", "/group"},
      {"GET", "/lock"},
      {"GET", "/shield"},
      {"GET", "/background"},
      {"GET", "/early"},
      {"GET", "/handled/later"},
      {"POST", "/read", "0123456789"},
      {"POST", "/read", large, {}, 503, {}, false, true},
      {"GET", "/generator", {}, {}, 503, {}, true},
      {"GET", "/stream/1", {}, {}, 503, {}, true},
  };
}

std::vector<Site::Case> file_cases(const std::string& etag) {
  return {
      {"GET", "/file"},
      {"HEAD", "/file"},
      {"GET", "/file/status"},
      {"GET", "/file/none"},
      {"GET", "/static/page.html"},
      {"GET", "/static/page.html", {}, {{"Accept-Encoding", "br, gzip"}}},
      {"GET", "/static/page.html", {}, {{"If-None-Match", etag}}},
      {"GET", "/static/page.html", {}, {{"If-Match", "\"x\""}}},
      {"GET", "/static/page.html", {}, {{"Range", "bytes=10-19"}}},
      {"GET", "/static/page.html", {}, {{"Range", "bytes=10-19,10000-10009"}}},
      {"GET", "/static/page.html", {}, {{"Range", "bytes=90000-"}}},
      {"GET", "/static/"},
      {"GET", "/static/sub?x=y", {}, {}, 414},
      {"GET", "/static/sub"},
      {"GET", "/static/none"},
      {"GET", "/static/../x"},
  };
}

TEST_F(NoMemory, InPlainHandlers) {
  for (const Case& at : plain_cases()) expect_every_failure_answered(at, 1);
}

TEST_F(NoMemory, InCoroutines) {
  for (const Case& at : coroutine_cases()) expect_every_failure_answered(at, 3);
}

TEST_F(NoMemory, InFiles) {
  const std::string etag(client_->get("/static/page.html").headers["ETag"]);
  ASSERT_FALSE(etag.empty());
  for (const Case& at : file_cases(etag)) expect_every_failure_answered(at, 1);
}

TEST_F(NoMemory, InTheTaskPool) {
  std::vector<std::string> reports;
  static std::vector<std::string>* to = nullptr;
  to = &reports;
  on_task_error([](const TaskError& error) { to->emplace_back(error.reason); });
  for (const Case& at : {Case{"GET", "/background"}, Case{"GET", "/shield"}}) {
    for (const std::uint16_t failing : {std::uint16_t{1}, std::uint16_t{60'000}}) {
      reports.clear();
      const int requests = sweep(task_pool(), at, failing);
      EXPECT_GE(requests, 3) << at.url;
      EXPECT_GE(reports.size(), 2u) << at.url << ": " << requests;
    }
  }
  on_task_error(nullptr);
}

TEST_F(NoMemory, InMountedRouters) {
  Router sub;
  add_routes(sub);
  sub.after_request([](Request&, Response& res) { res.header("X-Sub", "after"); });
  App app{kOne};
  Arena* arena = nullptr;
  app.get("/arena", [&arena](Request& req) {
    arena = &req.arena();
    return "";
  });
  app.mount(sub, "/sub", {.local = true});
  TestClient client(app);
  client.get("/arena");
  for (const char* url : {"/sub/format", "/sub/text", "/sub/users/a%20b/1", "/sub/handled"}) {
    const TestResponse right = client.get(url);
    std::uint16_t n = 0;
    for (;; ++n) {
      const std::uint32_t failures = arena->failures();
      arena->fail_after(n, 1);
      const TestResponse res = client.get(url);
      arena->fail_after(0, 0);
      if (arena->failures() == failures) break;
      EXPECT_TRUE(res.status_code == 503 || same(res, right)) << url << " " << n << ": " << res.status_code;
      EXPECT_TRUE(same(client.get(url), right)) << url << " " << n;
    }
    EXPECT_GE(n, 1) << url;
  }
}

// Pipelined: those before and behind are answered as ever.
TEST_F(NoMemory, NextToOtherRequestsOfOneConnection) {
  const std::string requests =
      get("/format") + get("/format") + "GET /format HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  const auto statuses = [](std::string_view bytes) {
    std::string text;
    for (std::size_t at = bytes.find("HTTP/1.1 "); at != bytes.npos; at = bytes.find("HTTP/1.1 ", at + 9)) {
      text.append(bytes.substr(at + 9, 3)).append(" ");
    }
    return text;
  };
  std::vector<std::string> seen;
  for (std::uint16_t n = 0; n < 100; ++n) {
    const std::uint32_t failures = arena_->failures();
    arena_->fail_after(n, 1);
    const std::string answers = client_->raw(requests);
    arena_->fail_after(0, 0);
    if (arena_->failures() == failures) break;
    seen.push_back(statuses(answers));
  }
  std::sort(seen.begin(), seen.end());
  seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
  EXPECT_EQ(seen, (std::vector<std::string>{"200 200 503 ", "200 503 200 ", "503 200 200 "}));
}

// An arena of each size: the server says that it is too small, or serves all that fits.
TEST_F(NoMemory, InArenasOfEverySize) {
  const std::string etag(client_->get("/static/page.html").headers["ETag"]);
  std::vector<Case> cases = plain_cases();
  for (const std::vector<Case>& more : {coroutine_cases(), file_cases(etag)}) {
    cases.insert(cases.end(), more.begin(), more.end());
  }
  std::vector<TestResponse> right;
  for (const Case& at : cases) {
    client_->cookies.clear();
    right.push_back(send(at));
  }
  std::size_t refused = 0;
  std::size_t short_of = 0;  // in the last of the arenas
  for (std::uint32_t size = 0; size <= 8192; size += size < 1536 ? 16 : 112) {
    Limits limits = kOne;
    limits.arena_bytes = size;
    Site small(limits);
    if (!small.started()) {
      EXPECT_TRUE(logged(*small.client_, "Limits::arena_bytes")) << size;
      ++refused;
      continue;
    }
    short_of = 0;
    for (std::size_t i = 0; i < cases.size(); ++i) {
      small.client_->cookies.clear();
      const TestResponse res = small.send(cases[i]);
      check(cases[i], res, right[i], static_cast<int>(size));
      short_of += same(res, right[i]) ? 0 : 1;
    }
  }
  EXPECT_GE(refused, 1024u / 16);
  EXPECT_EQ(short_of, 0u) << "so the largest arena is large enough";
}

template <std::size_t... kStep>
void start_with_each_registry(std::index_sequence<kStep...>) {
  std::size_t refused = 0;
  std::size_t served = 0;
  const auto start = [&]<std::uint32_t kBytes>(std::integral_constant<std::uint32_t, kBytes>) {
    auto app = std::make_unique<
        StaticApp<Limits{.connections = 2, .exchanges = 1, .routes = 1, .handler_bytes = kBytes}>>();
    Site::add_routes(*app);
    TestClient client(*app);
    if (client.started()) {
      EXPECT_EQ(client.get("/users/a/1").text, "a 1") << kBytes;
      EXPECT_EQ(client.get("/handled").status_code, 418) << kBytes;
      ++served;
    } else {
      EXPECT_TRUE(logged(client, "Limits::handler_bytes is too small")) << kBytes;
      ++refused;
    }
  };
  (start(std::integral_constant<std::uint32_t, 16 + 400 * kStep>{}), ...);
  EXPECT_GT(refused, 2u);
  EXPECT_GT(served, 1u);
}

TEST(NoMemoryAtStart, RegistriesOfManySizes) { start_with_each_registry(std::make_index_sequence<12>{}); }

// Finer: each size of a block that a router is given.
TEST(NoMemoryAtStart, RoutersOfEverySize) {
  alignas(std::max_align_t) static std::byte block[6000];
  std::size_t smallest = 0;
  for (std::size_t size = 0; size <= sizeof block; size += 16) {
    Router router(std::span<std::byte>(block).first(size));
    Site::add_routes(router);
    App app(kOne);
    app.mount(router, "/sub");
    TestClient client(app);
    if (!client.started()) {
      EXPECT_TRUE(logged(client, "Limits::handler_bytes is too small")) << size;
      EXPECT_EQ(smallest, 0u) << "served with less than " << size;
      continue;
    }
    if (smallest == 0) smallest = size;
    EXPECT_EQ(client.get("/sub/users/a/1").text, "a 1") << size;
  }
  EXPECT_GT(smallest, 1000u);
}

TEST(NoMemoryGuide, AsTheGuideSays) {
  App app{Limits{.exchanges = 1}};
  Arena* arena = nullptr;
  app.get("/", [&](Request& req) {
    arena = &req.arena();
    return req.format("{}", 7);
  });
  TestClient client(app);
  client.get("/");
  arena->fail_after(0);
  EXPECT_EQ(client.get("/").status_code, 503);
  EXPECT_EQ(client.get("/").text, "7");
}

// What a program starts with comes from the task pool.
TEST(NoMemoryAtStart, TasksOfTheProgram) {
  const std::size_t used = task_pool().used();
  for (std::uint16_t n = 0; n < 20; ++n) {
    SimPort sim;
    App app(kOne);
    bool served = false;
    const auto program = [&]() -> Task<int> {
      TaskHandle server = create_task("server", app.start_server({.host = "", .port = 80}));
      co_await sleep_for(1ms);
      served = app.running();
      app.shutdown();
      const TaskState state = co_await server;
      co_return state == TaskState::done ? 0 : 3;
    };
    const std::uint32_t failures = task_pool().failures();
    task_pool().fail_after(n);
    const int result = microdot::run(program(), sim);
    task_pool().fail_after(0, 0);
    EXPECT_EQ(task_pool().used(), used) << n;
    if (task_pool().failures() == failures) {
      EXPECT_EQ(result, 0);
      EXPECT_TRUE(served);
      EXPECT_GE(n, 3);
      return;
    }
    EXPECT_NE(result, 0) << n;
    EXPECT_FALSE(served) << n;
    EXPECT_NE(sim.log_text().find("no room for it in the task pool"), std::string_view::npos)
        << n << ": " << sim.log_text();
  }
  FAIL() << "a start takes memory from the task pool without end";
}

}  // namespace
