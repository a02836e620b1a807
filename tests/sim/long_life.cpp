#include "long_life.hpp"

#include <cstdio>

#include "heap.hpp"
#include "world.hpp"

namespace sim {

using namespace std::chrono_literals;

namespace {

struct Memory {
  std::size_t heap = heap_bytes();
  std::size_t pool = microdot::task_pool().used();
};

}  // namespace

LongLife live_long(std::uint64_t seed, microdot::Duration time) {
  Plan plan(seed);
  plan.limits = microdot::Limits::device();
  plan.limits.arena_bytes = 8192;
  plan.limits.handler_timeout = 2s;
  plan.limits.queue_timeout = 2s;
  plan.rates = {.short_read = 10,
                .short_write = 10,
                .blocked_write = 10,
                .delayed = 10,
                .reset = 10,
                .refused = 5,
                .vanished = 5,
                .not_opened = 2,
                .short_file = 10,
                .broken_file = 2,
                .wall_jump = 1,
                .slow_client = 20,
                .outage = 1};
  plan.port.max_connections = SIZE_MAX;
  plan.port.latency = 2ms;
  plan.clients = 16;
  plan.shared_addresses = 0;
  plan.trust = Trust::nobody;
  plan.one_address = false;
  plan.fails_to_listen = plan.ends_early = plan.starts_again = false;
  plan.end = End::shutdown;

  LongLife report;
  World world(plan);
  Memory first;
  Memory last;
  long handled_first = 0;
  if (world.start() && world.serve(1min)) {
    world.rest(1min);  // tasks that requests have started end, too
    first = Memory();
    handled_first = world.handled();
    if (world.serve(time)) {
      world.rest(1min);
      last = Memory();
      world.finish();
    }
  }
  report.failure = world.failure();
  if (report.failure.empty() && last.pool > first.pool) report.failure = "the task pool has grown";
  if (report.failure.empty() && last.heap != first.heap) report.failure = "the heap has grown";
  char line[300];
  std::snprintf(line, sizeof line,
                "%ld requests in the first minute, %ld until the end, %u turns\n"
                "heap %zu and %zu bytes, task pool %zu and %zu bytes: %s\n",
                handled_first, world.handled(), world.turns(), first.heap, last.heap, first.pool, last.pool,
                report.failure.empty() ? "all is well" : report.failure.c_str());
  report.text = line;
  return report;
}

}  // namespace sim
