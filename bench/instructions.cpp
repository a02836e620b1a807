/// How many instructions a request costs, counted by callgrind: see scripts/instructions. Server and clients
/// are one thread, on real sockets; only the loop's turns are counted, in which clients do nothing, and none
/// begins before what it waits for is there. So the figures depend on the compiler and the C library, not on
/// what else the machine does.

#include <poll.h>
#include <valgrind/callgrind.h>

#include <microdot/microdot.hpp>

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "../tests/server/server_run.hpp"
#include "routes.hpp"
#include "system.hpp"

namespace {

using namespace microdot;

constexpr int kRounds = 200;
constexpr int kWarmUpRounds = 20;
constexpr int kConnections = 8;
constexpr int kOtherRoutes = 99;

/// The system's port with a clock that is asked as usual and goes a thousand times slower. So nothing is done
/// because the machine, or valgrind, made something late: no task is named as a long one, no `Date` is new.
class SlowPort final : public Port, private Clock {
 public:
  Clock& clock() noexcept override { return *this; }
  Poller& poller() noexcept override { return system_.poller(); }
  Network& network() noexcept override { return system_.network(); }
  Files& files() noexcept override { return system_.files(); }
  Entropy& entropy() noexcept override { return system_.entropy(); }
  Log& log() noexcept override { return system_.log(); }
  Pressure pressure() noexcept override { return system_.pressure(); }

 private:
  TimePoint now() noexcept override { return slow(system_.clock().now()); }
  TimePoint coarse() noexcept override { return slow(system_.clock().coarse()); }
  std::int64_t unix_seconds() noexcept override {
    const std::int64_t seconds = system_.clock().unix_seconds();
    if (date_ == 0) date_ = seconds;
    return date_;
  }
  static TimePoint slow(TimePoint time) noexcept {
    return TimePoint(Duration(time.time_since_epoch().count() >> 10));
  }

  Port& system_ = system_port();
  std::int64_t date_ = 0;
};

/// An App that is served, and its clients.
class Server {
 public:
  Server(Loop& loop, App& app)
      : loop_(loop),
        app_(app),
        run_(app, loop, {.host = "127.0.0.1", .port = 0, .trusted_proxies = "127.0.0.1"}) {
    turn_until([&] { return app_.running(); }, "start");
    for (int& client : clients_) {
      client = bench::check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
      bench::set_option(client, IPPROTO_TCP, TCP_NODELAY, 1);
      sockaddr_in address = bench::loopback(app_.port());
      bench::check(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address), "connect");
    }
    for (std::size_t i = 0; i < std::size(clients_); ++i)
      turn_until([&] { return (peers_[i] = peer_of(clients_[i])) >= 0; }, "accept");
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() {
    for (const int client : clients_) close(client);
    app_.shutdown();
    turn_until([&] { return run_.done(); }, "end");
  }

  /// What one client gets.
  std::string answer_to(std::string_view request) {
    std::string answer;
    send_to(clients_[0], request);
    for (int quiet = 0; quiet < 50; ++quiet) {
      loop_.turn(Duration{0});
      if (receive(clients_[0], answer)) quiet = 0;
    }
    return answer;
  }

  /// Counts what `request` costs, which is sent `at_once` times in one piece; callgrind writes it down as
  /// `name`.
  void count(std::string_view name, std::string_view request, int at_once = 1) {
    const std::string answer = answer_to(request);
    if (!answer.starts_with("HTTP/1.1 200 ") && !answer.starts_with("HTTP/1.1 304 "))
      bench::fail("answer to " + std::string(name) + ": " + answer);
    std::string requests;
    for (int i = 0; i < at_once; ++i) requests.append(request);
    const std::size_t answers = answer.size() * static_cast<std::size_t>(at_once);
    for (int i = 0; i < kWarmUpRounds; ++i) round(requests, answers);
    CALLGRIND_ZERO_STATS;
    for (int i = 0; i < kRounds; ++i) round(requests, answers);
    const std::string title = std::to_string(kRounds * kConnections * at_once) + " " + std::string(name);
    CALLGRIND_DUMP_STATS_AT(title.c_str());
  }

