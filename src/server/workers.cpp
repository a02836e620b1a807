#include "workers.hpp"

#if MICRODOT_HOSTED

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <new>

#include <microdot/port/thread.hpp>

#include "server.hpp"

namespace microdot::inline MICRODOT_ABI::detail {

namespace {

constexpr std::uint32_t kMostWorkers = 1024;

void write_error(std::string_view reason) noexcept {
  Loop::current().port().log().write(LogLevel::error, reason);
}
Result<void> refuse(std::string_view reason, Error error) noexcept {
  write_error(reason);
  return Result<void>::logged(error);
}

void add(Stats& sum, const Stats& part) noexcept {
  sum.tier = std::max(sum.tier, part.tier);
  sum.draining |= part.draining;
  sum.connections += part.connections;
  sum.idle += part.idle;
  sum.exchanges += part.exchanges;
  sum.queued += part.queued;
  sum.streams += part.streams;
  sum.tasks += part.tasks;
  sum.tasks_of_requests += part.tasks_of_requests;
  sum.accepted += part.accepted;
  sum.requests += part.requests;
  sum.refused += part.refused;
  sum.evicted += part.evicted;
  sum.timed_out += part.timed_out;
  sum.forfeited += part.forfeited;
  sum.client_errors += part.client_errors;
  sum.server_errors += part.server_errors;
  sum.messages_in += part.messages_in;
  sum.messages_out += part.messages_out;
  sum.messages_dropped += part.messages_dropped;
  sum.slow_streams += part.slow_streams;
  sum.bytes_in += part.bytes_in;
  sum.bytes_out += part.bytes_out;
  sum.tier_changes += part.tier_changes;
  sum.latency += part.latency;
  sum.connections_high_water += part.connections_high_water;
  sum.exchanges_high_water += part.exchanges_high_water;
  sum.queue_high_water += part.queue_high_water;
  sum.streams_high_water += part.streams_high_water;
  sum.stream_high_water = std::max(sum.stream_high_water, part.stream_high_water);
  sum.arena_high_water = std::max(sum.arena_high_water, part.arena_high_water);
  sum.task_pool_high_water = std::max(sum.task_pool_high_water, part.task_pool_high_water);
  sum.task_restarts += part.task_restarts;
  sum.times_blocked += part.times_blocked;
  if (part.longest_turn > sum.longest_turn) {
    sum.longest_turn = part.longest_turn;
    sum.longest_turn_by = part.longest_turn_by;
  }
}

}  // namespace

/// The threads. The first worker is the loop that `start_server` was called in, and speaks for all; it starts
/// the others one after another, so that of several that can't start one says so.
///
/// Other threads tell a worker something by a flag and by setting its server's event `ended`, on which its
/// coroutine waits. All that is here is under `mutex_`, unless it says otherwise.
class WorkerThreads final : public Workers {
 public:
  explicit WorkerThreads(App& app) noexcept : app_(&app) {}

  static Task<Result<void>> serve(App& app, ServerOptions options);

  bool running() const noexcept override {
    const std::lock_guard lock(mutex_);
    return running_;
  }
  bool shutdown(bool exit) noexcept override;
  bool stats(Stats& stats) const noexcept override;
  std::uint16_t port() const noexcept override { return port_.load(std::memory_order_relaxed); }
  const char* check() noexcept override;
  void destroy() noexcept override;

 private:
  enum class State : std::uint8_t { idle, starting, serving, failed, ended };

  struct Worker {
    WorkerThreads* all = nullptr;
    std::uint32_t number = 0;
    State state = State::idle;
    Error error = Error::none;
    Server* server = nullptr;  // while others may use it, with its loop and its task pool
    Loop* loop = nullptr;
    const Arena* pool = nullptr;
    std::byte* block = nullptr;  // the first worker's is the App's
    SystemThread thread;         // the first worker's alone
  };

