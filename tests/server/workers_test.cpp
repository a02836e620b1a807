/// Several workers: threads, sockets and signals are real. "Threads" in the suites' name keeps them from
/// valgrind.

#include <dirent.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <thread>

#include <microdot/ext/monitor.hpp>
#include <microdot/ext/websocket.hpp>
#include <microdot/microdot.hpp>

#include "client_socket.hpp"
#include "sim_server.hpp"

namespace microdot_test {
namespace {

/// How many sockets may still listen.
constexpr int kAnyNumber = 1'000'000;
std::atomic<int> listens_left{kAnyNumber};

}  // namespace
}  // namespace microdot_test

/// In the place of the system's, for a failure that takes nothing away from a sanitizer.
extern "C" int listen(int socket, int backlog) noexcept {
  if (microdot_test::listens_left == 0) {
    errno = EADDRINUSE;
    return -1;
  }
  --microdot_test::listens_left;
  return static_cast<int>(syscall(SYS_listen, socket, backlog));
}

namespace microdot_test {
namespace {

using namespace std::chrono_literals;

constexpr Limits kLimits{.connections = 128,
                         .connections_per_client = 128,
                         .exchanges = 128,  // half of them for one address
                         .streams = 64,
                         .ws_message_bytes = 1024};

int entries(const char* path) {
  DIR* directory = opendir(path);
  int count = 0;
  while (const dirent* entry = readdir(directory)) count += entry->d_name[0] != '.';
  closedir(directory);
  return count;
}
int threads_now() { return entries("/proc/self/task"); }
/// The same once no more than `wanted` are left: one that was joined is listed for a moment yet.
int threads_left(int wanted) {
  for (int i = 0; i < 5000 && threads_now() > wanted; ++i) std::this_thread::sleep_for(1ms);
  return threads_now();
}
int descriptors_now() { return entries("/proc/self/fd"); }

/// One for each thread, from 0 in the order in which they asked.
int thread_number() {
  static std::atomic<int> next{0};
  thread_local const int number = next++;
  return number;
}

/// Runs an App with several workers. All but the constructor may be called by any thread.
class WorkersRun {
 public:
  explicit WorkersRun(App& app, int workers, std::uint16_t port = 0) : app_(&app) {
    thread_ = std::thread([this, workers, port] {
      result_ = app_->run({.host = "127.0.0.1", .port = port, .workers = workers});
      ended_ = true;
    });
    while (!app.running() && !ended_) std::this_thread::sleep_for(1ms);
    port_ = app.port();
  }
  WorkersRun(const WorkersRun&) = delete;
  WorkersRun& operator=(const WorkersRun&) = delete;
  ~WorkersRun() {
    app_->shutdown();
    join();
  }
  int join() {
    if (thread_.joinable()) thread_.join();
    return result_;
  }
  bool ended() const { return ended_; }
  std::uint16_t port() const { return port_; }

