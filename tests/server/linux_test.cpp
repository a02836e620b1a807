/// The server on real sockets.

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <new>
#include <thread>
#include <vector>

#include "client_socket.hpp"
#include "sim_server.hpp"

namespace microdot_test {
namespace {

int open_descriptors() {
  DIR* directory = opendir("/proc/self/fd");
  int count = -1;  // its own
  while (const dirent* entry = readdir(directory)) count += entry->d_name[0] != '.';
  closedir(directory);
  return count;
}

/// Runs an App on the system's port in a thread of its own.
class Running {
 public:
  explicit Running(App& app, std::string_view host = "127.0.0.1") {
    thread_ = std::thread([&app, host, this] {
      const auto program = [&]() -> Task<int> {
        loop_ = &Loop::current();
        auto server = create_task(app.start_server({.host = host, .port = 0}));
        while (!app.running() && !server.done()) co_await sleep_for(1ms);
        port_ = app.port();
        app_ = &app;
        ready_ = true;
        ready_.notify_all();
        co_await server;
        co_return 0;
      };
      result_ = microdot::run(program());
      if (!ready_.exchange(true)) ready_.notify_all();
    });
    ready_.wait(false);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() { stop(); }
  void stop() {
    if (!thread_.joinable()) return;
    if (app_ != nullptr) loop_->post([app = app_] { app->shutdown(); });
    thread_.join();
    EXPECT_EQ(result_, 0);
  }
  /// What the server says, asked in its own thread.
  Stats stats() {
    Stats stats;
    std::atomic<bool> done{false};
    loop_->post([&stats, &done, app = app_] {
      stats = app->stats();
      done = true;
      done.notify_all();
    });
    done.wait(false);
    return stats;
  }
  /// Waits until no connection is left.
  Stats settle() {
    Stats now = stats();
    for (int i = 0; i < 2000 && now.connections != 0; ++i) {
      poll(nullptr, 0, 5);
      now = stats();
    }
    return now;
  }
  std::uint16_t port() const { return port_; }

 private:
  std::atomic<bool> ready_{false};
  std::thread thread_;
  Loop* loop_ = nullptr;
  App* app_ = nullptr;
  std::uint16_t port_ = 0;
  int result_ = -1;
};

constexpr Limits kSocketsLimits{.connections = 64, .exchanges = 4, .linger_bytes = 4 * 1024 * 1024};

class Sockets : public testing::Test {
 protected:
  Sockets() : app_(kSocketsLimits) {
    app_.get("/", [](Request&) { return "Hello"; });
    app_.post("/echo", [](Request& req) { return Response(req.body()); });
    app_.get("/file", [this](Request&) { return send_file(file_); });
    app_.get("/view", [](Request&) { return std::string_view(large()); });
    app_.get("/owned", [](Request&) { return large(); });
    app_.get("/generator", [](Request&) -> Generator<std::string_view> {
      std::string_view rest = large();
      while (!rest.empty()) {
        co_yield rest.substr(0, 50'000);
        rest.remove_prefix(std::min<std::size_t>(50'000, rest.size()));
      }
    });
    std::ofstream(file_) << large();
  }
  ~Sockets() override { std::filesystem::remove(file_); }
  static const std::string& large() {
    static const std::string text = numbered(10'000'000);
    return text;
  }
  std::string file_ = testing::TempDir() + "microdot_server_" + std::to_string(getpid()) + ".txt";
  App app_;
};

TEST_F(Sockets, AClientThatNeverStopsAskingLeavesRoomForOtherThreads) {
  App app(kSocketsLimits);
  std::uint64_t turn = 0;  // how often another task had its turn
  std::uint64_t last_turn = 0;
  unsigned in_a_row = 0;
  unsigned most_in_a_row = 0;
  app.get("/begin", [&](Request&) {
    create_task([&]() -> Task<> {
      for (;; ++turn) co_await yield();
    });
    return "Hello";
  });
  app.get("/", [&](Request&) {
    in_a_row = turn == last_turn ? in_a_row + 1 : 1;
    last_turn = turn;
    most_in_a_row = std::max(most_in_a_row, in_a_row);
    return "Hello";
  });
  {
    Running server(app);
    Socket begin(server.port());
    EXPECT_TRUE(begin.send_all(get("/begin")));
    EXPECT_EQ(status_of(begin.read_until("Hello")), 200);
    Socket greedy(server.port());
    std::atomic<bool> stop{false};
    std::thread asks([&] {
      std::string requests;
      for (int i = 0; i < 500; ++i) requests += "GET / HTTP/1.1\r\nHost: a.b.c\r\n\r\n";
      while (!stop && greedy.send_all(requests)) {
      }
      greedy.end();
    });
    std::thread reads([&] {
      while (greedy.skip()) {
      }
    });
    for (int i = 0; i < 20; ++i) {
      Socket other(server.port());
      EXPECT_TRUE(other.send_all(get("/")));
      EXPECT_EQ(status_of(other.read_until("Hello")), 200) << i;
    }
    stop = true;
    asks.join();
    reads.join();
  }
  // 256 at the end of a turn and 256 at the beginning of the next one, and those of the other clients.
  EXPECT_LT(most_in_a_row, 550u);
}

TEST_F(Sockets, StartAndEndAHundredTimesWithoutALeak) {
  int descriptors = 0;
  for (int i = 0; i < 100; ++i) {
    {
      Running server(app_);
      ASSERT_NE(server.port(), 0);
      Socket client(server.port());
      ASSERT_TRUE(client.send_all(get("/")));
      EXPECT_EQ(status_of(client.read_until("Hello")), 200);
    }
    if (i == 2) descriptors = open_descriptors();
  }
  EXPECT_EQ(open_descriptors(), descriptors);
}

// What a server may use costs nothing before it is used.
TEST_F(Sockets, MemoryThatNobodyHasUsedIsNotTouched) {
  using Large = StaticApp<Limits{.connections = 10'000, .exchanges = 100, .streams = 100}>;
  constexpr std::size_t kPage = 4096;
  static_assert(Large::memory() > 20'000'000);
  alignas(kPage) static std::byte memory[sizeof(Large)];
  madvise(memory, sizeof memory, MADV_NOHUGEPAGE);
  auto* app = ::new (memory) Large;
  app->get("/", [](Request&) { return "Hello"; });
  {
    Running server(*app);
    Socket client(server.port());
    client.send_all(get("/", "Connection: close\r\n"));
    EXPECT_EQ(body_of(client.read_all()), "Hello");
    std::vector<unsigned char> pages((sizeof memory + kPage - 1) / kPage);
    ASSERT_EQ(mincore(memory, sizeof memory, pages.data()), 0);
    const auto touched =
        std::count_if(pages.begin(), pages.end(), [](unsigned char page) { return (page & 1) != 0; });
    EXPECT_LT(static_cast<std::size_t>(touched) * kPage, 100'000U);
  }
  app->~Large();
}

// Nor does what nobody needs any more.
TEST_F(Sockets, MemoryThatNobodyNeedsIsGivenBack) {
  using Large = StaticApp<Limits{.connections = 1000, .connections_per_client = 1000, .exchanges = 100}>;
  constexpr std::size_t kPage = 4096;
  alignas(kPage) static std::byte memory[sizeof(Large)];
  madvise(memory, sizeof memory, MADV_NOHUGEPAGE);
  auto* app = ::new (memory) Large;
  const std::string body = numbered(10'000);
  std::vector<std::unique_ptr<Socket>> clients;
  app->get("/", [](Request&) { return "Hello"; });
  int asked = 0;
  app->post("/echo", [&asked](Request& req) -> Task<Response> {
    const int all = asked++ / 20 * 20 + 20;
    while (asked < all) co_await sleep_for(1ms);
    co_return Response(req.body());
  });
  const auto touched = [] {
    std::vector<unsigned char> pages((sizeof memory + kPage - 1) / kPage);
    EXPECT_EQ(mincore(memory, sizeof memory, pages.data()), 0);
    return kPage * static_cast<std::size_t>(std::count_if(pages.begin(), pages.end(),
                                                          [](unsigned char page) { return page & 1; }));
  };
  {
    Running server(*app);
    for (int round = 0; round < 2; ++round) {
      for (std::size_t i = 0; i < 500; ++i) {
        clients.push_back(std::make_unique<Socket>(server.port()));
        clients.back()->send_all(i < 20 ? post("/echo", body) : get("/"));
      }
      for (std::size_t i = 0; i < 500; ++i) {
        const std::string_view wanted = i < 20 ? std::string_view(body) : "Hello";
        EXPECT_TRUE(clients[i]->read_until(wanted).ends_with(wanted));
      }
      const std::size_t all = touched();
      EXPECT_GT(all, 500 * 200U + 20 * 20'000U);  // connections; heads and bodies
      clients.clear();
      // What is left: an exchange, objects, coroutines.
      std::size_t left = all;
      for (int i = 0; i < 4000 && left > all / 2; ++i) {
        poll(nullptr, 0, 5);
        left = touched();
      }
      EXPECT_LE(left, all / 2);
    }
  }
  app->~Large();
}

TEST_F(Sockets, ServeBothFamiliesAndReportThePortTheyGot) {
  const struct {
    const char* listen;
    bool v4;
    bool v6;
  } kCases[] = {{"", true, true},           {"::", true, true},   {"0.0.0.0", true, false},
                {"127.0.0.1", true, false}, {"::1", false, true}, {"localhost", true, false}};
  for (const auto& at : kCases) {
    Running server(app_, at.listen);
    ASSERT_NE(server.port(), 0) << at.listen;
    Socket v4(server.port(), "127.0.0.1");
    EXPECT_EQ(v4.connected(), at.v4) << at.listen;
    Socket v6(server.port(), "::1");
    if (std::string_view(at.listen) != "localhost") {
      EXPECT_EQ(v6.connected(), at.v6) << at.listen;
    }
    for (Socket* client : {&v4, &v6}) {
      if (!client->connected()) continue;
      client->send_all(get("/", "Connection: close\r\n"));
      EXPECT_EQ(body_of(client->read_all()), "Hello") << at.listen;
    }
  }
}

TEST_F(Sockets, AnAnswerIsReadAlthoughTheBodyWasNot) {
  Running server(app_);
  for (const std::size_t size : {100'000U, 1'000'000U}) {
    Socket client(server.port());
    EXPECT_TRUE(client.send_all(post("/echo", std::string(size, 'x'))));
    EXPECT_EQ(status_of(client.read_all()), 413);
    EXPECT_EQ(client.error(), 0) << size;  // no ECONNRESET
  }
  EXPECT_EQ(server.settle().connections, 0U);
}

TEST_F(Sockets, LargeBodiesArriveWhole) {
  Running server(app_);
  for (const char* path : {"/file", "/view", "/owned"}) {
    Socket client(server.port());
    client.send_all(get(path) + get("/", "Connection: close\r\n"));
    const std::string got = client.read_all();
    EXPECT_TRUE(body_of(got).substr(0, large().size()) == large()) << path;
    EXPECT_TRUE(got.ends_with("\r\n\r\nHello")) << path;
  }
  Socket client(server.port());
  client.send_all(get("/generator", "Connection: close\r\n"));
  EXPECT_TRUE(client.read_all().ends_with("\r\n0\r\n\r\n"));
}

TEST_F(Sockets, DownloadsDoNotHoldTheExchanges) {
  Running server(app_);
  std::vector<std::unique_ptr<Socket>> slow;
  for (int i = 0; i < 12; ++i) {
    slow.push_back(std::make_unique<Socket>(server.port()));
    slow.back()->send_all(get(i % 2 == 0 ? "/file" : "/view"));
    slow.back()->read_until("\r\n\r\n");
  }
  for (int i = 0; i < 400 && server.stats().exchanges != 0; ++i) poll(nullptr, 0, 5);
  EXPECT_EQ(server.stats().exchanges, 0U);
  Socket client(server.port());
  client.send_all(get("/", "Connection: close\r\n"));
  EXPECT_EQ(body_of(client.read_all()), "Hello");
}

TEST_F(Sockets, AHalfClosedClientGetsItsAnswer) {
  Running server(app_);
  Socket client(server.port());
  client.send_all(get("/view"));
  client.end();
  EXPECT_TRUE(body_of(client.read_all()) == large());
  EXPECT_EQ(client.error(), 0);
}

// A browser that is refreshed in the middle of loading, again and again.
TEST_F(Sockets, SlowTenThousandAbortedLoadsLeakNoDescriptor) {
  Running server(app_);
  {
    Socket warm(server.port());
    warm.send_all(get("/file", "Connection: close\r\n"));
    warm.read_all();
  }
  server.settle();
  const int before = open_descriptors();
  const char* const paths[] = {"/file", "/view", "/owned", "/generator", "/"};
  for (int i = 0; i < 10'000; ++i) {
    Socket client(server.port());
    ASSERT_TRUE(client.connected());
    client.send_all(get(paths[i % 5]));
    if (i % 3 == 0) {
      char byte;
      (void)byte;
      client.read_until("\r\n");
    }
    if (i % 2 == 0) client.reset();
  }
  const Stats stats = server.settle();
  EXPECT_EQ(stats.connections, 0U);
  EXPECT_EQ(stats.exchanges, 0U);
  EXPECT_EQ(stats.accepted, 10'001U);
  EXPECT_EQ(open_descriptors(), before);
}

/// Runs `f` in a child process; gives its exit code, or minus the signal that ended it.
template <typename F>
int in_child(F f) {
  const pid_t child = fork();
  if (child == 0) _exit(f());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST_F(Sockets, TheDescriptorLimitIsRaisedAtStart) {
  EXPECT_EQ(in_child([] {
              rlimit limit{};
              getrlimit(RLIMIT_NOFILE, &limit);
              if (limit.rlim_max < 500) return 0;
              limit.rlim_cur = 64;
              setrlimit(RLIMIT_NOFILE, &limit);
              App app(Limits{.connections = 300, .exchanges = 2});
              app.get("/", [](Request&) { return "Hello"; });
              int served = 0;
              {
                Running server(app);
                std::vector<std::unique_ptr<Socket>> clients;
                for (int i = 0; i < 100; ++i) {
                  clients.push_back(std::make_unique<Socket>(server.port()));
                  clients.back()->send_all(get("/"));
                  served += status_of(clients.back()->read_until("Hello")) == 200;
                }
                clients.clear();
              }
              getrlimit(RLIMIT_NOFILE, &limit);
              return served == 100 && limit.rlim_cur >= 300 ? 0 : 1;
            }),
            0);
}

TEST_F(Sockets, ALimitOfAllThreadsDescriptorsThatIsTooLowIsNamedAndKept) {
  const std::string log = testing::TempDir() + "microdot_log_" + std::to_string(getpid());
  EXPECT_EQ(in_child([&] {
              const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
              dup2(fd, 1);
              dup2(fd, 2);
              const rlimit limit{64, 64};
              setrlimit(RLIMIT_NOFILE, &limit);
              App app(Limits{.connections = 300, .exchanges = 2});
              app.get("/", [](Request&) { return "Hello"; });
              Running server(app);
              int served = 0;
              for (int i = 0; i < 200; ++i) {  // far more than there are descriptors, one at a time
                Socket client(server.port());
                client.send_all(get("/"));
                served += status_of(client.read_until("Hello")) == 200;
              }
              return served == 200 ? 0 : 1;
            }),
            0);
  std::ifstream file(log);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  EXPECT_THAT(text, testing::HasSubstr("Limits::connections = 300"));
  std::filesystem::remove(log);
}

TEST_F(Sockets, TheFirstSignalAnswersWhatIsInFlightAndTheSecondEndsAtOnce) {
  for (const bool second : {false, true}) {
    EXPECT_EQ(in_child([second] {
                App app(kSocketsLimits);
                std::atomic<bool> asked{false};
                std::atomic<bool> seen{false};
                app.get("/slow", [&](Request&) -> Task<Response> {
                  asked = true;
                  while (!exit_requested()) co_await sleep_for(5ms);
                  seen = true;
                  co_await sleep_for(second ? Duration(1min) : Duration(100ms));
                  co_return Response("finished");
                });
                std::atomic<std::uint16_t> port{0};
                bool answered = false;
                std::thread client([&] {
                  while (port == 0) poll(nullptr, 0, 1);
                  Socket socket(port);
                  socket.send_all(get("/slow"));
                  while (!asked) poll(nullptr, 0, 1);
                  kill(getpid(), SIGTERM);
                  while (!seen) poll(nullptr, 0, 1);
                  if (second) kill(getpid(), SIGINT);
                  answered = body_of(socket.read_all()) == "finished";
                });
                const auto program = [&]() -> Task<> {
                  create_task([&]() -> Task<> {
                    while (!app.running()) co_await sleep_for(1ms);
                    port = app.port();
                  });
                  co_await app.start_server({.host = "127.0.0.1", .port = 0});
                };
                const int result = microdot::run(program());
                client.join();
                if (second) return result == 130 && !answered ? 0 : 1;
                return result == 0 && seen && answered ? 0 : 2;
              }),
              0)
        << second;
  }
}

TEST_F(Sockets, RunMayBeCalledAgain) {
  EXPECT_EQ(
      in_child([] {
        App app(kSocketsLimits);
        app.get("/end", [](Request& req) {
          req.app.shutdown();
          return "end";
        });
        for (int i = 0; i < 2; ++i) {
          std::thread client([] {
            // Nobody but the server's thread may ask the App, so try until it is there.
            for (int k = 0; k < 500; ++k) {
              Socket socket(static_cast<std::uint16_t>(20'000 + getpid() % 10'000));
              if (socket.connected() && socket.send_all(get("/end")) && body_of(socket.read_all()) == "end")
                return;
              poll(nullptr, 0, 10);
            }
          });
          const int result =
              app.run({.host = "127.0.0.1", .port = static_cast<std::uint16_t>(20'000 + getpid() % 10'000)});
          client.join();
          if (result != 0) return 1;
        }
        return 0;
      }),
      0);
}

/// Runs one of the programs that stand beside this one.
int run_program(const char* name) {
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe").parent_path() / name;
  EXPECT_TRUE(std::filesystem::exists(program)) << program;
  return std::system(program.c_str());
}

TEST_F(Sockets, SlowServingAsksNothingOfTheHeap) { EXPECT_EQ(run_program("no_heap_server"), 0); }

TEST_F(Sockets, SlowAStartWithoutMemorySaysWhatItIsFor) { EXPECT_EQ(run_program("failing_heap_server"), 0); }

}  // namespace
}  // namespace microdot_test
