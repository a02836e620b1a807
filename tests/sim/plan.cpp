#include "plan.hpp"

#include <algorithm>
#include <cstdio>
#include <string>

#include "random.hpp"

namespace sim {

namespace {

using std::chrono::milliseconds;

microdot::Milliseconds any_time(Random& random, int low, int high) {
  return milliseconds(random.chance(50) ? random.between(low, std::min(high, 4 * low))
                                        : random.between(low, high));
}

microdot::Limits any_limits(Random& random) {
  microdot::Limits limits;
  limits.connections = random.pick({1u, 2u, 3u, 4u, 6u, 12u});
  if (random.chance(50))
    limits.connections_per_client = 1 + static_cast<std::uint32_t>(random.below(limits.connections));
  limits.exchanges = random.pick({1u, 1u, 2u, 3u, 4u, 8u});
  limits.streams = 0;  // nothing here opens one
  limits.queue_length = random.pick({0u, 1u, 2u, 3u, 5u, 512u, 512u, 512u});
  limits.background_tasks = random.pick({0u, 1u, 2u, 5u, 256u});
  limits.when_full = random.chance(50) ? microdot::WhenFull::wait : microdot::WhenFull::refuse;
  limits.head_bytes = random.pick({256u, 300u, 512u, 1024u, 4096u});
  limits.header_count = random.pick({8u, 16u, 64u});
  limits.response_bytes = random.pick({256u, 300u, 512u, 1460u, 1460u, 4096u});
  limits.arena_bytes = random.pick({1024u, 1536u, 2048u, 3072u, 8192u, 16384u, 16384u, 16384u});
  limits.max_content_length = random.pick({64u, 1000u, 5000u, 16384u});
  limits.max_body_length = std::min(static_cast<std::uint32_t>(limits.max_content_length),
                                    random.pick({0u, 16u, 300u, 1024u, 16384u}));
  limits.max_readline = random.pick({128u, 200u, 1024u});
  limits.first_timeout = any_time(random, 200, 8000);
  limits.head_timeout = any_time(random, 200, 5000);
  limits.body_timeout = any_time(random, 200, 5000);
  limits.write_timeout = any_time(random, 200, 5000);
  limits.body_rate = random.pick({0u, 100u, 240u, 1000u, 3000u});
  limits.write_rate = random.pick({0u, 100u, 240u, 1000u, 3000u});
  limits.slow_grace = any_time(random, 150, 3000);
  limits.keep_alive_timeout = any_time(random, 100, 10'000);
  limits.queue_timeout = any_time(random, 50, 5000);
  limits.handler_timeout = any_time(random, 100, 5000);
  limits.linger_timeout = any_time(random, 50, 2000);
  limits.shutdown_timeout = any_time(random, 50, 5000);
  limits.linger_bytes = random.pick({512u, 4096u, 65536u});
  return limits;
}

Rates any_rates(Random& random) {
  Rates rates;
  if (random.chance(15)) return rates;  // all is well
  const auto sometimes = [&random](unsigned most) {
    return random.chance(33) ? static_cast<unsigned>(1 + random.below(most)) : 0;
  };
  rates.short_read = sometimes(100);
  rates.short_write = sometimes(100);
  rates.blocked_write = sometimes(60);
  rates.delayed = sometimes(60);
  rates.reset = sometimes(50);
  rates.refused = sometimes(50);
  rates.vanished = sometimes(40);
  rates.not_opened = sometimes(50);
  rates.short_file = sometimes(100);
  rates.broken_file = sometimes(30);
  if (random.chance(30)) rates.slow_file = sometimes(30);
  if (random.chance(40)) rates.jump = sometimes(5);
  rates.wall_jump = sometimes(10);
  rates.slow_client = random.chance(60) ? static_cast<unsigned>(random.below(100)) : 0;
  rates.steady_client = sometimes(100);
  rates.pressure = sometimes(3);
  if (random.chance(50)) rates.outage = sometimes(20);
  return rates;
}

}  // namespace

Plan::Plan(std::uint64_t its_seed) : seed(its_seed) {
  Random random(seed);
  limits = any_limits(random);
  rates = any_rates(random);
  port.seed = random.next();
  if (random.chance(50)) port.latency = Duration(random.between(0, 10'000));
  port.refers_to_written_bytes = random.chance(40);
  if (random.chance(10)) port.max_connections = 1 + random.below(limits.connections);
  clients =
      static_cast<unsigned>(random.chance(30) ? 1 + random.below(limits.exchanges) : 1 + random.below(12));
  if (random.chance(60)) shared_addresses = static_cast<unsigned>(random.between(1, 3));
  some_alone = random.chance(50);
  trust = random.pick({Trust::nobody, Trust::nobody, Trust::first_shared, Trust::everybody});
  one_address = random.chance(30);
  fails_to_listen = random.chance(5);
  end = random.pick({End::shutdown, End::shutdown, End::exit_signal, End::cancel});
  ends_early = random.chance(40);
  end_turn = static_cast<unsigned>(random.any_size(2000));
  starts_again = random.chance(40);
}

microdot::Endpoint Plan::address_of(unsigned client) const noexcept {
  const bool alone = shared_addresses == 0 || (some_alone && client % 2 != 0);
  microdot::Endpoint from;
  from.family = microdot::Endpoint::Family::ipv4;
  from.address = {10, 0, 1, static_cast<std::uint8_t>(alone ? client + 1 : 100 + client % shared_addresses)};
  return from;
}

bool Plan::trusts(const microdot::Endpoint& client) const noexcept {
  return trust == Trust::everybody || (trust == Trust::first_shared && client.address[3] == 100);
}

microdot::ServerOptions Plan::options() const noexcept {
  microdot::ServerOptions options{.host = one_address ? "10.0.0.1" : "", .port = 80};
  if (trust != Trust::nobody)
    options.trusted_proxies = trust == Trust::everybody ? "10.0.1.0/24" : "::1, 10.0.1.100";
  return options;
}

std::string Plan::describe() const {
  char text[1600];
  const auto ms = [](microdot::Milliseconds time) { return static_cast<long>(time.count); };
  std::snprintf(
      text, sizeof text,
      "%u clients from %u shared addresses%s, trusted: %s; at %s\n"
      "connections %u (of the system %d, of a client %u), %s when full; exchanges %u, queue %u, tasks %u\n"
      "bytes: head %u, response %u, arena %u, body %u, content %u, line %u, linger %u; latency %ld us%s\n"
      "ms: first %ld, head %ld, body %ld, write %ld, keep-alive %ld, queue %ld, handler %ld, linger %ld, "
      "shutdown %ld\n"
      "rates: body %u, write %u, after %ld ms\n"
      "%%: short reads %u, short writes %u, blocked writes %u, delayed %u, reset %u, refused %u, vanished "
      "%u,\n"
      "   not opened %u, short files %u, broken files %u, slow files %u, jumps %u, wall %u, slow clients %u\n"
      "   steady clients %u, pressure %u, outages %u\n"
      "ends by %s%s%s",
      clients, shared_addresses, some_alone ? " and their own" : "",
      trust == Trust::nobody      ? "nobody"
      : trust == Trust::everybody ? "everybody"
                                  : "the first",
      one_address ? "one address" : "any address", limits.connections,
      port.max_connections == SIZE_MAX ? -1 : static_cast<int>(port.max_connections), limits.client_cap(),
      limits.when_full == microdot::WhenFull::wait ? "wait" : "refuse", limits.exchanges, limits.queue_length,
      limits.background_tasks, limits.head_bytes, limits.response_bytes, limits.arena_bytes,
      limits.max_body_length, static_cast<unsigned>(limits.max_content_length), limits.max_readline,
      limits.linger_bytes, static_cast<long>(port.latency.count()),
      port.refers_to_written_bytes ? ", bytes are referred to" : "", ms(limits.first_timeout),
      ms(limits.head_timeout), ms(limits.body_timeout), ms(limits.write_timeout),
      ms(limits.keep_alive_timeout), ms(limits.queue_timeout), ms(limits.handler_timeout),
      ms(limits.linger_timeout), ms(limits.shutdown_timeout), limits.body_rate, limits.write_rate,
      ms(limits.slow_grace), rates.short_read, rates.short_write, rates.blocked_write, rates.delayed,
      rates.reset, rates.refused, rates.vanished, rates.not_opened, rates.short_file, rates.broken_file,
      rates.slow_file, rates.jump, rates.wall_jump, rates.slow_client, rates.steady_client, rates.pressure,
      rates.outage,
      end == End::cancel        ? "cancel"
      : end == End::exit_signal ? "exit signal"
                                : "shutdown",
      ends_early ? " in the middle" : "", starts_again ? ", starts again" : "");
  return text;
}

}  // namespace sim