 private:
  App* app_;
  std::thread thread_;
  std::atomic<bool> ended_{false};
  int result_ = -1;
  std::uint16_t port_ = 0;
};

std::string body_of(const std::string& answer) { return answer.substr(answer.find("\r\n\r\n") + 4); }

std::string ask(std::uint16_t port, const std::string& path) {
  Socket client(port);
  client.send_all("GET " + path + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  return client.read_all();
}

/// Whom a request came to, and how many have come.
class WorkersThreads : public testing::Test {
 protected:
  WorkersThreads() : app_(kLimits) {
    // With the first one a sanitizer may start one of its own.
    pid_t first = 0;
    std::thread([&first] { first = gettid(); }).join();
    while (access(("/proc/self/task/" + std::to_string(first)).c_str(), F_OK) == 0) std::this_thread::yield();
    threads_before_ = threads_now();
    (void)system_port();  // has descriptors for as long as the thread
    descriptors_before_ = descriptors_now();
    app_.get("/who", [](Request&) { return std::to_string(thread_number()); });
  }
  ~WorkersThreads() override {
    EXPECT_EQ(threads_left(threads_before_), threads_before_);
    EXPECT_EQ(descriptors_now(), descriptors_before_);
  }

  App app_;
  int threads_before_ = 0;
  int descriptors_before_ = 0;
};

TEST_F(WorkersThreads, EachServesAndStatsAreTheSum) {
  testing::internal::CaptureStderr();
  std::string stderr_text;
  {
    WorkersRun server(app_, 3);
    ASSERT_NE(server.port(), 0);
    EXPECT_EQ(threads_now(), threads_before_ + 3);  // the first is the test's own
    std::set<std::string> seen;
    unsigned asked = 0;
    Stats stats;
    while (seen.size() < 3 && asked < 1000) {
      seen.insert(body_of(ask(server.port(), "/who")));
      ++asked;
      stats = app_.stats();
      for (int i = 0; i < 1000 && stats.connections != 0; ++i) {  // it has to see that the client has left
        std::this_thread::sleep_for(1ms);
        stats = app_.stats();
      }
    }
    EXPECT_EQ(seen.size(), 3u);
    EXPECT_EQ(stats.workers, 3u);
    EXPECT_EQ(stats.requests, asked);
    EXPECT_EQ(stats.accepted, asked);
    EXPECT_EQ(stats.latency.total(), asked);
    EXPECT_EQ(stats.connections, 0u);
    EXPECT_EQ(stats.connections_high_water, 3u) << "each has had one at a time";
    std::uint32_t route_requests = 0;
    app_.for_each_route([&](const RouteStats& route) { route_requests += route.requests; });
    EXPECT_EQ(route_requests, asked);
    app_.shutdown();
    EXPECT_EQ(server.join(), 0);
    EXPECT_EQ(app_.port(), 0);
    EXPECT_FALSE(app_.running());
    EXPECT_EQ(app_.stats().requests, 0u) << "no server runs";
  }
  stderr_text = testing::internal::GetCapturedStderr();
  const std::size_t line = stderr_text.find("listening on http://127.0.0.1:");
  EXPECT_NE(line, std::string::npos) << stderr_text;
  EXPECT_EQ(stderr_text.find("listening", line + 1), std::string::npos) << stderr_text;
}

TEST_F(WorkersThreads, TheSameAppServesAgainWithMoreAndFewer) {
  for (const int workers : {2, 4, 2}) {
    WorkersRun server(app_, workers);
    EXPECT_EQ(status_of(ask(server.port(), "/who")), 200) << workers;
    app_.shutdown();
    EXPECT_EQ(server.join(), 0);
  }
}

TEST_F(WorkersThreads, OneForEachProcessor) {
  WorkersRun server(app_, 0);
  cpu_set_t set;
  ASSERT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  EXPECT_EQ(app_.stats().workers, static_cast<unsigned>(CPU_COUNT(&set)));
  kill(getpid(), SIGTERM);
  EXPECT_EQ(server.join(), 0);
}

TEST_F(WorkersThreads, AHandlerEndsAll) {
  app_.get("/end", [&](Request& req) {
    req.app.shutdown();
    return "bye";
  });
  for (int i = 0; i < 5; ++i) {
    WorkersRun server(app_, 4);
    EXPECT_EQ(body_of(ask(server.port(), "/end")), "bye");
    EXPECT_EQ(server.join(), 0);
    Socket late(server.port());
    EXPECT_FALSE(late.connected());
  }
}

/// Holds requests until it is opened, and tells whom they came to.
struct Gate {
  std::atomic<bool> open{false};
  std::atomic<unsigned> waiting{0};
  Task<Response> pass() {
    ++waiting;
    while (!open) co_await sleep_for(1ms);
    co_return Response(std::to_string(thread_number()));
  }
};

TEST_F(WorkersThreads, RequestsInFlightInAllAreFinished) {
  Gate gate;
  app_.get("/slow", [&gate](Request&) -> Task<Response> { return gate.pass(); });
  WorkersRun server(app_, 3);
  std::deque<Socket> clients;
  while (clients.size() < 60) {
    clients.emplace_back(server.port());
    clients.back().send_all(get("/slow"));
  }
  while (gate.waiting < 60) std::this_thread::sleep_for(1ms);
  Socket idle(server.port());
  app_.shutdown();
  EXPECT_EQ(idle.read_all(), "") << "closed at once";
  EXPECT_FALSE(server.ended());
  EXPECT_EQ(app_.port(), 0);
  for (int i = 0; i < 5000; ++i) {  // soon nobody listens
    if (!Socket(server.port()).connected()) break;
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_FALSE(Socket(server.port()).connected());
  gate.open = true;
  std::set<std::string> seen;
  for (Socket& client : clients) {
    const std::string answer = client.read_all();
    EXPECT_EQ(status_of(answer), 200);
    seen.insert(body_of(answer));
  }
  EXPECT_EQ(seen.size(), 3u) << "all had some";
  EXPECT_EQ(server.join(), 0);
}

TEST_F(WorkersThreads, TheDeadlineEndsWhatIsLeft) {
  Limits limits = kLimits;
  limits.shutdown_timeout = 100ms;
  App app(limits);
  Gate gate;
  app.get("/slow", [&gate](Request&) -> Task<Response> { return gate.pass(); });
  WorkersRun server(app, 3);
  std::deque<Socket> clients;
  while (clients.size() < 20) {
    clients.emplace_back(server.port());
    clients.back().send_all(get("/slow"));
  }
  while (gate.waiting < 20) std::this_thread::sleep_for(1ms);
  const auto begin = std::chrono::steady_clock::now();
  app.shutdown();
  EXPECT_EQ(server.join(), 0);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 100ms);
  for (Socket& client : clients) EXPECT_EQ(client.read_all(), "");
}

TEST_F(WorkersThreads, OneSignalIsGracefulInAllAndASecondEndsThemAtOnce) {
  Gate gate;
  std::atomic<unsigned> told{0};
  app_.get("/slow", [&gate](Request&) -> Task<Response> { return gate.pass(); });
  app_.get("/told", [&told](Request&) {
    create_task(
        [](std::atomic<unsigned>* count) -> Task<> {
          co_await exit_requested();
          ++*count;
        },
        &told);
    return std::to_string(thread_number());
  });
  WorkersRun server(app_, 3);
  std::set<std::string> seen;
  unsigned asked = 0;
  for (; seen.size() < 3 && asked < 200; ++asked) seen.insert(body_of(ask(server.port(), "/told")));
  ASSERT_EQ(seen.size(), 3u);
  std::deque<Socket> clients;
  while (clients.size() < 40) {
    clients.emplace_back(server.port());
    clients.back().send_all(get("/slow"));
  }
  while (gate.waiting < 40) std::this_thread::sleep_for(1ms);
  kill(getpid(), SIGTERM);
  for (int i = 0; i < 5000 && told < asked; ++i) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(told, asked) << "tasks of all workers were told";
  EXPECT_FALSE(server.ended());
  EXPECT_EQ(app_.stats().exchanges, 40u) << "and requests go on";
  kill(getpid(), SIGINT);
  EXPECT_EQ(server.join(), 130);
  for (Socket& client : clients) EXPECT_EQ(client.read_all(), "");
}

TEST_F(WorkersThreads, AFailedStartSaysWhyOnceAndLeavesNothing) {
  WorkersRun server(app_, 2);
  for (const int workers : {1, 2, 3}) {
    App other(kLimits);
    testing::internal::CaptureStderr();
    EXPECT_EQ(other.run({.host = "127.0.0.1", .port = server.port(), .workers = workers}), 1);
    EXPECT_EQ(testing::internal::GetCapturedStderr(),
              "cannot listen on 127.0.0.1:" + std::to_string(server.port()) + ": address already in use\n");
    EXPECT_FALSE(other.running());
  }
  App other(kLimits);
  testing::internal::CaptureStderr();
  EXPECT_EQ(other.run({.host = "127.0.0.1", .port = 0, .workers = 1025}), 1);
  EXPECT_EQ(other.run({.host = "127.0.0.1", .port = 0, .workers = -1}), 1);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "ServerOptions::workers must be at most 1024\nServerOptions::workers must be at most 1024\n");
  static StaticApp<Limits::device()> static_app;
  testing::internal::CaptureStderr();
  EXPECT_EQ(static_app.run({.host = "127.0.0.1", .port = 0, .workers = 2}), 1);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "ServerOptions::workers: a StaticApp has memory for one\n");
}

TEST_F(WorkersThreads, OneThatCannotStartEndsAll) {
  listens_left = 2;
  testing::internal::CaptureStderr();
  EXPECT_EQ(app_.run({.host = "127.0.0.1", .port = 0, .workers = 4}), 1);
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(listens_left, 0) << "the third has tried, and no other";
  listens_left = kAnyNumber;
  EXPECT_FALSE(app_.running());
  const std::size_t line = text.find("cannot listen on 127.0.0.1:");
  EXPECT_NE(line, std::string::npos) << text;
  EXPECT_EQ(text.find("cannot", line + 1), std::string::npos) << text;
  EXPECT_EQ(text.find("listening"), std::string::npos) << text;
}

TEST_F(WorkersThreads, BesideOtherTasksAndEndedWithItsTask) {
  const auto program = [&]() -> Task<int> {
    auto server = create_task(app_.start_server({.host = "127.0.0.1", .port = 0, .workers = 3}));
    int turns = 0;
    while (!app_.running() && !server.done()) {
      ++turns;
      co_await sleep_for(1ms);
    }
    EXPECT_EQ(threads_now(), threads_before_ + 2);
    const std::uint16_t port = app_.port();
    auto work = [port] { return ask(port, "/who"); };
    const std::string answer = co_await run_in_thread(work);
    EXPECT_EQ(status_of(answer), 200);
    const Result<void> again = co_await app_.start_server({.host = "127.0.0.1", .port = 0, .workers = 2});
    EXPECT_FALSE(again) << "it runs already";
    server.cancel();
    co_await server;
    EXPECT_FALSE(app_.running());
    EXPECT_FALSE(Socket(port).connected());
    co_return turns;
  };
  EXPECT_GT(microdot::run(program()), 0);
}

TEST_F(WorkersThreads, TasksOfARequestStayInItsWorker) {
  std::atomic<unsigned> same{0};
  std::atomic<unsigned> other{0};
  app_.get("/task", [&](Request&) {
    create_task(
        [](std::atomic<unsigned>* yes, std::atomic<unsigned>* no, int thread) -> Task<> {
          co_await sleep_for(1ms);
          ++*(thread_number() == thread ? yes : no);
        },
        &same, &other, thread_number());
    return std::to_string(thread_number());
  });
  WorkersRun server(app_, 3);
  std::set<std::string> seen;
  unsigned asked = 0;
  for (; seen.size() < 3 && asked < 200; ++asked) seen.insert(body_of(ask(server.port(), "/task")));
  EXPECT_EQ(seen.size(), 3u);
  for (int i = 0; i < 5000 && same + other < asked; ++i) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(same, asked);
}

#if MICRODOT_EXCEPTIONS
TEST_F(WorkersThreads, AHandlerThatThrowsIsA500InAll) {
  app_.get("/throw", [](Request&) -> Response { throw std::runtime_error("oops"); });
  WorkersRun server(app_, 3);
  testing::internal::CaptureStderr();
  for (int i = 0; i < 40; ++i) EXPECT_EQ(status_of(ask(server.port(), "/throw")), 500);
  testing::internal::GetCapturedStderr();
  EXPECT_EQ(app_.stats().server_errors, 40u);
  EXPECT_EQ(status_of(ask(server.port(), "/who")), 200);
}
#endif

TEST_F(WorkersThreads, OneLimitOfARouteForAll) {
  Gate gate;
  app_.get("/few", [&gate](Request&) -> Task<Response> { return gate.pass(); }, {.max_active = 5});
  WorkersRun server(app_, 3);
  std::deque<Socket> clients;
  while (clients.size() < 20) {
    clients.emplace_back(server.port());
    clients.back().send_all("GET /few HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  }
  while (app_.stats().server_errors < 15) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(gate.waiting, 5u);
  gate.open = true;
  int served = 0;
  for (Socket& client : clients) served += status_of(client.read_all()) == 200 ? 1 : 0;
  EXPECT_EQ(served, 5);
  EXPECT_EQ(status_of(ask(server.port(), "/few")), 200) << "they count no more";
}

// For ThreadSanitizer above all.
TEST_F(WorkersThreads, AnybodyMayAskAtAnyTime) {
  monitor(app_);
  app_.get("/stats", [&](Request& req) { return std::to_string(req.app.stats().requests); });
  WorkersRun server(app_, 3);
  std::atomic<bool> stop{false};
  std::thread observer([&] {
    std::uint64_t last = 0;
    while (!stop) {
      const Stats stats = app_.stats();
      EXPECT_GE(stats.requests, last);
      EXPECT_GE(stats.latency.total(), 0u);
      EXPECT_TRUE(app_.running());
      last = stats.requests;
      app_.for_each_route([](const RouteStats&) {});
    }
  });
  std::thread clients[2];
  for (std::thread& client : clients) {
    client = std::thread([&] {
      for (const char* path : {"/stats", "/metrics", "/status/data", "/who", "/none"}) {
        for (int i = 0; i < 40; ++i) EXPECT_NE(status_of(ask(server.port(), path)), 500);
      }
    });
  }
  for (std::thread& client : clients) client.join();
  stop = true;
  observer.join();
  EXPECT_EQ(app_.stats().requests, 400u);
  const std::string metrics = ask(server.port(), "/metrics");
  EXPECT_NE(metrics.find("\nmicrodot_workers 3\n"), std::string::npos) << metrics;
  EXPECT_NE(metrics.find("\nmicrodot_connections_limit 384\n"), std::string::npos);
  EXPECT_NE(metrics.find("\nmicrodot_requests_total 400\n"), std::string::npos);
}

TEST_F(WorkersThreads, AlsoWhileMemoryIsGivenBack) {
  App app(Limits{.connections = 2000, .connections_per_client = 2000, .streams = 0});
  app.get("/", [](Request&) { return "Hello"; });
  WorkersRun server(app, 2);
  std::atomic<bool> stop{false};
  std::thread observer([&] {
    while (!stop) {
      const Stats stats = app.stats();
      EXPECT_LE(stats.idle, 900u);
      EXPECT_LE(stats.connections, 900u);
    }
  });
  {
    std::deque<Socket> clients;
    for (int i = 0; i < 900; ++i) {
      clients.emplace_back(server.port());
      clients.back().send_all(get("/"));
    }
    for (Socket& client : clients) EXPECT_TRUE(client.read_until("Hello").ends_with("Hello"));
  }
  while (app.stats().connections != 0) std::this_thread::sleep_for(1ms);
  // What has been given back by now is used again, or is not yet: it is the same to those who ask.
  const auto end = std::chrono::steady_clock::now() + 1200ms;
  while (std::chrono::steady_clock::now() < end) EXPECT_EQ(status_of(ask(server.port(), "/")), 200);
  stop = true;
  observer.join();
  EXPECT_EQ(app.stats().idle, 0u);
}

TEST_F(WorkersThreads, AlsoWhileItStartsAndEnds) {
  std::atomic<bool> stop{false};
  std::thread observer([&] {
    while (!stop) {
      const Stats stats = app_.stats();
      EXPECT_LE(stats.workers, 4u);
      EXPECT_EQ(stats.connections, 0u);
      (void)app_.port();
    }
  });
  for (int i = 0; i < 10; ++i) {
    WorkersRun server(app_, 2 + i % 3);
    app_.shutdown();
    EXPECT_EQ(server.join(), 0);
  }
  stop = true;
  observer.join();
}

// ---- A chat ----------------------------------------------------------------------------------------

class WebSocketClient {
 public:
  explicit WebSocketClient(std::uint16_t port) : socket_(port) {
    socket_.send_all(
        "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    connected_ = status_of(socket_.read_until("\r\n\r\n")) == 101;
  }
  bool connected() const { return connected_; }
  void send(const std::string& text) {
    std::string frame = "\x81";
    frame += static_cast<char>(0x80 | text.size());
    frame += std::string(4, '\0') + text;  // a mask of zeros
    socket_.send_all(frame);
  }
  /// "" at the end.
  std::string receive() {
    const std::string head = socket_.read_some(2);
    if (head.size() != 2 || head[0] != '\x81') return "";
    return socket_.read_some(static_cast<unsigned char>(head[1]));
  }

 private:
  Socket socket_;
  bool connected_ = false;
};

TEST_F(WorkersThreads, AChatReachesTheClientsOfAllWorkers) {
  Channel<std::string> room;
  using Said = Channel<std::string>::Subscription<256>;
  const auto listen = [](Said& said, WebSocket& ws) -> Task<> {
    while (auto line = co_await said.next()) {
      if (!co_await ws.send(*line)) co_return;
    }
  };
  app_.get("/chat", with_websocket([&room, &listen](Request&, WebSocket& ws) -> Task<> {
             Said said(room, WhenSlow::wait);
             TaskGroup group;
             group.create_task(listen, std::ref(said), std::ref(ws));
             const std::string here = std::to_string(thread_number());
             (void)co_await ws.send(here);
             while (auto line = co_await ws.receive()) {
               std::string text(line->data);
               co_await room.send(text);
             }
           }));
  WorkersRun server(app_, 3);
  std::deque<WebSocketClient> clients;
  std::set<std::string> seen;
  while (clients.size() < 6 || (seen.size() < 3 && clients.size() < 40)) {
    clients.emplace_back(server.port());
    ASSERT_TRUE(clients.back().connected());
    seen.insert(clients.back().receive());
  }
  EXPECT_EQ(seen.size(), 3u);
  constexpr std::size_t kLines = 50;
  std::vector<std::thread> speakers;
  for (std::size_t c = 0; c < 6; ++c) {
    speakers.emplace_back([&, c] {
      for (std::size_t i = 0; i < kLines; ++i)
        clients[c].send(std::string(1, static_cast<char>('a' + c)) + std::to_string(i));
    });
  }
  for (WebSocketClient& client : clients) {
    std::size_t next[6] = {};
    for (std::size_t i = 0; i < 6 * kLines; ++i) {
      const std::string line = client.receive();
      ASSERT_FALSE(line.empty()) << i;
      EXPECT_EQ(line.substr(1), std::to_string(next[line[0] - 'a']++)) << "each in its order, none lost";
    }
  }
  for (std::thread& speaker : speakers) speaker.join();
  EXPECT_EQ(room.publish("end"), clients.size()) << "a thread that is no worker may speak, too";
  for (WebSocketClient& client : clients) EXPECT_EQ(client.receive(), "end");
  EXPECT_EQ(room.dropped(), 0u);
  EXPECT_EQ(app_.stats().streams, clients.size());
  app_.shutdown();
  EXPECT_EQ(server.join(), 0);
  EXPECT_EQ(room.subscribers(), 0u);
}

}  // namespace
}  // namespace microdot_test
