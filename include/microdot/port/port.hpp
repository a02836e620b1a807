#pragma once
/// What microdot needs of a system, as small interfaces that a port implements. Ports are: linux (epoll),
/// lwip (raw API, bare metal) and sim (a deterministic network with a virtual clock). A port includes nothing
/// of microdot but base/ and port/.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <microdot/port/clock.hpp>
#include <microdot/port/file.hpp>
#include <microdot/port/network.hpp>

namespace microdot::inline MICRODOT_ABI {

/// Who uses a descriptor that another library opened (a client's socket); see `Poller::watch`.
class DescriptorEvents {
 public:
  /// It can be read or written, or has failed: then both are true, and reading or writing tells why. Repeats
  /// with every poll. Called from `Poller::poll` only.
  virtual void on_descriptor(bool readable, bool writable) noexcept = 0;

 protected:
  ~DescriptorEvents() = default;
};

/// Waits for the system's events and hands them to their owners.
class Poller {
 public:
  /// Waits until something happens, `wake` is called or `timeout` passes, then calls the events' owners.
  /// Zero: looks without waiting. Negative: waits without limit.
  virtual void poll(Duration timeout) noexcept = 0;
  /// Makes the current or next `poll` return at once. Safe from any thread and from interrupt handlers.
  virtual void wake() noexcept = 0;
  /// Tells `events` when a descriptor can be read (`read`) or written (`write`), until `unwatch`; another
  /// call for the same changes what is wanted. Wanted neither way: silent, whatever happens to it. One
  /// descriptor for each `events`. Errors: `unsupported`; `no_memory`, `no_descriptors` (none is left for the
  /// poller); `invalid` (no such descriptor, or one that can't be waited for).
  virtual Result<void> watch(int descriptor, DescriptorEvents& events, bool read, bool write) noexcept {
    (void)descriptor, (void)events, (void)read, (void)write;
    return Error::unsupported;
  }
  /// Nothing more is told, also of what has happened already. Best called before the descriptor is closed; if
  /// after, then before the thread opens another, which may get its number.
  virtual void unwatch(int descriptor, DescriptorEvents& events) noexcept { (void)descriptor, (void)events; }
  /// From now on SIGINT and SIGTERM (or what the system has of the kind) are counted instead of ending the
  /// program; a poll returns when one comes. Calls nest; each needs its `unwatch_exit_signals`.
  virtual void watch_exit_signals() noexcept {}
  virtual void unwatch_exit_signals() noexcept {}
  /// A thread works for a strand that waits for it (`run_in_thread`), and will `wake` the poller. A simulated
  /// clock stands still meanwhile. Calls nest; each needs its `thread_ended`.
  virtual void thread_started() noexcept {}
  virtual void thread_ended() noexcept {}
  /// How many exit signals came while they were watched, over all times of watching: it never goes down.
  virtual unsigned exit_signals() const noexcept { return 0; }
  /// The same for any other signal, by its number: it is counted instead of doing what it did before, which
  /// it does again after as many `unwatch_signal`. False: the system has no such signal, or it can't be
  /// watched (SIGKILL, SIGSEGV …; SIGINT and SIGTERM, which are exit signals), or there is no room for
  /// another watch.
  virtual bool watch_signal(int number) noexcept {
    static_cast<void>(number);
    return false;
  }
  virtual void unwatch_signal(int number) noexcept { static_cast<void>(number); }
  /// How many of them came to the process while anybody watched them. Begins anew after `UINT_MAX`.
  virtual unsigned signals(int number) const noexcept {
    static_cast<void>(number);
    return 0;
  }

 protected:
  ~Poller() = default;
};

/// Random bytes fit for keys.
class Entropy {
 public:
  virtual void fill(std::span<unsigned char> bytes) noexcept = 0;

 protected:
  ~Entropy() = default;
};

enum class LogLevel : std::uint8_t { debug, info, warning, error };

/// Where the library's messages go.
class Log {
 public:
  /// `line` has no line end and is valid during the call only.
  virtual void write(LogLevel level, std::string_view line) noexcept = 0;

 protected:
  ~Log() = default;
};

/// How near the system itself is to its end, whatever the App's own pools say: descriptors and memory on
/// hosts, the heap and the network's pools on devices. With `some` a server keeps no connection for further
/// requests; with `high` it refuses newcomers.
enum class Pressure : std::uint8_t { none, some, high };

/// A system to run on.
class Port {
 public:
  virtual Clock& clock() noexcept = 0;
  virtual Poller& poller() noexcept = 0;
  virtual Network& network() noexcept = 0;
  virtual Files& files() noexcept = 0;
  virtual Entropy& entropy() noexcept = 0;
  virtual Log& log() noexcept = 0;
  /// Asked for every newcomer, so it must cost little: an answer may be some moments old.
  virtual Pressure pressure() noexcept { return Pressure::none; }
  /// What is in these bytes is needed no more: they may read as anything afterwards, and the system may have
  /// the memory behind them until they are used again. Others are left alone.
  virtual void discard(std::span<std::byte> bytes) noexcept { static_cast<void>(bytes); }

 protected:
  ~Port() = default;
};

/// The port of the system that the program runs on: one object for each thread, made on first use.
Port& system_port() noexcept;

}  // namespace microdot::inline MICRODOT_ABI
