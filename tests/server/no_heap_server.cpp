/// Serves thousands of requests on real sockets and counts what is asked of the heap meanwhile, by anybody in
/// the program. Exits with 0 if that was nothing.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include <microdot/microdot.hpp>

#ifndef __has_feature
#define __has_feature(feature) 0
#endif

namespace {
std::atomic<std::size_t> allocations{0};
}

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
// The sanitizer has its own malloc, which tells.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void*, std::size_t),
                                                         void (*)(const volatile void*));
namespace {
[[maybe_unused]] const int installed = __sanitizer_install_malloc_and_free_hooks(
    [](const volatile void*, std::size_t) { ++allocations; }, [](const volatile void*) {});
}
#else
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void* malloc(std::size_t size) {
  ++allocations;
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  ++allocations;
  return __libc_calloc(count, size);
}
void* realloc(void* old, std::size_t size) {
  ++allocations;
  return __libc_realloc(old, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  ++allocations;
  return __libc_memalign(alignment, size);
}
}
#endif

namespace {

using namespace microdot;
using namespace std::chrono_literals;

/// One keep-alive connection after the other; buffers on the stack.
class Client {
 public:
  explicit Client(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd_ = socket(AF_INET, SOCK_STREAM, 0);
    const timeval limit{20, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) std::abort();
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { close(fd_); }

  /// Sends a request and reads until the answer ends with `end`; false if it does not.
  bool request(std::string_view text, std::string_view end) {
    if (send(fd_, text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) return false;
    char bytes[16384];
    std::size_t filled = 0;
    while (!std::string_view(bytes, filled).ends_with(end)) {
      const ssize_t size = recv(fd_, bytes + filled, sizeof bytes - filled, 0);
      if (size <= 0) return false;
      filled += static_cast<std::size_t>(size);
    }
    return true;
  }

 private:
  int fd_;
};

struct Exchange {
  std::string_view request;
  std::string_view end;
};
constexpr Exchange kMix[] = {
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "Hello"},
    {"GET /users/42?q=1&page=2 HTTP/1.1\r\nHost: a\r\nCookie: a=b; c=d\r\n\r\n", "user 42 of page 2"},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345", "12345"},
    {"POST /form HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
     "Content-Length: 11\r\n\r\nname=a+long",
     "a long"},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "abc"},
    {"GET /later HTTP/1.1\r\nHost: a\r\n\r\n", "later"},
    {"GET /pieces HTTP/1.1\r\nHost: a\r\n\r\n", "0\r\n\r\n"},
    {"GET /static/no_heap_file HTTP/1.1\r\nHost: a\r\n\r\n", "the file's last line\n"},
    {"GET /none HTTP/1.1\r\nHost: a\r\n\r\n", "Not found"},
    {"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "Method not allowed"},
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "Hello"},
};

void add_routes(App& app) {
  app.before_request([](Request& req) { req.g_emplace<int>(1); });
  app.after_request([](Request&, Response& res) { res.header("X-A", "b"); });
  app.get("/", [](Request&) { return "Hello"; });
  app.get("/users/<int:id>", [](Request& req, int id) {
    Response response(req.format("user {} of page {}", id, req.args.get<int>("page", 1)));
    response.set_cookie("a", req.cookies()["a"]);
    return response;
  });
  app.post("/echo", [](Request& req) { return Response(req.body()); });
  app.post("/form", [](Request& req) { return Response((*req.form())["name"]); });
  app.get("/later", [](Request&) -> Task<Response> {
    co_await sleep_for(Duration{10});
    co_return Response("later");
  });
  app.get("/pieces", [](Request&) -> Generator<std::string_view> {
    co_yield "one";
    co_await yield();
    co_yield "two";
  });
}

/// Serves `app` while a client sends `rounds` times each of the mix; gives what was allocated meanwhile,
/// after the first round.
std::size_t count(App& app, int rounds) {
  std::atomic<std::uint16_t> port{0};
  std::size_t during = SIZE_MAX;
  std::thread client;
  const auto program = [&]() -> Task<> {
    client = std::thread([&] {
      port.wait(0);
      bool ok = true;
      const auto play = [&](Client& connection) {
        for (const Exchange& exchange : kMix) {
          if (ok && !connection.request(exchange.request, exchange.end)) {
            std::printf("no answer to %.*s\n", static_cast<int>(exchange.request.size()),
                        exchange.request.data());
            ok = false;
          }
        }
      };
      {
        Client first(port);
        play(first);
      }
      const std::size_t before = allocations;
      for (int i = 0; i < rounds && ok; i += 10) {
        Client connection(port);
        for (int k = 0; k < 10; ++k) play(connection);
      }
      if (ok) during = allocations - before;
      Client last(port);
      last.request("GET /end HTTP/1.1\r\nHost: a\r\n\r\n", "end");
    });
    auto server = create_task(app.start_server({.host = "127.0.0.1", .port = 0}));
    while (!app.running()) co_await sleep_for(1ms);
    port = app.port();
    port.notify_all();
    co_await server;
  };
  app.get("/end", [](Request& req) {
    req.app.shutdown();
    return "end";
  });
  const int result = microdot::run(program());
  client.join();
  return result == 0 ? during : SIZE_MAX;
}

constexpr Limits kLimits{.connections = 8, .exchanges = 2, .arena_bytes = 4096, .handler_bytes = 8192};
StaticApp<kLimits> static_app;

}  // namespace

int main() {
  char directory[] = "/tmp/microdot_no_heap_XXXXXX";
  if (mkdtemp(directory) == nullptr || chdir(directory) != 0) return 2;
  std::FILE* file = std::fopen("no_heap_file", "w");
  for (int i = 0; i < 100; ++i) std::fputs("one line of a file that is larger than the buffer\n", file);
  std::fputs("the file's last line\n", file);
  std::fclose(file);

  App app(kLimits);
  add_routes(app);
  app.static_files("/static", ".");
  const std::size_t on_host = count(app, 1000);  // 11 000 requests

  const std::size_t before = allocations;
  add_routes(static_app);
  static_app.static_files("/static", ".");
  const std::size_t registering = allocations - before;
  const std::size_t on_device = count(static_app, 100);

  unlink("no_heap_file");
  if (chdir("/") != 0) return 2;
  rmdir(directory);
  std::printf("allocations while serving: App %zu, StaticApp %zu; StaticApp's routes: %zu\n", on_host,
              on_device, registering);
  return on_host == 0 && on_device == 0 && registering == 0 ? 0 : 1;
}
