#include "world.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include <microdot/http/response_writer.hpp>

#include "../server/server_run.hpp"

namespace sim {

using namespace std::chrono_literals;
using namespace microdot;

namespace {

constexpr unsigned kMostTurns = 300'000;  // of one `serve`; far more than any world takes
constexpr Duration kReviews = 100ms;      // between looks at those who are slow

SimOptions options_of(const Plan& plan, Faults& faults) {
  SimOptions options = plan.port;
  options.faults = &faults;
  return options;
}

}  // namespace

World::World(const Plan& plan, bool logs)
    : plan_(plan),
      logs_(logs),
      random_(plan.seed ^ 0x5eed),
      faults_(*this, plan_, random_.fork()),
      site_(plan_),
      port_(options_of(plan_, faults_)),
      loop_(port_) {
  site_.attach(port_);
  line_.reserve(plan_.clients);
}

World::~World() {
  clients_.clear();
  server_.reset();
}

void World::fail(const std::string& why) {
  if (why.empty() || !failure_.empty()) return;
  failure_ = why;
  log("FAILED: %s", why.c_str());
}

void World::log(const char* format, ...) noexcept {
  if (!logs_) return;
  char line[400];
  std::snprintf(line, sizeof line, "%12.6f ",
                std::chrono::duration<double>(now().time_since_epoch()).count());
  log_ += line;
  std::va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  log_ += line;
  log_ += '\n';
}

Duration World::fair_time() {
  const Duration out = network_is_out() ? now() - outage_began_ : Duration::zero();
  return now().time_since_epoch() - jumped_ - site_.blocked() - faults_.read_time() - out_ - out;
}

void World::forget(unsigned connection) {
  faults_.forget(connection);
  refusals_.erase(connection);
  doomed_.erase(connection);
  leaves_line(connection);
}

void World::leaves_line(unsigned connection) noexcept {
  std::erase_if(line_, [connection](const InLine& place) { return place.connection == connection; });
}

// ---- Who comes first is served first -------------------------------------------------------------------

void World::stands_in_line(const Client& client) { line_.push_back({turns_, &client, client.connection()}); }

// The first read of a connection is when it has got an exchange.
void World::server_reads(unsigned connection) noexcept {
  if (newcomer_ == connection) newcomer_ = UINT_MAX;
  if (doomed_.contains(connection)) fail("a newcomer is served though the system is under high pressure");
  const auto here = std::find_if(line_.begin(), line_.end(),
                                 [&](const InLine& place) { return place.connection == connection; });
  if (here == line_.end()) return;
  const Stats stats = site_.app.stats();
  for (auto before = line_.begin(); before != here; ++before) {
    if (before->turn < here->turn && before->client->waits_in_line() && !ending_ &&
        !has_its_share(before->client->address(), stats))
      fail("connection " + std::to_string(connection) + " is served before " +
           std::to_string(before->connection) + ", which came first");
  }
  line_.erase(here);
}

// ---- Who is refused, and why ---------------------------------------------------------------------------

const Refusal* World::refusal_of(unsigned connection) const {
  const auto found = refusals_.find(connection);
  return found != refusals_.end() ? &found->second : nullptr;
}

std::optional<Endpoint> World::address_of(unsigned connection) const noexcept {
  if (plain_ != nullptr && plain_->number() == connection) return plain_->local();
  for (const auto& client : clients_) {
    if (client->connected() && client->connection() == connection) return client->address();
  }
  return {};
}

/// This client may have to wait though an exchange is left: it has as many as it leaves to others. What is
/// seen from outside is who has connections.
bool World::has_its_share(const Endpoint& client, const Stats& stats) const noexcept {
  const std::uint32_t exchanges = plan_.limits.exchanges;
  return exchanges > 1 && !plan_.trusts(client) &&
         port_.open_transports(client) > exchanges - stats.exchanges;
}

void World::server_accepts(unsigned connection) noexcept {
  newcomer_ = connection;
  if (port_.pressure() == Pressure::high && plan_.limits.when_full == WhenFull::refuse)
    doomed_.insert(connection);
}

/// Called within the server's attempt to write it.
const char* World::why_refused(const Endpoint& client, bool newcomer) noexcept {
  const Stats stats = site_.app.stats();
  const Limits& limits = plan_.limits;
  if (newcomer) {
    if (port_.pressure() == Pressure::high && limits.when_full == WhenFull::refuse) return "high pressure";
    if (limits.when_full == WhenFull::refuse && stats.connections > plan_.usable())
      return "no connection is left";
    const std::uint32_t cap = limits.client_cap(static_cast<std::uint32_t>(plan_.usable()));
    if (!plan_.trusts(client) && port_.open_transports(client) > cap) return "it has too many connections";
  }
  const bool none_free = stats.exchanges == limits.exchanges || has_its_share(client, stats);
  if (none_free && stats.queued == limits.queue_length) return "the queue is full";
  // What is seen from outside is who has connections: no more of them than these wait.
  if (none_free && limits.client_cap() < limits.connections && !plan_.trusts(client) &&
      port_.open_transports(client) > limits.queue_length - stats.queued)
    return "it has its share of the queue";
  return nullptr;
}

void World::server_writes(unsigned connection, std::size_t size) noexcept {
  leaves_line(connection);  // who is written to unread was refused
  doomed_.erase(connection);
  if (size > kServiceUnavailable.size()) return;
  const std::optional<Endpoint> client = address_of(connection);
  if (!client) return;  // it has left
  const char* reason = why_refused(*client, newcomer_ == connection);
  refusals_[connection] = {reason, now()};
  if (reason != nullptr) log("connection %u: may be refused: %s", connection, reason);
  // That it has had its share is nobody's trouble but its own.
  if (reason != nullptr && !std::string_view(reason).starts_with("it has")) too_little_ = true;
  if (newcomer_ == connection) newcomer_ = UINT_MAX;
}

// ---- One turn ------------------------------------------------------------------------------------------

void World::turn(Duration most) {
  TimePoint next = std::min(now() + most, outage_ends_);
  for (const auto& client : clients_) next = std::min(next, client->next());
  upset();
  too_little_ = false;
  loop_.turn(std::max(next - now(), Duration::zero()));
  ++turns_;
  newcomer_ = UINT_MAX;
  if (site_.app.stats().forfeited != last_.forfeited) forfeited_ = now();
  if (std::exchange(refused_tasks_, site_.counts.refused_tasks) != site_.counts.refused_tasks)
    task_refused_ = now();
  for (const auto& client : clients_) client->look();
  if (server_ != nullptr && plan_.ends_early && !ending_ && turns_ >= plan_.end_turn) begin_end();
  for (const auto& client : clients_) {
    if (client->next() <= now()) client->act();
  }
  check();
}

void World::upset() {
  if (random_.below(1000) < plan_.rates.jump) {
    const Duration time(random_.any_size(10'000'000));
    log("the program stands still for %ld us", static_cast<long>(time.count()));
    jumped_ += time;
    port_.advance(time);
  }
  if (random_.below(1000) < plan_.rates.wall_jump) {
    port_.set_unix_seconds(static_cast<std::int64_t>(random_.any_size(4'000'000'000)));
    log("the wall clock is set");
  }
  if (now() >= outage_ends_) end_outage();
  if (!upsets_) return;
  if (random_.chance(plan_.rates.pressure))
    port_.set_pressure(random_.pick({Pressure::none, Pressure::none, Pressure::some, Pressure::high}));
  if (!network_is_out() && random_.below(1000) < plan_.rates.outage) begin_outage();
}

void World::begin_outage() {
  outage_ = random_.pick({Outage::interface, Outage::no_address, Outage::other_address});
  outage_began_ = now();
  failed_newcomer_ = false;
  outage_ends_ = now() + Duration(random_.any_size(4'000'000));
  log("the network goes");
  if (outage_ == Outage::interface) {
    port_.set_network(false);
  } else {
    port_.set_address(outage_ == Outage::no_address ? "" : "10.0.0.2");
  }
  for (const auto& client : clients_) client->excuse_server();
  settles_at_ = turns_ + 6;
  failures_then_ = accept_failures_;
}

void World::end_outage() {
  log("the network returns");
  out_ += now() - outage_began_;
  outage_ends_ = TimePoint::max();
  if (outage_ == Outage::interface) {
    port_.set_network(true);
  } else {
    port_.set_address("10.0.0.1");
  }
  for (const auto& client : clients_) client->excuse_server();
  settles_at_ = turns_ + 6;
  failures_then_ = accept_failures_;
}

void World::check() {
  if (!failure_.empty()) return;
  if (const char* wrong = site_.app.check()) return fail(wrong);
  const Stats stats = site_.app.stats();
  if (port_.open_transports() != stats.connections)
    return fail("transports and connections differ in number");
  if (!site_.counts.wrong.empty()) return fail(site_.counts.wrong);
  if (port_.open_files() > stats.connections) return fail("more files are open than connections");
  if (ending_ && server_ != nullptr && !server_->done() && now() > deadline_ && ++overdue_ > 5)
    return fail("the shutdown's deadline has passed, and it goes on");
  if (!site_.app.running()) return;  // the figures are of the next server
  check_stats(stats);
  if (!ending_) {
    check_addresses();
    check_slow(stats);
    check_tier(stats);
    check_network();
  }
  last_ = stats;
  failures_before_ = accept_failures_;
}

// ---- What is true of a server that is short of something ------------------------------------------------

/// Figures agree with each other, with the limits and with those of the turn before.
void World::check_stats(const Stats& now_is) {
  const Limits& limits = plan_.limits;
  const std::size_t usable = plan_.usable();
  // One newcomer more is told that there are no more.
  const std::size_t slots = usable + (limits.when_full == WhenFull::refuse ? 1 : 0);
  if (now_is.connections > slots || now_is.connections_high_water > slots)
    return fail("more connections than there may be");
  if (now_is.connections > usable && !plan_.port.refers_to_written_bytes)
    return fail("a newcomer who was refused keeps the place of the next");
  if (now_is.exchanges_high_water > limits.exchanges) return fail("more exchanges than there are");
  if (now_is.queue_high_water > limits.queue_length) return fail("the queue was too long");
  if (now_is.tasks_of_requests > limits.background_tasks) return fail("more tasks than there may be");
  if (now_is.arena_high_water > limits.arena_bytes) return fail("more of an arena was used than there is");
  if (now_is.connections > now_is.connections_high_water || now_is.exchanges > now_is.exchanges_high_water ||
      now_is.queued > now_is.queue_high_water ||
      now_is.connections_high_water < last_.connections_high_water ||
      now_is.exchanges_high_water < last_.exchanges_high_water ||
      now_is.queue_high_water < last_.queue_high_water || now_is.arena_high_water < last_.arena_high_water)
    return fail("a high-water mark is too low");
  if (now_is.idle + now_is.exchanges + now_is.queued > now_is.connections ||
      now_is.tasks_of_requests > now_is.tasks)
    return fail("more parts than the whole");
  for (const auto total : {&Stats::accepted, &Stats::requests, &Stats::refused, &Stats::evicted,
                           &Stats::timed_out, &Stats::forfeited, &Stats::client_errors, &Stats::server_errors,
                           &Stats::bytes_in, &Stats::bytes_out, &Stats::tier_changes}) {
    if (now_is.*total < last_.*total) return fail("a total has become less");
  }
  if (now_is.client_errors + now_is.server_errors > now_is.requests || now_is.forfeited > now_is.timed_out ||
      now_is.latency.total() > now_is.requests || now_is.connections > now_is.accepted)
    return fail("totals do not agree");
  // Only for a newcomer, who is accepted or was not because of the system: then for a connection and for a
  // descriptor. A listener that fails looks like one at first.
  std::uint64_t newcomers = now_is.accepted - last_.accepted + 2 * (accept_failures_ - failures_before_);
  if (now_is.evicted - last_.evicted > newcomers && network_is_out() &&
      !std::exchange(failed_newcomer_, true))
    ++newcomers;
  if (now_is.evicted - last_.evicted > newcomers) return fail("somebody made room for nobody");
}

/// No client has more connections than it may have.
void World::check_addresses() {
  for (const auto& client : clients_) {
    const Endpoint address = client->address();
    if (!plan_.trusts(address) && port_.open_transports(address) > plan_.limits.client_cap())
      return fail("a client has more connections than it may have");
  }
}

/// While others wait those who are slow are given up, and nobody else and never.
void World::check_slow(const Stats& stats) {
  const auto may_wait = [](const auto& client) { return client->may_wait(); };
  const bool others_waited =
      std::exchange(others_may_wait_, std::any_of(clients_.begin(), clients_.end(), may_wait));
  if (stats.forfeited != last_.forfeited && last_.queued == 0 && !others_waited)
    return fail("somebody is given up though nobody waits");
  // Who waits while an exchange is free waits for itself.
  const bool others_wait = stats.queued != 0 && stats.exchanges == plan_.limits.exchanges;
  if (!others_wait) {
    queue_since_.reset();
  } else if (!queue_since_) {
    queue_since_ = fair_time();
  }
  if (!queue_since_ || plan_.jumps()) return;
  // Each look gives up at least one.
  const Duration looks = kReviews * static_cast<int>(plan_.limits.exchanges + 2);
  if (fair_time() - *queue_since_ < looks) return;
  for (const auto& client : clients_) {
    const std::optional<Duration> since = client->too_slow_since();
    if (since && fair_time() - *since > looks)
      return fail("connection " + std::to_string(client->connection()) +
                  " is too slow, and is waited for while others wait");
  }
}

/// A tier is entered when there is reason to, and left after a while without.
void World::check_tier(const Stats& stats) {
  if (too_little_ && stats.refused != last_.refused && stats.tier < Tier::refusing)
    return fail("somebody is refused in the tier " + std::string(to_string(stats.tier)));
  if (queue_since_ && !plan_.jumps() && stats.tier == Tier::normal &&
      fair_time() - *queue_since_ > 2 * kReviews + 50ms)
    return fail("there is a queue in the tier normal");
  const bool calm = stats.queued == 0 && stats.refused == last_.refused &&
                    port_.pressure() == Pressure::none && stats.connections < plan_.usable() &&
                    !network_is_out() && site_.counts.lost == site_.counts.up && plan_.rates.refused == 0;
  if (!calm) calm_since_ = now();
  if (stats.tier != Tier::normal && now() - calm_since_ > 2500ms && !plan_.jumps())
    return fail("the tier " + std::string(to_string(stats.tier)) + " is not left");
}

/// The hooks are told of the network's loss and return, soon.
void World::check_network() {
  const bool lost = site_.counts.lost != site_.counts.up;
  if (site_.counts.lost - site_.counts.up > 1 || site_.counts.lost < site_.counts.up)
    return fail("the hooks are told twice, or in the wrong order");
  if (!lost) {
    lost_since_.reset();
  } else if (!lost_since_) {
    lost_since_ = fair_time();
  }
  if (turns_ <= settles_at_) return;
  if (network_is_out()) {
    const bool concerned = outage_ != Outage::other_address || plan_.one_address;
    if (concerned && !lost) fail("nobody was told that the network is lost");
  } else if (lost && accept_failures_ == failures_then_) {
    fail("the network has returned, and nobody was told");
  } else if (lost && fair_time() - *lost_since_ > 7s) {  // the longest pause between tries
    fail("nobody listens any more");
  }
}

// ---- The life of a server ------------------------------------------------------------------------------

std::string World::run() {
  if (start() && (serve() || ending_)) finish();
  return failure_;
}

bool World::launch() {
  if (network_is_out()) end_outage();
  port_.set_pressure(Pressure::none);
  site_.counts.lost = site_.counts.up = 0;
  last_ = {};
  lost_since_.reset();
  queue_since_.reset();
  settles_at_ = turns_ + 6;
  calm_since_ = now();
  server_ = std::make_unique<microdot_test::ServerRun>(site_.app, loop_, plan_.options());
  for (int i = 0; i < 3; ++i) loop_.turn(Duration::zero());
  check();
  return site_.app.running();
}

bool World::start() {
  pool_used_ = task_pool().used();
  bool running = launch();
  if (!running && plan_.fails_to_listen) {
    log("it can't listen");
    if (!server_->done()) fail("the server does not start, and does not end");
    running = launch();
  }
  if (running) return failure_.empty();
  // An arena may be too small for anything: that is said, and nothing else happens.
  const Result<void> result = server_->done() ? server_->result() : Result<void>();
  if (result || result.error() != Error::no_memory || !plan_.tight()) fail("the server does not start");
  server_.reset();
  return false;
}

void World::rest(Duration time) {
  for (const TimePoint end = now() + time; now() < end;) loop_.turn(end - now());
}

bool World::serve(Duration lasts) {
  visits_until_ = now() + lasts;
  upsets_ = true;
  clients_.clear();
  for (unsigned i = 0; i < plan_.clients; ++i)
    clients_.push_back(std::make_unique<Client>(*this, i, random_.fork()));
  const unsigned begin = turns_;
  while (failure_.empty()) {
    turn(10s);
    if (lasts > Duration::zero()) port_.clear_log();  // it would grow for ever
    if (lasts == Duration::zero() && turns_ - begin > kMostTurns) fail("there is no end to it");
    if (ending_ && (server_ == nullptr || server_->done())) break;
    if (std::all_of(clients_.begin(), clients_.end(), [](const auto& client) { return client->done(); }))
      break;
  }
  if (!failure_.empty() || ending_) return false;
  clients_.clear();
  return drain();
}

/// With all clients gone: waits until the server has forgotten them.
bool World::drain() {
  upsets_ = false;
  log("all clients are gone");
  const Limits& limits = plan_.limits;
  Duration all{};
  for (const Duration time :
       {limits.first_timeout, limits.head_timeout, limits.body_timeout, limits.write_timeout,
        limits.queue_timeout, limits.handler_timeout, limits.linger_timeout, limits.keep_alive_timeout})
    all += time;
  const Duration begin = fair_time();
  while (failure_.empty() &&
         (site_.app.stats().connections != 0 || !loop_.tasks().empty() || !port_.idle())) {
    turn(all);
    if (fair_time() - begin > 2 * all + 5s)
      fail("with all clients gone there are still connections or tasks");
  }
  check_nothing_left();
  return failure_.empty();
}

void World::check_nothing_left() {
  if (!failure_.empty()) return;
  const Stats stats = site_.app.stats();
  if (stats.connections != 0 || stats.exchanges != 0 || stats.queued != 0)
    return fail("connections or exchanges are left");
  if (port_.open_transports() != 0) return fail("transports are left");
  if (port_.open_files() != 0) return fail("files are left open");
  if (const std::string wrong = site_.check(); !wrong.empty()) return fail(wrong);
  check();
}

void World::begin_end() {
  log("the server ends");
  ending_ = true;
  ending_since_ = fair_time();
  deadline_ = now() + Duration(plan_.limits.shutdown_timeout);
  switch (plan_.end) {
    case End::shutdown: return site_.app.shutdown();
    case End::exit_signal: return loop_.request_exit();
    case End::cancel: server_.reset(); return;
  }
}

bool World::finish() {
  if (!ending_) begin_end();
  if (!wait_for_end()) return false;
  if (!plan_.starts_again || plan_.end == End::exit_signal) return true;
  log("it starts again");
  ending_ = false;
  overdue_ = 0;
  deadline_ = TimePoint::max();
  plan_.ends_early = false;
  if (!launch()) {
    fail("the server does not start again");
    return false;
  }
  if (!ask_plainly()) return false;
  plan_.end = End::shutdown;
  begin_end();
  return wait_for_end();
}

/// Until the server has ended, everybody knows it and nothing is left.
bool World::wait_for_end() {
  upsets_ = false;
  while (failure_.empty() && server_ != nullptr && !server_->done()) turn(10s);
  if (server_ != nullptr && !server_->result() && failure_.empty()) fail("the shutdown gives an error");
  server_.reset();
  const TimePoint until = now() + 60s;
  const auto told = [](const auto& client) { return !client->connected(); };
  while (failure_.empty() && (!std::all_of(clients_.begin(), clients_.end(), told) ||
                              !loop_.tasks().empty() || !port_.idle() || !loop_.ready().empty())) {
    turn(1s);
    if (now() > until) fail("a client of a server that has ended is not told, or a task goes on");
  }
  clients_.clear();
  check_nothing_left();
  if (!failure_.empty()) return false;
  if (!loop_.timers().empty()) fail("a timer is armed though nothing runs");
  if (task_pool().used() != pool_used_) fail("memory of the task pool is left");
  return failure_.empty();
}

/// A request on a server that nobody else asks anything.
bool World::ask_plainly() {
  for (int attempt = 0; attempt < 20; ++attempt) {
    SimClient socket = port_.connect(80, plan_.address_of(0));
    plain_ = &socket;
    if (faults_.afflicts(socket.number())) {
      faults_.forget(socket.number());
      continue;
    }
    Judge judge;
    Asked asked = plain_request(new_tag());
    asked.expected.sent = now();
    if (plan_.tight()) asked.expected.also.push_back(503);
    judge.expect(asked.expected);
    socket.send(asked.bytes);
    const Duration begin = fair_time();
    const bool lenient = plan_.jumps();
    while (failure_.empty() && judge.outstanding() != 0 && !socket.closed()) {
      turn(1s);
      const Circumstances circumstances{
          .plan = plan_, .now = now(), .lenient = lenient, .refusal = refusal_of(socket.number())};
      if (const std::string wrong = judge.take(socket.received(), circumstances); !wrong.empty()) fail(wrong);
      socket.consume(socket.received().size());
      if (fair_time() - begin > 10s) fail("a server that was started again does not answer");
    }
    plain_ = nullptr;
    if (!failure_.empty()) return false;
    if (judge.refused() == 0 && judge.answered() != 0) return true;
    const Circumstances circumstances{.plan = plan_,
                                      .now = now(),
                                      .lenient = lenient || !socket.accepted(),
                                      .refusal = refusal_of(socket.number())};
    if (judge.outstanding() != 0)
      fail(judge.end(!socket.was_reset(), asked.bytes.size(), socket.unread(), circumstances));
    forget(socket.number());
  }
  return failure_.empty();
}

}  // namespace sim
