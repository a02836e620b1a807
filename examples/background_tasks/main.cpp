// The web server beside other work: background_tasks [--host ADDRESS] [--port NUMBER]
//
// Four tasks share one loop: the server, a sensor, a publisher whose broker is not reliable and which is
// therefore restarted, and the main task. http://127.0.0.1:5000/ shows what they do; POST /stop or Ctrl-C
// ends it all.
#include <chrono>
#include <cstdio>
#include <functional>

#include <microdot/microdot.hpp>

#include "../arguments.hpp"

using namespace microdot;
using namespace std::chrono_literals;

namespace {

// What the tasks share.
struct Station {
  Lock lock;    // guards the reading: a task that waits in mid-change must not be overtaken
  int low = 0;  // a reading is both numbers
  int high = 0;

  Event changed;
  int published = 0;
  int failures = 0;
  bool exit_flag = false;
};
Station station;

Task<> read_sensor(Station& shared) {
  auto tick = every(500ms);
  for (;;) {
    {
      auto guard = co_await shared.lock.acquire();
      ++shared.low;
      co_await sleep_for(20ms);  // a slow sensor: others run meanwhile, but nobody reads half a reading
      shared.high = shared.low * 10;
    }
    shared.changed.set();
    co_await tick;
  }
}

// Ends with an error: the broker goes away after five messages. That is reported, ends no other task, and the
// next run comes soon.
Task<Result<void>> publish_readings(Station& shared) {
  for (int sent = 0;; ++sent) {
    co_await shared.changed.wait();
    shared.changed.clear();
    if (sent == 5) co_return Error::closed;
    auto guard = co_await shared.lock.acquire();
    std::printf("publish %d..%d\n", shared.low, shared.high);
    ++shared.published;
  }
}

void report(const TaskError& error) {
  ++station.failures;
  if (error.logged) return;  // a server that could not start
  std::fprintf(stderr, "task %.*s failed: %.*s\n", static_cast<int>(error.name.size()), error.name.data(),
               static_cast<int>(error.reason.size()), error.reason.data());
}

Task<int> main_task(App& app, ServerOptions options) {
  auto server = create_task("server", app.start_server(options));
  auto sensor = create_task("sensor", read_sensor, std::ref(station));
  supervise("publisher", {.max_backoff = 2s}, publish_readings, std::ref(station));

  while (!station.exit_flag && !exit_requested() && !server.done()) co_await sleep_for(100ms);

  app.shutdown();
  const TaskState end = co_await server;
  sensor.cancel();
  std::printf("%d published, %d failures\n", station.published, station.failures);
  co_return end == TaskState::done ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  ServerOptions options{.host = "127.0.0.1", .port = 5000};
  if (!parse_arguments(argc, argv, options)) return 2;

  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
  on_task_error(report);

  App app;
  app.get("/", [](Request& req) -> Task<Response> {
    auto guard = co_await station.lock.acquire();
    co_return Response(req.format("reading {}..{}, {} published, {} failures\n", station.low, station.high,
                                  station.published, station.failures));
  });
  app.post("/stop", [](Request&) {
    station.exit_flag = true;
    return "stopping\n";
  });
  return microdot::run(main_task(app, options));
}
