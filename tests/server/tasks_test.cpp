// The server beside tasks that misbehave: one that fails, one that holds up the loop, one that leaks.

#include <cstdio>
#include <stdexcept>

#include <microdot/ext/sse.hpp>

#include "sim_server.hpp"

namespace microdot_test {
namespace {

std::vector<std::string>& errors() {
  static std::vector<std::string> all;
  return all;
}

class TasksTest : public testing::Test {
 protected:
  TasksTest() {
    errors().clear();
    on_task_error([](const TaskError& error) {
      errors().push_back(std::string(error.name) + ": " + std::string(error.reason));
    });
    app_.get("/", [](Request&) { return "hello"; });
  }
  ~TasksTest() override { on_task_error(nullptr); }

  /// Calls `f()` in the server's loop, as a task of it would.
  template <typename F>
  static void in_loop(SimServer& server, F& f) {
    server.loop.post([&f] { f(); });
    server.settle();
  }
  /// A task that wants to run every 20 ms.
  class Sensor {
   public:
    explicit Sensor(SimServer& server) : ran_{server.sim.clock().now()} {
      auto begin = [&] {
        task_ = create_task([this, &server]() -> Task<> {
          for (auto tick = every(20ms);;) {
            co_await tick;
            ran_.push_back(server.sim.clock().now());
          }
        });
      };
      in_loop(server, begin);
    }
    Sensor(const Sensor&) = delete;
    Sensor& operator=(const Sensor&) = delete;
    ~Sensor() { task_.cancel(); }

    /// From one run to the next.
    Duration longest() const {
      EXPECT_GT(ran_.size(), 50U);
      Duration longest{0};
      for (std::size_t i = 1; i < ran_.size(); ++i) longest = std::max(longest, ran_[i] - ran_[i - 1]);
      return longest;
    }

   private:
    std::vector<TimePoint> ran_;
    TaskHandle task_;
  };
  static void expect_hello(SimServer& server) {
    EXPECT_EQ(body_of(server.exchange(get("/", "Connection: close\r\n"))), "hello");
  }

