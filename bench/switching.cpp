// What it costs that tasks take turns and sleep: microdot's tasks, Boost.Asio's coroutines (where its headers
// are there) and threads, doing the same work. bench/run switching [--smoke]
//
// Each measurement runs in a process of its own, on one core. A switch: one task gives way, the other goes
// on. Memory: what a task that sleeps has taken, by the allocator's own account; of a thread, what became
// resident (its stack in the kernel, 16 KB, is not in that).

#include <malloc.h>
#include <pthread.h>
#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include <microdot/microdot.hpp>

#include "system.hpp"

#ifdef MICRODOT_BENCH_ASIO
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#endif

namespace {

using namespace microdot;

// Not the time that passes: others may use the core meanwhile.
double cpu_seconds() { return bench::seconds(CLOCK_PROCESS_CPUTIME_ID); }

// ---- microdot ----

Task<> give_way(long times) {
  for (long i = 0; i < times; ++i) co_await yield();
}
Task<> two_tasks(long switches, double& seconds) {
  const double began = cpu_seconds();
  TaskHandle a = create_task(give_way, switches / 2);
  TaskHandle b = create_task(give_way, switches / 2);
  co_await a;
  co_await b;
  seconds = cpu_seconds() - began;
}
double microdot_switch(long switches) {
  double seconds = 0;
  run(two_tasks(switches, seconds));
  return seconds * 1e9 / static_cast<double>(switches);
}

Task<> sleeper() { co_await sleep_for(1h); }
Task<> many_tasks(long tasks, double& bytes) {
  const std::size_t before = task_pool().used();
  for (long i = 0; i < tasks; ++i) {
    if (create_task(sleeper).state() == TaskState::failed) bench::fail("create_task");
  }
  co_await sleep_for(10ms);  // all of them have begun
  bytes = static_cast<double>(task_pool().used() - before) / static_cast<double>(tasks);
}
double microdot_bytes(long tasks) {
  std::vector<std::byte> pool(static_cast<std::size_t>(tasks) * 1024);
  task_pool().assign(pool);
  double bytes = 0;
  run(many_tasks(tasks, bytes));
  task_pool().assign({});
  return bytes;
}

// ---- Threads ----

class HandOver {
 public:
  void run(int self, long times) {
    std::unique_lock lock(mutex_);
    for (long i = 0; i < times; ++i) {
      changed_.wait(lock, [&] { return turn_ == self; });
      turn_ = 1 - self;
      changed_.notify_one();
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int turn_ = 0;
};
double thread_switch(long switches) {
  HandOver hand_over;
  const double began = cpu_seconds();
  std::thread a([&] { hand_over.run(0, switches / 2); });
  std::thread b([&] { hand_over.run(1, switches / 2); });
  a.join();
  b.join();
  return (cpu_seconds() - began) * 1e9 / static_cast<double>(switches);
}

double resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  long pages = 0;
  if (file == nullptr || std::fscanf(file, "%*d %ld", &pages) != 1) bench::fail("/proc/self/statm");
  std::fclose(file);
  return static_cast<double>(pages) * static_cast<double>(sysconf(_SC_PAGESIZE));
}
double thread_bytes(long threads) {
  const double before = resident_bytes();
  for (long i = 0; i < threads; ++i) {
    std::thread([] { std::this_thread::sleep_for(1h); }).detach();
  }
  std::this_thread::sleep_for(200ms);
  return (resident_bytes() - before) / static_cast<double>(threads);
}

// ---- Boost.Asio ----

#ifdef MICRODOT_BENCH_ASIO
namespace asio = boost::asio;

asio::awaitable<void> asio_give_way(long times) {
  const auto executor = co_await asio::this_coro::executor;
  for (long i = 0; i < times; ++i) co_await asio::post(executor, asio::use_awaitable);
}
double asio_switch(long switches) {
  asio::io_context context(1);  // a hint that one thread runs it
  asio::co_spawn(context, asio_give_way(switches / 2), asio::detached);
  asio::co_spawn(context, asio_give_way(switches / 2), asio::detached);
  const double began = cpu_seconds();
  context.run();
  return (cpu_seconds() - began) * 1e9 / static_cast<double>(switches);
}
// The same beside a timer that is armed, as every server has one: then it looks at the network, too, which
// microdot does always.
double asio_switch_beside_timer(long switches) {
  asio::io_context context(1);
  asio::steady_timer timer(context, 1h);
  timer.async_wait([](const boost::system::error_code&) {});
  long running = 2;
  const auto end = [&](const std::exception_ptr&) {
    if (--running == 0) context.stop();
  };
  asio::co_spawn(context, asio_give_way(switches / 2), end);
  asio::co_spawn(context, asio_give_way(switches / 2), end);
  const double began = cpu_seconds();
  context.run();
  return (cpu_seconds() - began) * 1e9 / static_cast<double>(switches);
}
asio::awaitable<void> asio_sleeper() {
  asio::steady_timer timer(co_await asio::this_coro::executor, 1h);
  co_await timer.async_wait(asio::use_awaitable);
}
double asio_bytes(long tasks) {
  asio::io_context context(1);
  context.poll();
  const std::size_t before = mallinfo2().uordblks;
  for (long i = 0; i < tasks; ++i) asio::co_spawn(context, asio_sleeper(), asio::detached);
  context.restart();
  context.poll();
  return static_cast<double>(mallinfo2().uordblks - before) / static_cast<double>(tasks);
}
#endif

// ---- All of them ----

/// In a process of its own.
double measure(double (*what)(long), long size) {
  int ends[2];
  bench::check(pipe(ends), "pipe");
  const pid_t child = bench::check(fork(), "fork");
  if (child == 0) {
    bench::pin_to_core(0);
    mallopt(M_MMAP_THRESHOLD, 1 << 30);  // or large blocks would not be counted
    const double figure = what(size);
    bench::check(write(ends[1], &figure, sizeof figure), "write");
    _exit(0);
  }
  close(ends[1]);
  double figure = 0;
  if (read(ends[0], &figure, sizeof figure) != sizeof figure) bench::fail("a measurement ended early");
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return figure;
}

struct Row {
  const char* name;
  double (*what)(long);
  long size;
  std::vector<double> figures;

