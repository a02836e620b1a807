/// How late tasks with a period are beside a server that gives all it can: sensors that are read every 10 and
/// every 100 ms, while clients ask for a page's images as fast as they come, and without them. The server has
/// one core, the clients another.

#include <microdot/microdot.hpp>

#include <sys/mman.h>
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "load.hpp"
#include "system.hpp"

namespace {

using namespace microdot;

constexpr std::string_view kImage = "02.webp";
const std::string kImages = MICRODOT_BENCH_ROOT "/examples/gallery/static/images";

/// Microseconds that a sensor was late, each time. Shared by the processes.
struct Lateness {
  std::atomic<std::uint32_t> count;
  std::array<std::uint32_t, 1 << 16> micros;

  void note(Duration late) {
    const std::uint32_t at = count.load(std::memory_order_relaxed);
    if (at == micros.size()) return;
    micros[at] = static_cast<std::uint32_t>(std::max<Duration::rep>(late.count(), 0));
    count.store(at + 1, std::memory_order_release);
  }
};

struct Shared {
  Lateness fast, slow;
};

Task<> read_sensor(Duration period, Lateness& lateness) {
  for (TimePoint due = system_port().clock().now() + period;; due += period) {
    co_await sleep_until(due);
    lateness.note(system_port().clock().now() - due);
  }
}

template <typename Ready>
Task<int> serve(Shared& shared, Ready ready) {
  App app;
  app.static_files("/images", kImages.c_str());
  auto server = create_task(app.start_server({.host = "127.0.0.1", .port = 0}));
  while (!server.done() && !app.running()) co_await yield();
  create_task("fast", read_sensor, Duration(std::chrono::milliseconds(10)), std::ref(shared.fast));
  create_task("slow", read_sensor, Duration(std::chrono::milliseconds(100)), std::ref(shared.slow));
  if (app.running()) ready(app.port());
  co_await server;
  co_return 0;
}

void print(const char* load, const char* period, const Lateness& lateness, std::uint32_t from) {
  const std::uint32_t count = lateness.count.load(std::memory_order_acquire);
  std::vector<std::uint32_t> late(lateness.micros.begin() + from, lateness.micros.begin() + count);
  if (late.empty()) bench::fail("a sensor was never read");
  std::sort(late.begin(), late.end());
  const auto ms = [&](std::size_t at) { return late[std::min(at, late.size() - 1)] / 1000.0; };
  std::printf("%-7s %-7s %6zu times, late by p50 %6.2f  p99 %6.2f  at worst %6.2f ms\n", load, period,
              late.size(), ms(late.size() / 2), ms(late.size() * 99 / 100), ms(late.size() - 1));
}

}  // namespace

int main(int argc, char** argv) {
  double seconds = 30;
  int connections = 48;  // eight browsers
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--smoke") {
      seconds = 0.3;
    } else if (argument == "--seconds" && i + 1 < argc) {
      seconds = std::atof(argv[++i]);
    } else if (argument == "--connections" && i + 1 < argc) {
      connections = std::atoi(argv[++i]);
    } else {
      std::fprintf(stderr, "usage: %s [--smoke] [--seconds N] [--connections N]\n", argv[0]);
      return 2;
    }
  }
  std::ifstream file(kImages + "/" + std::string(kImage), std::ios::binary);
  const std::string image{std::istreambuf_iterator<char>(file), {}};
  if (image.empty()) bench::fail("no " + std::string(kImage));

  void* const memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) bench::fail("mmap");
  auto& shared = *new (memory) Shared;
  const bench::Child server("beside", [&](auto ready) { std::exit(run(serve(shared, ready))); });
  bench::pin_to_core(1);

  const std::string request = "GET /images/" + std::string(kImage) + " HTTP/1.1\r\nHost: bench\r\n\r\n";
  const bench::Answer answer = bench::fetch(server.port(), request, image);
  const auto read = [&] {
    return std::array{shared.fast.count.load(std::memory_order_acquire),
                      shared.slow.count.load(std::memory_order_acquire)};
  };
  auto before = read();
  usleep(static_cast<useconds_t>(seconds * 1e6));
  print("none", "10 ms", shared.fast, before[0]);
  print("none", "100 ms", shared.slow, before[1]);
  bench::Load load(server.port(), request, answer, connections, 1);  // not before: the server waits 10 s
  before = read();
  const double cpu = server.cpu_seconds();
  const long images = load.run(seconds);
  print("images", "10 ms", shared.fast, before[0]);
  print("images", "100 ms", shared.slow, before[1]);
  std::printf("%d connections, %ld images of %zu bytes in %.1f s, the server's core %.0f %% busy\n",
              connections, images, image.size(), seconds, (server.cpu_seconds() - cpu) / seconds * 100);
  return 0;
}
