/// What single steps of a request cost, on Google Benchmark. `bench/run micro --benchmark_filter=parse`
/// measures those whose names contain it.

#include <benchmark/benchmark.h>

#include <microdot/microdot.hpp>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include <microdot/http/request_parser.hpp>
#include <microdot/http/response_writer.hpp>

#include "routes.hpp"
#include "src/router.hpp"

namespace {

using namespace microdot;
using benchmark::DoNotOptimize;

/// A parser with a browser's request, or a small one.
class Parsed {
 public:
  explicit Parsed(std::string_view fields) : head_(bench::request_to("GET /", fields)) {}
  void parse(benchmark::State& state) {
    parser_.reset();
    if (parser_.parse(head_) != ParseStatus::complete) state.SkipWithError("the request is not complete");
  }
  const RequestParser& parser() const { return parser_; }

 private:
  std::string head_;
  std::array<HeaderField, 32> fields_;
  RequestParser parser_{fields_, {.max_readline = 2048, .head_bytes = 4096}};
};

void parse(benchmark::State& state, std::string_view fields) {
  Parsed parsed(fields);
  for (auto _ : state) {
    parsed.parse(state);
    DoNotOptimize(parsed.parser().method());
  }
}
BENCHMARK_CAPTURE(parse, minimal, "");
BENCHMARK_CAPTURE(parse, browser, bench::kBrowser);

void look_up(benchmark::State& state, std::string_view name) {
  Parsed parsed(bench::kBrowser);
  parsed.parse(state);
  for (auto _ : state) {
    DoNotOptimize(name);
    DoNotOptimize(parsed.parser().headers()[name]);
  }
}
BENCHMARK_CAPTURE(look_up, present, "cookie");
BENCHMARK_CAPTURE(look_up, absent, "authorization");

/// `others` routes in front of the one that is asked for.
void find_route(benchmark::State& state, int others, std::string_view path) {
  std::vector<std::string> patterns;
  for (int i = 0; i < others; ++i) patterns.push_back("/api/v1/resource" + std::to_string(i));
  App app;
  for (const std::string& pattern : patterns) app.get(runtime(pattern), [](Request&) {});
  app.get("/", [](Request&) {});
  app.get("/users/<int:id>", [](Request&, int) {});
  Arena arena;
  for (auto _ : state) {
    detail::RouteMatch match;
    detail::RouteFinder(Method::get, path, arena).find(app, match);
    if (match.entry == nullptr) state.SkipWithError("no route");
    DoNotOptimize(match.entry);
  }
}
BENCHMARK_CAPTURE(find_route, of_one, 0, "/");
BENCHMARK_CAPTURE(find_route, of_a_hundred, 99, "/");
BENCHMARK_CAPTURE(find_route, parameter, 0, "/users/12345");

void write_response(benchmark::State& state) {
  std::array<char, 512> memory;
  for (auto _ : state) {
    ResponseHead head(memory);
    head.status(200)
        .content_type("text/html; charset=UTF-8")
        .field("Cache-Control", "no-store")
        .content_length(13);
    DoNotOptimize(head.finish());
  }
}
BENCHMARK(write_response);

Task<int> number() { co_return 1; }
Task<> await_numbers(benchmark::State& state) {
  for (auto _ : state) {
    const int value = co_await number();
    DoNotOptimize(value);
  }
}
void await_task(benchmark::State& state) { microdot::run(await_numbers(state)); }
BENCHMARK(await_task);

class CountingTimer final : public Timer {
 public:
  ~CountingTimer() { disarm(); }
  int fired = 0;

 private:
  void on_timer() noexcept override { ++fired; }
};

constexpr TimePoint at(int milliseconds) { return TimePoint{} + std::chrono::milliseconds(milliseconds); }

/// A thousand others are armed.
class Timers {
 public:
  Timers() {
    int i = 0;
    for (CountingTimer& other : others_) heap.arm(other, at(1000000 + i++ * 7919 % 1000));
  }
  TimerHeap heap;
  CountingTimer timer;

 private:
  std::array<CountingTimer, 1000> others_;
};

void arm_and_disarm(benchmark::State& state) {
  Timers timers;
  for (auto _ : state) {
    timers.heap.arm(timers.timer, at(1000500));
    timers.timer.disarm();
  }
}
BENCHMARK(arm_and_disarm);

void rearm(benchmark::State& state) {
  Timers timers;
  int i = 0;
  for (auto _ : state) timers.heap.arm(timers.timer, at(1000000 + i++ % 1000));
}
BENCHMARK(rearm);

void fire(benchmark::State& state) {
  Timers timers;
  for (auto _ : state) {
    timers.heap.arm(timers.timer, at(1));
    timers.heap.fire(at(1));
  }
  if (timers.timer.fired == 0) state.SkipWithError("it never fires");
}
BENCHMARK(fire);

}  // namespace

BENCHMARK_MAIN();