 private:
  template <typename Done>
  void turn_until(Done done, const char* what) {
    for (int i = 0; !done(); ++i) {
      if (i == 10000) bench::fail(std::string("the server does not ") + what);
      loop_.turn(std::chrono::milliseconds(1));
    }
  }
  static void send_to(int client, std::string_view bytes) {
    if (send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size()))
      bench::fail("send");
  }
  static bool receive(int client, std::string& bytes) {
    char piece[32 * 1024];
    const ssize_t size = recv(client, piece, sizeof piece, MSG_DONTWAIT);
    if (size > 0) bytes.append(piece, static_cast<std::size_t>(size));
    return size > 0;
  }
  /// The server's end of the client's connection: it is in this process.
  static int peer_of(int client) {
    sockaddr_in wanted{};
    socklen_t size = sizeof wanted;
    bench::check(getsockname(client, reinterpret_cast<sockaddr*>(&wanted), &size), "getsockname");
    for (int fd = 0; fd < 1024; ++fd) {
      sockaddr_in peer{};
      size = sizeof peer;
      if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0 && size == sizeof peer &&
          peer.sin_port == wanted.sin_port && peer.sin_family == AF_INET)
        return fd;
    }
    return -1;
  }
  /// Whether `fd` has something to read: loopback, too, takes its time where the machine has other work.
  static bool readable(int fd, int milliseconds) {
    pollfd waited{.fd = fd, .events = POLLIN, .revents = 0};
    return poll(&waited, 1, milliseconds) == 1;
  }
  void counted_turn() {
    CALLGRIND_TOGGLE_COLLECT;
    loop_.turn(Duration{0});
    CALLGRIND_TOGGLE_COLLECT;
  }
  void round(std::string_view requests, std::size_t answers) {
    for (const int client : clients_) send_to(client, requests);
    for (const int peer : peers_)
      if (!readable(peer, 10000)) bench::fail("a request does not arrive");
    counted_turn();
    for (const int client : clients_) {
      std::string got;
      for (int turns = 0; got.size() < answers; ++turns) {
        if (turns == 100) bench::fail("an answer is missing");
        if (readable(client, 100)) {
          receive(client, got);
        } else {
          counted_turn();
        }
      }
      if (got.size() != answers) bench::fail("an answer is too long");
    }
  }

  Loop& loop_;
  App& app_;
  microdot_test::ServerRun run_;
  int clients_[kConnections] = {};
  int peers_[kConnections] = {};
};

void count_plain(Loop& loop, std::string_view root) {
  App app;
  bench::add_routes(app, root);
  Server server(loop, app);
  for (const bench::Case& test : bench::all_cases()) server.count(test.name, test.request, test.at_once);

  const std::string file = server.answer_to(bench::request_to("GET /static/file.txt"));
  const std::size_t etag = file.find("ETag: ");
  if (etag == std::string::npos) bench::fail("the file has no ETag");
  const std::string line = file.substr(etag + 6, file.find("\r\n", etag) + 2 - (etag + 6));
  server.count("file, 304", bench::request_to("GET /static/file.txt", "If-None-Match: " + line));
}

constexpr auto hello = [](Request&) { return "Hello, World!"; };

/// The hello of an App that `add` has added something to.
template <typename Add, typename Handler = decltype(hello)>
void count_with(Loop& loop, std::string_view name, Add add, Handler handler = hello) {
  App app;
  add(app);
  app.get("/", handler);
  Server server(loop, app);
  server.count(name, bench::request_to("GET /"));
}

}  // namespace

int main() {
  const bench::Directory directory;
  SlowPort port;
  Loop loop(port);
  count_plain(loop, directory.path());
  count_with(loop, "plain", [](App&) {});
  count_with(
      loop, "coroutine", [](App&) {}, [](Request&) -> Task<std::string_view> { co_return "Hello, World!"; });
  count_with(loop, "before hook", [](App& app) { app.before_request([](Request&) {}); });
  count_with(loop, "after hook", [](App& app) { app.after_request([](Request&, Response&) {}); });
  std::vector<std::string> patterns;
  for (int i = 0; i < kOtherRoutes; ++i) patterns.push_back("/api/v1/resource" + std::to_string(i));
  count_with(loop, "100 routes", [&](App& app) {
    for (const std::string& pattern : patterns) app.get(runtime(pattern), [](Request&) { return "other"; });
  });
  return 0;
}