  double median() {
    std::sort(figures.begin(), figures.end());
    return figures[figures.size() / 2];
  }
};

void print(const char* title, std::vector<Row> rows, int rounds, const char* format) {
  for (int round = 0; round < rounds; ++round) {
    for (Row& row : rows) row.figures.push_back(measure(row.what, row.size));
  }
  std::printf("%s\n", title);
  const double ours = rows.front().median();
  for (Row& row : rows) {
    std::printf("  %-38s ", row.name);
    std::printf(format, row.median());
    if (&row != &rows.front()) std::printf("  %7.1f ×", row.median() / ours);
    std::printf("\n");
  }
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const bool smoke = argc > 1 && std::strcmp(argv[1], "--smoke") == 0;
  const long scale = smoke ? 100 : 1;
  const int rounds = smoke ? 1 : 5;
  const long switches = 10'000'000 / scale;
  print("a switch between two, ns of the processor",
        {{"microdot: co_await yield()", microdot_switch, switches, {}},
#ifdef MICRODOT_BENCH_ASIO
         {"Boost.Asio: co_await post()", asio_switch, switches, {}},
         {"Boost.Asio, a timer is armed", asio_switch_beside_timer, switches / 4, {}},
#endif
         {"threads: condition variable", thread_switch, 200'000 / scale, {}}},
        rounds, "%10.1f");
  print("one that sleeps, bytes",
        {{"microdot: of 1,000", microdot_bytes, 1000, {}},
         {"microdot: of 100,000", microdot_bytes, 100'000 / scale, {}},
#ifdef MICRODOT_BENCH_ASIO
         {"Boost.Asio: of 1,000", asio_bytes, 1000, {}},
         {"Boost.Asio: of 100,000", asio_bytes, 100'000 / scale, {}},
#endif
         {"threads: of 1,000", thread_bytes, smoke ? 20 : 1000, {}}},
        1, "%10.0f");
}
