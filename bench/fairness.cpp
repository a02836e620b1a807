// How evenly those wait who find no exchange: ten times more connections than exchanges, each of which asks
// again as soon as it is answered, and a handler that takes a while. bench/run fairness [--smoke]
//
// Were the queue perfect, all answers would take ten times as long as the handler.

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <vector>

#include <microdot/microdot.hpp>

#include "load.hpp"
#include "routes.hpp"
#include "system.hpp"
#include "workloads.hpp"

namespace {

using namespace microdot;
using namespace std::chrono_literals;

constexpr int kExchanges = 64;
constexpr int kConnections = 10 * kExchanges;
constexpr Duration kHandler = 5ms;

template <typename Ready>
Task<int> serve(Ready ready) {
  App app{Limits{.connections = kConnections + 8, .exchanges = kExchanges, .queue_length = kConnections}};
  app.get("/", [](Request&) -> Task<std::string_view> {
    co_await sleep_for(kHandler);
    co_return "Hello";
  });
  co_await bench::serve_here(app, ready);
  co_return 0;
}

}  // namespace

int main(int count, char** arguments) {
  const bool smoke = count == 2 && std::string_view(arguments[1]) == "--smoke";
  if (count > 1 && !smoke) {
    std::fputs("usage: bench/run fairness [--smoke]\n", stderr);
    return 2;
  }
  const bench::Child server("microdot", [](auto ready) { microdot::run(serve(ready)); });
  bench::pin_to_core(1);
  const std::string request = bench::request_to("GET /");
  const bench::Answer answer = bench::fetch(server.port(), request, "Hello");
  bench::Load load(server.port(), request, answer, kConnections, 1);
  load.run(smoke ? 0.1 : 1);
  std::vector<double> times;
  load.keep_times(times);
  load.run(smoke ? 0.2 : 10);
  std::sort(times.begin(), times.end());
  const auto at = [&](double share) {
    return 1e3 * times[static_cast<std::size_t>(share * static_cast<double>(times.size() - 1))];
  };
  std::printf("%zu answers, %d connections, %d exchanges, a handler of 5 ms\n", times.size(), kConnections,
              kExchanges);
  std::printf("ms: least %.1f, p50 %.1f, p99 %.1f, p99.9 %.1f, most %.1f; p99 / p50 %.2f\n", at(0), at(0.5),
              at(0.99), at(0.999), at(1), at(0.99) / at(0.5));
  return 0;
}
