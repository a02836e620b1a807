// A page with forty images, and a sensor that is read every second beside it:
// gallery [--host ADDRESS] [--port NUMBER] [--root DIRECTORY] [--device]
#include <chrono>
#include <cstdio>
#include <functional>
#include <random>
#include <string_view>

#include <microdot/ext/monitor.hpp>
#include <microdot/microdot.hpp>

#include "../arguments.hpp"
#include "gallery_assets.hpp"  // made by assets.cmake: ./static as a part of the program

using namespace microdot;
using namespace std::chrono_literals;

namespace {

struct Options {
  ServerOptions server{.host = "127.0.0.1", .port = 5000};
  FileRoot root;        // none: the example's folder, or on a device what is embedded
  bool device = false;  // as little memory as a microcontroller has: 12 connections, 3 requests at a time
};

// Ctrl-C does not wait long for downloads that are under way.
constexpr Limits quick_to_end(Limits limits) {
  limits.shutdown_timeout = 500ms;
  return limits;
}
constexpr Limits kDevice = [] {
  Limits limits = quick_to_end(Limits::device());
  limits.streams = 0;  // it opens none there: a status page asks again and again
  return limits;
}();
static_assert(kDevice.memory() <= 32 * 1024);

// What the sensor task writes and requests read. Both hold the lock meanwhile, so that nobody sees half a
// reading.
struct Sensor {
  Lock lock;
  double celsius = 21.5;
  int humidity = 45;
  int readings = 0;
};

Task<> read_sensor(Sensor& sensor) {
  std::minstd_rand random(2024);
  std::uniform_real_distribution<double> drift(-0.12, 0.12);
  for (;;) {
    {
      auto guard = co_await sensor.lock.acquire();
      sensor.celsius += drift(random) + (21.5 - sensor.celsius) * 0.02;
      co_await sleep_for(5ms);  // the sensor's bus is slow
      sensor.humidity = 45 + static_cast<int>((21.5 - sensor.celsius) * 4);
      ++sensor.readings;
    }
    co_await sleep_for(1s);
  }
}

void add_routes(App& app, Sensor& sensor, FileRoot root) {
  // The page is asked for each time; what it names has versioned URLs and is kept for a year.
  app.get("/", [root](Request&) {
    Response page = send_file("index.html", {.root = root});
    page.header("Cache-Control", "no-cache");
    return page;
  });
  app.static_files("/static", root, {.max_age = 31536000, .immutable = true});

  app.get("/api/sensor", [&sensor](Request& req) -> Task<Response> {
    auto guard = co_await sensor.lock.acquire();
    Response answer(req.format(R"({{"celsius":{:.2f},"humidity":{},"readings":{}}})", sensor.celsius,
                               sensor.humidity, sensor.readings));
    answer.header("Content-Type", "application/json");
    answer.header("Cache-Control", "no-store");
    co_return answer;
  });

#if MICRODOT_HOSTED
  monitor(app);  // http://127.0.0.1:5000/status
#else
  app.get("/metrics", metrics);  // without the page and its events: 18 KB of flash
  app.get("/healthz", healthz);
#endif

  // How the server is: this request counts, too.
  app.get("/api/stats", [](Request& req) {
    const Stats stats = req.app.stats();
    Response answer(
        req.format(R"({{"connections":{},"exchanges":{},"queued":{},"requests":{},"refused":{}}})",
                   stats.connections, stats.exchanges, stats.queued, stats.requests, stats.refused));
    answer.header("Content-Type", "application/json");
    answer.header("Cache-Control", "no-store");
    return answer;
  });
}

Task<int> main_task(App& app, Sensor& sensor, const Options& options) {
  create_task("sensor", read_sensor, std::ref(sensor));
  const Result<void> served = co_await app.start_server(options.server);
  co_return served ? 0 : 1;
}

int serve(App& app, const Options& options) {
  Sensor sensor;
  add_routes(app, sensor, options.root);
  return microdot::run(main_task(app, sensor, options));
}

bool parse(int argc, char** argv, Options& options) {
  const auto own = [&options](std::string_view name, const char* value) {
    if (name == "--device") {
      options.device = true;
      return 1;
    }
    if (name == "--root" && value != nullptr) {
      options.root = value;
      return 2;
    }
    return 0;
  };
  return parse_arguments(argc, argv, options.server, " [--root DIRECTORY] [--device]", own);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!parse(argc, argv, options)) return 2;
#if MICRODOT_HOSTED
  if (options.root.empty() && !options.device) options.root = MICRODOT_EXAMPLE_DIR "/static";
#endif
  if (options.root.empty()) options.root = gallery_assets;
#if MICRODOT_HOSTED
  if (!options.device) {
    App app{quick_to_end(Limits::host())};
    return serve(app, options);
  }
#endif
  // A part of the program, not of the heap.
  static StaticApp<kDevice> app;
  std::printf("on a device's budget: %u connections, %u exchanges; the whole App is %zu bytes\n",
              static_cast<unsigned>(kDevice.connections), static_cast<unsigned>(kDevice.exchanges),
              sizeof app);
  std::fflush(stdout);
  return serve(app, options);
}