  /// A worker's server, in the worker's thread. Others see it when it has started: until then it writes what
  /// they read, and what it was told meanwhile it finds in the flags.
  class ServerScope {
   public:
    ServerScope(Worker& worker, std::span<std::byte> block) noexcept
        : worker_(&worker), server_(Server::create(*worker.all->app_, block)) {}
    ServerScope(const ServerScope&) = delete;
    ServerScope& operator=(const ServerScope&) = delete;
    ~ServerScope();

    Result<void> start(const ServerOptions& options) noexcept;

   private:
    Worker* worker_;
    Server* server_;
  };
  /// Ends the other workers with the coroutine that runs the first, at once if they still serve.
  class ThreadsScope {
   public:
    explicit ThreadsScope(WorkerThreads& all) noexcept : all_(&all) {}
    ThreadsScope(const ThreadsScope&) = delete;
    ThreadsScope& operator=(const ThreadsScope&) = delete;
    ~ThreadsScope() { all_->end_threads(); }

   private:
    WorkerThreads* all_;
  };

  static WorkerThreads* of(App& app) noexcept;
  bool prepare(std::uint32_t count) noexcept;
  bool start_thread(Worker& worker) noexcept;
  void end_threads() noexcept;
  static void run(void* worker) noexcept;
  static Task<> work(Worker& worker);
  static void obey(Worker& worker) noexcept;
  void set_state(Worker& worker, State state, Error error = Error::none) noexcept;
  State state_of(const Worker& worker) const noexcept {
    const std::lock_guard lock(mutex_);
    return worker.state;
  }
  bool ending() const noexcept {
    const std::lock_guard lock(mutex_);
    return ending_;
  }
  bool stopping() const noexcept {
    const std::lock_guard lock(mutex_);
    return stopping_;
  }
  bool others_ended() const noexcept;
  /// That of the calling thread's loop, or null. Under `mutex_`.
  Server* own_server() const noexcept;
  /// Under `mutex_`.
  static void wake(Worker& worker) noexcept {
    if (worker.server != nullptr) worker.server->ended().set_from_isr(*worker.loop);
  }

