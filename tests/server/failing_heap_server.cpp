/// Starts a server again and again, each time with another one of its requests to the heap made to fail. Each
/// time it either says what there was no memory for and does not start, or it serves. Exits with 0 if that is
/// so. One process for each start.

#include <signal.h>
#include <sys/wait.h>

#include <cstdio>
#include <string>

#include "heap_counter.hpp"
#include "mixed_client.hpp"
#include "mixed_routes.hpp"

namespace {

using namespace microdot_test;

enum Outcome { kServed = 10, kServedWithoutIt, kRefused, kNoAnswer };

Outcome outcome = kNoAnswer;

// What it says where there was no memory. Each is seen.
constexpr std::string_view kReasons[] = {
    "no memory for the routes and hooks",
    "no memory for the server: see Limits::memory()",
    "no room for it in the task pool",
};

/// Serves one request if it can start.
Task<> program(App& app) {
  auto server = create_task(app.start_server({.host = "127.0.0.1", .port = 0}));
  while (!server.done() && !app.running()) co_await sleep_for(1ms);
  if (!app.running()) co_return;
  const bool failed = heap_requests > heap_failing;
  heap_failing = SIZE_MAX;
  MixedSocket client(app.port());
  client.send("GET /g HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  co_await sleep_for(100ms);  // the answer is there then, or is none
  const bool right = client.receive().status == 200;
  if (right) outcome = failed ? kServedWithoutIt : kServed;
  app.shutdown();
  co_await server;
}

/// The `n`-th request that the program makes from its first line on fails.
Outcome start(std::size_t n) {
  heap_failing = heap_requests + n;
  outcome = kRefused;
  {
    App app(Limits{.connections = 8, .exchanges = 2});
    Router sub;
    add_mixed_routes(app, sub, "/");
    const int result = microdot::run(program(app));
    if (result != 0 && outcome != kRefused) outcome = kNoAnswer;
  }
  return outcome;
}

std::string text_of(int fd) {
  std::string text(4096, '\0');
  const ssize_t size = pread(fd, text.data(), text.size(), 0);
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return text;
}

}  // namespace

int main() {
  alarm(100);
  bool named[std::size(kReasons)] = {};
  for (std::size_t n = 0; n < 1000; ++n) {
    const int log = memfd_create("log", 0);
    const pid_t child = fork();
    if (child == 0) {
      dup2(log, 2);
      std::exit(start(n));  // so that a leak is seen
    }
    int status = 0;
    waitpid(child, &status, 0);
    const std::string text = text_of(log);
    close(log);
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    if (code == kServed) {
      std::printf("a start asks the heap %zu times\n", n);
      return std::count(std::begin(named), std::end(named), false) == 0 ? 0 : 1;
    }
    if (code == kServedWithoutIt) continue;
    // glibc ends the program if it can't note the destructor of a thread_local (the task pool's) in 40 bytes.
    if (code == -SIGABRT && text.find("failed to register TLS destructor") != text.npos) continue;
    bool said = false;
    for (std::size_t i = 0; i < std::size(kReasons); ++i) {
      if (text.find(kReasons[i]) != text.npos) said = named[i] = true;
    }
    if (code != kRefused || !said) {
      std::printf("without request %zu: ended with %d and said:\n%s\n", n, code, text.c_str());
      return 1;
    }
  }
  std::printf("a start asks the heap without end\n");
  return 1;
}
