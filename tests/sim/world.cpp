#include "world.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include "../server/server_run.hpp"

namespace sim {

using namespace std::chrono_literals;
using namespace microdot;

namespace {

constexpr unsigned kMostTurns = 300'000;  // of one `serve`; far more than any world takes
constexpr ServerOptions kWhere = {.host = "", .port = 80};

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
      site_(plan_.limits),
      port_(options_of(plan_, faults_)),
      loop_(port_) {
  site_.attach(port_);
}

World::~World() {
  clients_.clear();
  server_.reset();
}

void World::fail(const std::string& why) {
  if (!failure_.empty()) return;
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
  return now().time_since_epoch() - jumped_ - site_.blocked() - faults_.read_time();
}

void World::forget(unsigned connection) {
  faults_.forget(connection);
  leaves_line(connection);
}

void World::leaves_line(unsigned connection) noexcept {
  std::erase_if(line_, [connection](const InLine& place) { return place.connection == connection; });
}

// ---- Who comes first is served first -------------------------------------------------------------------

void World::stands_in_line(const Client& client) { line_.push_back({turns_, &client, client.connection()}); }

// The first read of a connection is when it has got an exchange.
void World::server_reads(unsigned connection) noexcept {
  const auto here = std::find_if(line_.begin(), line_.end(),
                                 [&](const InLine& place) { return place.connection == connection; });
  if (here == line_.end()) return;
  for (auto before = line_.begin(); before != here; ++before) {
    if (before->turn < here->turn && before->client->waits_in_line() && !ending_)
      fail("connection " + std::to_string(connection) + " is served before " +
           std::to_string(before->connection) + ", which came first");
  }
  line_.erase(here);
}

// ---- One turn ------------------------------------------------------------------------------------------

void World::turn(Duration most) {
  TimePoint next = now() + most;
  for (const auto& client : clients_) next = std::min(next, client->next());
  upset();
  loop_.turn(std::max(next - now(), Duration::zero()));
  ++turns_;
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
  if (random_.chance(1)) port_.set_pressure(random_.pick({Pressure::none, Pressure::some, Pressure::high}));
}

void World::check() {
  if (!failure_.empty()) return;
  if (const char* wrong = site_.app.check()) return fail(wrong);
  const Stats stats = site_.app.stats();
  if (port_.open_transports() != stats.connections)
    return fail("transports and connections differ in number");
  if (stats.connections > std::min<std::size_t>(plan_.limits.connections, plan_.port.max_connections))
    return fail("more connections than there may be");
  if (stats.exchanges > plan_.limits.exchanges) return fail("more exchanges than there are");
  if (stats.arena_high_water > plan_.limits.arena_bytes)
    return fail("more of an arena was used than there is");
  if (port_.open_files() > stats.connections) return fail("more files are open than connections");
  if (ending_ && server_ != nullptr && !server_->done() && now() > deadline_ && ++overdue_ > 5)
    return fail("the shutdown's deadline has passed, and it goes on");
}

// ---- The life of a server ------------------------------------------------------------------------------

std::string World::run() {
  if (start() && (serve() || ending_)) finish();
  return failure_;
}

bool World::launch() {
  server_ = std::make_unique<microdot_test::ServerRun>(site_.app, loop_, kWhere);
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

bool World::serve(Duration lasts) {
  visits_until_ = now() + lasts;
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
  log("all clients are gone");
  const Limits& limits = plan_.limits;
  Duration all{};
  for (const Duration time :
       {limits.head_timeout, limits.body_timeout, limits.write_timeout, limits.queue_timeout,
        limits.handler_timeout, limits.linger_timeout, limits.keep_alive_timeout})
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
    SimClient socket = port_.connect(80);
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
      if (const std::string wrong = judge.take(socket.received(), {plan_, now(), lenient}); !wrong.empty())
        fail(wrong);
      socket.consume(socket.received().size());
      if (fair_time() - begin > 10s) fail("a server that was started again does not answer");
    }
    if (judge.answered() != 0 || !failure_.empty()) return failure_.empty();
    const bool vanished = !socket.accepted();
    if (!vanished && !lenient) fail("a server that was started again closes instead of an answer");
    faults_.forget(socket.number());
  }
  return failure_.empty();
}

}  // namespace sim