  App app_;
};

TEST_F(TasksTest, ARouteThatHoldsUpTheLoopIsNamed) {
  SimPort* sim = nullptr;
  Router sub;
  sub.get("/slow/<int:n>", [&sim](Request&, int n) {
    sim->advance(std::chrono::milliseconds(n));
    return "at last";
  });
  app_.mount(sub, "/api");
  SimServer server(app_);
  server.sim.clear_log();
  sim = &server.sim;
  server.exchange(get("/api/slow/2003"));
  EXPECT_EQ(server.log(), "loop blocked for 2003 ms by GET /api/slow/<int:n>\n");
  server.run_for(1s);
  EXPECT_EQ(server.stats().longest_turn, 2003ms);
  EXPECT_EQ(server.stats().longest_turn_by.view(), "GET /api/slow/<int:n>");
  EXPECT_EQ(server.stats().times_blocked, 1u);
  expect_hello(server);
}

TEST_F(TasksTest, OfPipelinedRequestsItIsTheOneThatDid) {
  SimPort* sim = nullptr;
  app_.get("/slow", [&sim](Request&) {
    sim->advance(300ms);
    return "at last";
  });
  SimServer server(app_);
  server.sim.clear_log();
  sim = &server.sim;
  const std::string answers = server.exchange(get("/") + get("/slow") + get("/") + get("/none"));
  EXPECT_EQ(answers_in(answers), 4);
  EXPECT_EQ(server.log(), "loop blocked for 300 ms by GET /slow\n");
}

// Clients that send many requests at once, each of which takes its time, and a task that wants to run every
// 20 ms.
TEST_F(TasksTest, ManyRequestsAtOnceLeaveTheLoopToATask) {
  struct Case {
    std::size_t clients;
    Duration work;         // of each request
    Duration coarse_step;  // Linux has 4 ms, or 1
    Duration longest;      // wait of the task: its period and, some times over, a step or all clients' work
  };
  for (const Case& test : {Case{4, 1ms, 1us, 32ms}, Case{4, 1ms, 4ms, 40ms}, Case{24, 200us, 4ms, 40ms}}) {
    SimPort* sim = nullptr;
    App app;
    app.get("/work", [&sim, &test](Request&) {
      sim->advance(test.work);
      return "done";
    });
    SimServer server(app, {.coarse_step = test.coarse_step});
    sim = &server.sim;
    Sensor sensor(server);
    std::string requests;
    for (int i = 0; i < 500; ++i) requests += get("/work");
    std::vector<SimClient> clients;
    for (std::size_t i = 0; i < test.clients; ++i) {
      clients.push_back(server.sim.connect(kPort));
      clients.back().set_segment_size(requests.size());
      clients.back().send(requests);
    }
    const TimePoint start = sim->clock().now();
    while (sim->clock().now() - start < 100ms) server.loop.turn(Duration{0});
    for (const SimClient& client : clients)
      EXPECT_GE(answers_in(client.received()), 10);  // do not wait for the last
    server.run_for(5s);
    for (const SimClient& client : clients) EXPECT_EQ(answers_in(client.received()), 500);
    EXPECT_LE(sensor.longest(), test.longest) << test.clients << " clients";
    for (SimClient& client : clients) client.close();
    server.settle();
  }
}

// The next request's beginning comes with the end of a chunked body.
TEST_F(TasksTest, ManyChunkedBodiesLeaveTheLoopToATask) {
  SimPort* sim = nullptr;
  app_.post("/work", [&sim](Request& req) {
    sim->advance(1ms);
    return Response(req.format("{}", req.body().size()));
  });
  SimServer server(app_);
  sim = &server.sim;
  Sensor sensor(server);
  const std::string head = "POST /work HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::size_t size : {9000U, 12'000U, 16'200U}) {
    char digits[20];
    std::snprintf(digits, sizeof digits, "%zx\r\n", size);
    std::string requests;
    for (int i = 0; i < 200; ++i) requests += head + digits + std::string(size, 'x') + "\r\n0\r\n\r\n";
    SimClient client = server.sim.connect(kPort);
    client.set_segment_size(requests.size());
    client.send(requests);
    server.run_for(2s);
    EXPECT_EQ(answers_in(client.received()), 200) << size;
  }
  EXPECT_LE(sensor.longest(), 32ms);
}

TEST_F(TasksTest, SoAreCoroutinesHooksAndStreams) {
  SimPort* sim = nullptr;
  app_.get("/waits", [&sim](Request&) -> Task<Response> {
    co_await sleep_for(1s);
    sim->advance(400ms);
    co_return Response("at last");
  });
  app_.get("/live", with_sse([&sim](Request&, SSE& sse) -> Task<> {
             co_await sleep_for(11s);
             sim->advance(500ms);
             co_await sse.send("x");
           }));
  app_.errorhandler(404, [&sim](Request&) {
    sim->advance(600ms);
    return Response("none", 404);
  });
  SimServer server(app_);
  server.sim.clear_log();
  sim = &server.sim;
  const SimClient waits = server.send(get("/waits"));
  const SimClient live = server.send(get("/live"));
  server.run_for(2s);
  EXPECT_EQ(server.log(), "loop blocked for 400 ms by GET /waits\n");
  server.sim.clear_log();
  server.run_for(20s);
  EXPECT_EQ(server.log(), "loop blocked for 500 ms by GET /live\n");
  server.sim.clear_log();
  server.run_for(20s);
  server.exchange(get("/none"));
  EXPECT_EQ(server.log(), "loop blocked for 600 ms by GET (no route)\n");
}

TEST_F(TasksTest, ATaskThatHoldsUpTheLoopIsNamedAndTheServerGoesOn) {
  SimServer server(app_);
  server.sim.clear_log();
  auto start = [&] {
    create_task("sensor", [&server]() -> Task<> {
      co_await sleep_for(1s);
      server.sim.advance(2s);
      co_await sleep_for(1h);
    });
  };
  in_loop(server, start);
  server.run_for(5s);
  EXPECT_EQ(server.log(), "loop blocked for 2000 ms by task 'sensor'\n");
  EXPECT_EQ(server.stats().longest_turn_by.view(), "task 'sensor'");
  EXPECT_EQ(server.stats().longest_turn, 2s);
  expect_hello(server);
}

TEST_F(TasksTest, ATaskThatFailsComesBackAndTheServerGoesOn) {
  int runs = 0;
  SimServer server(app_);
  auto start = [&] {
    supervise("sensor", {.max_backoff = 1s}, [&runs]() -> Task<Result<void>> {
      ++runs;
      co_await sleep_for(1ms);
#if MICRODOT_EXCEPTIONS
      throw std::runtime_error("input/output error");
#else
      co_return Error::io;
#endif
    });
  };
  in_loop(server, start);
  for (int i = 0; i < 10; ++i) {
    server.run_for(1s);
    expect_hello(server);
  }
  EXPECT_GE(runs, 10);
  EXPECT_EQ(errors(), std::vector<std::string>(static_cast<std::size_t>(runs), "sensor: input/output error"));
  EXPECT_EQ(server.stats().task_restarts, static_cast<std::uint32_t>(runs) - 1);
  EXPECT_EQ(server.stats().tasks, 1u);
}

// It makes tasks that never end, each with something in a queue that nobody reads.
TEST_F(TasksTest, ATaskThatLeaksIsBoundedByTheTaskPoolAndOthersGoOn) {
  static std::byte memory[32 * 1024];
  Arena& pool = task_pool();
  ASSERT_EQ(pool.used(), 0u);
  const std::size_t usual = pool.capacity();
  static std::vector<std::byte> before(usual);  // stays the pool after this test
  pool.assign(memory);
  {
    int ticks = 0;
    std::uint64_t attempts = 0;
    Queue<int, 4> queue;
    const auto put = [&queue]() -> Task<> {
      co_await queue.put(1);
      co_await sleep_for(1h);
    };
    SimServer server(app_);
    TaskHandle leak;
    auto start = [&] {
      create_task("clock", [&ticks]() -> Task<> {
        auto tick = every(1s);
        for (;;) {
          co_await tick;
          ++ticks;
        }
      });
      leak = create_task("leak", [&]() -> Task<> {
        for (;;) {
          create_task("leaked", put);
          ++attempts;
          co_await sleep_for(10ms);
        }
      });
    };
    in_loop(server, start);
    for (int i = 0; i < 20; ++i) {
      server.run_for(1s);
      expect_hello(server);
    }
    EXPECT_LE(ticks, 20);
    EXPECT_GE(ticks, 19) << "a task that has its memory keeps it";
    EXPECT_EQ(leak.state(), TaskState::running);
    EXPECT_EQ(queue.size(), 4u);
    const Stats stats = server.stats();
    EXPECT_LE(stats.task_pool_high_water, sizeof memory);
    EXPECT_GT(stats.task_pool_high_water, sizeof memory / 2);
    ASSERT_FALSE(errors().empty());
    EXPECT_EQ(errors().back(), "leaked: no room for it in the task pool");
    EXPECT_EQ(errors().size(), attempts - (stats.tasks - 2)) << "each that was refused is told";
    leak.cancel();
    server.settle();
  }
  pool.assign(before);
}

}  // namespace
}  // namespace microdot_test