  mutable std::mutex mutex_;
  App* app_;
  Worker* workers_ = nullptr;
  std::uint32_t room_ = 0;  // workers that there is memory for
  std::uint32_t count_ = 0;
  bool running_ = false;
  bool ending_ = false;    // gracefully
  bool exiting_ = false;   // the same, by a signal
  bool stopping_ = false;  // at once
  Stats past_;             // of those that have ended
  std::atomic<std::uint16_t> port_{0};
  ServerOptions options_;  // from here on before the threads start
  void (*on_task_error_)(const TaskError&) = nullptr;
};

// Memory

WorkerThreads* WorkerThreads::of(App& app) noexcept {
  if (Workers* const there = app.workers_.load(std::memory_order_relaxed))
    return static_cast<WorkerThreads*>(there);
  void* const memory = std::malloc(sizeof(WorkerThreads));
  if (memory == nullptr) return nullptr;
  auto* const all = ::new (memory) WorkerThreads(app);
  app.workers_.store(all, std::memory_order_release);
  return all;
}

bool WorkerThreads::prepare(std::uint32_t count) noexcept {
  const std::lock_guard lock(mutex_);
  if (count > room_) {
    auto* const more = static_cast<Worker*>(std::malloc(count * sizeof(Worker)));
    if (more == nullptr) return false;
    for (std::uint32_t i = 0; i < count; ++i) {
      Worker* const worker = ::new (static_cast<void*>(more + i)) Worker;
      if (i < room_) worker->block = workers_[i].block;
    }
    std::free(workers_);
    workers_ = more;
    room_ = count;
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    Worker& worker = workers_[i];
    worker.all = this;
    worker.number = i;
    worker.state = State::idle;
    if (i == 0 || worker.block != nullptr) continue;
    worker.block = static_cast<std::byte*>(std::malloc(app_->limits().server_memory()));
    if (worker.block == nullptr) return false;
  }
  count_ = count;
  ending_ = exiting_ = stopping_ = false;
  past_ = {};
  running_ = true;
  return true;
}

void WorkerThreads::destroy() noexcept {
  for (std::uint32_t i = 1; i < room_; ++i) std::free(workers_[i].block);
  std::free(workers_);
  this->~WorkerThreads();
  std::free(this);
}

// Life

Result<void> WorkerThreads::ServerScope::start(const ServerOptions& options) noexcept {
  WorkerThreads& all = *worker_->all;
  const Result<void> started = server_->start(options, {worker_->number, all.count_});
  if (!started) return started;
  const std::lock_guard lock(all.mutex_);
  worker_->loop = &Loop::current();
  worker_->pool = &task_pool();
  worker_->server = server_;
  return {};
}

WorkerThreads::ServerScope::~ServerScope() {
  WorkerThreads& all = *worker_->all;
  {
    const std::lock_guard lock(all.mutex_);
    if (std::exchange(worker_->server, nullptr) != nullptr) {
      Stats part = server_->stats();
      part.tier = Tier::normal;
      part.draining = false;
      part.connections = part.idle = part.exchanges = part.queued = part.streams = 0;
      part.tasks = part.tasks_of_requests = 0;
      part.task_pool_high_water = static_cast<std::uint32_t>(worker_->pool->high_water());
      add(all.past_, part);
    }
    if (worker_->number == 0) {
      all.running_ = false;
      all.port_ = 0;
    }
  }
  server_->destroy();
}

Task<Result<void>> WorkerThreads::serve(App& app, ServerOptions options) {
  Loop& loop = Loop::current();
  if (options.workers == 0) options.workers = std::min<std::size_t>(usable_processors(), kMostWorkers);
  if (options.workers == 1) {
    Task<Result<void>> alone = app.start_server(options);
    co_return co_await std::move(alone);
  }
  if (options.workers > kMostWorkers)
    co_return refuse("ServerOptions::workers must be at most 1024", Error::invalid);
  if (app.acquire_ == nullptr)
    co_return refuse("ServerOptions::workers: a StaticApp has memory for one", Error::invalid);
  if (&loop.port() != &system_port())
    co_return refuse("ServerOptions::workers: others need the system's own port", Error::invalid);
  WorkerThreads* const all = of(app);
  if (all == nullptr || !all->prepare(options.workers)) {
    co_return refuse("no memory for the workers: each takes Limits::server_memory()", Error::no_memory);
  }

  Worker& first = all->workers_[0];
  ServerScope scope(first, app.block_);
  const ThreadsScope threads(*all);
  const Result<void> started = scope.start(options);
  if (!started) co_return started;
  const std::uint16_t port = first.server->port();
  all->options_ = options;
  all->options_.host = first.server->host();
  all->options_.port = port;
  all->on_task_error_ = task_error_handler();
  Event& event = first.server->ended();
  for (std::uint32_t i = 1; i < options.workers && !all->ending(); ++i) {
    Worker& worker = all->workers_[i];
    if (!all->start_thread(worker)) co_return refuse("no thread for another worker", Error::no_memory);
    while (all->state_of(worker) == State::starting) {
      co_await event.wait();
      event.clear();
    }
    if (all->state_of(worker) == State::failed) co_return Result<void>::logged(worker.error);
  }
  if (!all->ending()) {
    first.server->announce();  // before others see it run: what they log comes behind
    all->port_ = port;
  }
  for (;;) {
    obey(first);
    if (first.server->has_ended() && all->others_ended()) co_return Result<void>();
    co_await event.wait();
    event.clear();
  }
}

bool WorkerThreads::start_thread(Worker& worker) noexcept {
  worker.state = State::starting;  // nobody else knows of it yet
  if (worker.thread.start(run, &worker)) return true;
  worker.state = State::idle;
  return false;
}

void WorkerThreads::end_threads() noexcept {
  {
    const std::lock_guard lock(mutex_);
    ending_ = stopping_ = true;
    port_ = 0;
    for (std::uint32_t i = 1; i < count_; ++i) wake(workers_[i]);
  }
  for (std::uint32_t i = 1; i < count_; ++i) workers_[i].thread.join();
}

bool WorkerThreads::others_ended() const noexcept {
  const std::lock_guard lock(mutex_);
  return std::none_of(workers_ + 1, workers_ + count_, [](const Worker& worker) {
    return worker.state == State::starting || worker.state == State::serving;
  });
}

void WorkerThreads::set_state(Worker& worker, State state, Error error) noexcept {
  const std::lock_guard lock(mutex_);
  worker.state = state;
  worker.error = error;
  wake(workers_[0]);
}

/// Another worker's thread.
void WorkerThreads::run(void* its_worker) noexcept {
  auto& worker = *static_cast<Worker*>(its_worker);
  on_task_error(worker.all->on_task_error_);
  {
    Loop loop(system_port());
    MainTaskRunner runner;
    Task<> root = work(worker);
    if (root.valid()) {
      runner.drive(loop, root.handle());
    } else {
      log_main_failure(loop, "no room for a worker in the task pool");
      worker.error = Error::no_memory;
    }
  }
  const bool served = worker.all->state_of(worker) == State::serving;
  worker.all->set_state(worker, served ? State::ended : State::failed, worker.error);
}

Task<> WorkerThreads::work(Worker& worker) {
  WorkerThreads& all = *worker.all;
  ServerScope scope(worker, {worker.block, all.app_->limits().server_memory()});
  const Result<void> started = scope.start(all.options_);
  if (!started) {
    worker.error = started.error();
    co_return;
  }
  all.set_state(worker, State::serving);
  Event& event = worker.server->ended();
  for (;;) {
    obey(worker);
    if (all.stopping() || worker.server->has_ended()) co_return;
    co_await event.wait();
    event.clear();
  }
}

/// In the worker's thread: does what it was told to.
void WorkerThreads::obey(Worker& worker) noexcept {
  bool ending = false;
  bool exiting = false;
  {
    const std::lock_guard lock(worker.all->mutex_);
    ending = worker.all->ending_;
    exiting = worker.all->exiting_;
  }
  if (exiting) worker.loop->request_exit();
  if (ending) worker.server->shutdown();
}

// What an App asks

Server* WorkerThreads::own_server() const noexcept {
  const Loop* const loop = Loop::try_current();
  for (std::uint32_t i = 0; i < count_; ++i) {
    if (workers_[i].server != nullptr && workers_[i].loop == loop) return workers_[i].server;
  }
  return nullptr;
}

bool WorkerThreads::shutdown(bool exit) noexcept {
  Server* own = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (!running_) return false;
    ending_ = true;
    if (exit) exiting_ = true;
    port_ = 0;
    own = own_server();
    for (std::uint32_t i = 0; i < count_; ++i) wake(workers_[i]);
  }
  if (own != nullptr) own->shutdown();
  return true;
}

bool WorkerThreads::stats(Stats& stats) const noexcept {
  const std::lock_guard lock(mutex_);
  if (!running_) return false;
  stats = past_;
  stats.workers = count_;
  for (std::uint32_t i = 0; i < count_; ++i) {
    const Worker& worker = workers_[i];
    if (worker.server == nullptr) continue;
    Stats part = worker.server->stats();
    part.task_pool_high_water = static_cast<std::uint32_t>(worker.pool->high_water());
    add(stats, part);
    if (i == 0) stats.started = part.started;
  }
  return true;
}

const char* WorkerThreads::check() noexcept {
  Server* own = nullptr;
  {
    const std::lock_guard lock(mutex_);
    own = own_server();
  }
  return own != nullptr ? own->check() : nullptr;
}

Task<Result<void>> serve_with_workers(App& app, ServerOptions options) {
  return WorkerThreads::serve(app, options);
}

}  // namespace microdot::inline MICRODOT_ABI::detail

#endif
