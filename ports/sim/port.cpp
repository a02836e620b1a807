#include <algorithm>
#include <atomic>
#include <cassert>
#include <csignal>
#include <new>

#include <microdot/testing/sim_port.hpp>

#include "files.hpp"
#include "network.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

using Kind = SimEvent::Kind;

class SimClock final : public Clock {
 public:
  SimClock(const SimNetwork& network, const SimOptions& options) noexcept
      : network_(network), step_(std::max(options.coarse_step, Duration{1})) {
    set(options.unix_seconds);
  }

  TimePoint now() noexcept override { return network_.now; }
  TimePoint coarse() noexcept override { return network_.now - network_.now.time_since_epoch() % step_; }
  std::int64_t unix_seconds() noexcept override {
    return seconds_ + std::chrono::duration_cast<std::chrono::seconds>(network_.now - since_).count();
  }
  void set(std::int64_t seconds) noexcept {
    seconds_ = seconds;
    since_ = network_.now;
  }

 private:
  const SimNetwork& network_;
  Duration step_;
  TimePoint since_;
  std::int64_t seconds_ = 0;
};

class SimPoller final : public Poller {
 public:
  explicit SimPoller(SimNetwork& network) noexcept : network_(network) {}

  void poll(Duration timeout) noexcept override {
    stuck = false;
    const bool woken = woken_.exchange(false);
    const bool arrived = network_.arrive();
    if (network_.dispatch() || woken || timeout == Duration::zero()) {
      if (arrived) {
        unmoved_ = 0;
      } else if (++unmoved_ > kPatience) {
        network_.now += kBusyStep;
      }
      return;
    }
    unmoved_ = 0;
#if MICRODOT_HOSTED
    // What a thread takes is no time of ours: nothing of it may depend on how fast the machine is.
    if (threads_ != 0) return woken_.wait(false);
#endif
    TimePoint next;
    const bool coming = network_.next_event(next);
    if (!coming && timeout < Duration::zero()) {
      stuck = true;
      return;
    }
    const TimePoint until = network_.now + timeout;
    if (!coming || (timeout > Duration::zero() && until < next)) {
      network_.now = until;
      return;
    }
    if (network_.now < next) network_.now = next;
    network_.arrive();
    network_.dispatch();
  }
  void wake() noexcept override {
    woken_.store(true);
#if MICRODOT_HOSTED
    woken_.notify_one();
#endif
  }
  void thread_started() noexcept override { ++threads_; }
  void thread_ended() noexcept override {
    assert(threads_ != 0);
    --threads_;
  }
  void watch_exit_signals() noexcept override { ++watches_; }
  void unwatch_exit_signals() noexcept override {
    assert(watches_ != 0);
    --watches_;
  }
  unsigned exit_signals() const noexcept override { return signals_; }
  bool watch_signal(int number) noexcept override {
    if (number <= 0 || number > kSignals || number == SIGINT || number == SIGTERM) return false;
    ++others_[number].watches;
    return true;
  }
  void unwatch_signal(int number) noexcept override {
    assert(others_[number].watches != 0);
    --others_[number].watches;
  }
  unsigned signals(int number) const noexcept override {
    return number > 0 && number <= kSignals ? others_[number].count : 0;
  }

  void raise() noexcept {
    if (watches_ == 0) return;
    ++signals_;
    wake();
  }
  void raise(int number) noexcept {
    assert(number > 0 && number <= kSignals);
    if (others_[number].watches == 0) return;
    ++others_[number].count;
    wake();
  }

  bool stuck = false;

 private:
  /// A program that is always busy, perhaps with waiting, must not stop the clock for ever.
  static constexpr unsigned kPatience = 1000;
  static constexpr Duration kBusyStep = Duration(100);

  SimNetwork& network_;
  unsigned unmoved_ = 0;  ///< Polls in a row in which nothing new came and the clock stood still.
  std::atomic<bool> woken_{false};
  unsigned threads_ = 0;  ///< At work for somebody who waits.
  unsigned watches_ = 0;
  unsigned signals_ = 0;

  static constexpr int kSignals = 64;
  struct {
    unsigned watches = 0;
    unsigned count = 0;
  } others_[kSignals + 1];
};

/// SplitMix64: one word of state, no weak seeds. Not fit for keys, which is what makes it fit for tests.
class SimEntropy final : public Entropy {
 public:
  explicit SimEntropy(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t next() noexcept {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t value = state_;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
  }
  void fill(std::span<unsigned char> bytes) noexcept override {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      if (i % 8 == 0) word = next();
      bytes[i] = static_cast<unsigned char>(word >> (i % 8 * 8));
    }
  }

 private:
  std::uint64_t state_;
};

class SimLog final : public Log {
 public:
  void write(LogLevel, std::string_view line) noexcept override {
    text.append(line.data(), line.size());
    text.append("\n", 1);
  }
  SimBuffer text;
};

}  // namespace

struct SimPort::State {
  explicit State(const SimOptions& options) noexcept
      : network(options),
        clock(network, options),
        poller(network),
        files(network.faults, options.files, network.now),
        entropy(options.seed) {}

  SimNetwork network;
  SimClock clock;
  SimPoller poller;
  SimFiles files;
  SimEntropy entropy;
  SimLog log;
  Pressure pressure = Pressure::none;
  std::size_t discarded = 0;
};

SimPort::SimPort(const SimOptions& options) noexcept
    : state_(::new (sim_allocate(sizeof(State))) State(options)) {}

SimPort::~SimPort() {
  state_->~State();
  std::free(state_);
}

Clock& SimPort::clock() noexcept { return state_->clock; }
Poller& SimPort::poller() noexcept { return state_->poller; }
Network& SimPort::network() noexcept { return state_->network; }
Files& SimPort::files() noexcept { return state_->files; }
Entropy& SimPort::entropy() noexcept { return state_->entropy; }
Log& SimPort::log() noexcept { return state_->log; }
Pressure SimPort::pressure() noexcept { return state_->pressure; }

void SimPort::discard(std::span<std::byte> bytes) noexcept {
  constexpr std::byte kForgotten{0xdb};  // whoever still reads it fails
  std::fill(bytes.begin(), bytes.end(), kForgotten);
  state_->discarded += bytes.size();
}
std::size_t SimPort::discarded() const noexcept { return state_->discarded; }

SimClient SimPort::connect(std::uint16_t port, const Endpoint& from) noexcept {
  return {state_, &state_->network.connect(port, from)};
}
bool SimPort::stuck() const noexcept { return state_->poller.stuck; }
bool SimPort::idle() const noexcept { return state_->network.idle(); }
void SimPort::set_network(bool up) noexcept { state_->network.set_up(up); }
void SimPort::set_address(std::string_view address) noexcept { state_->network.set_address(address); }
std::size_t SimPort::open_transports() const noexcept { return state_->network.transports; }
std::size_t SimPort::open_transports(const Endpoint& from) const noexcept {
  return state_->network.open_from(from);
}

void SimPort::advance(Duration duration) noexcept { state_->network.now += duration; }
void SimPort::set_unix_seconds(std::int64_t seconds) noexcept { state_->clock.set(seconds); }
void SimPort::raise_exit_signal() noexcept { state_->poller.raise(); }
void SimPort::raise_signal(int number) noexcept { state_->poller.raise(number); }
void SimPort::set_pressure(Pressure pressure) noexcept { state_->pressure = pressure; }
std::uint64_t SimPort::random() noexcept { return state_->entropy.next(); }

void SimPort::add_file(std::string_view path, std::string_view content, std::int64_t modified,
                       bool in_place) noexcept {
  state_->files.add(path, content, modified, in_place);
}
std::size_t SimPort::open_files() const noexcept { return state_->files.open_count; }
std::string_view SimPort::log_text() const noexcept { return state_->log.text.view(); }
void SimPort::clear_log() noexcept { state_->log.text.clear(); }

// ---- The client's end ------------------------------------------------------------------------------

void SimClient::send(std::string_view bytes) noexcept { state_->network.send_to_server(*connection_, bytes); }

void SimClient::set_segment_sizes(std::span<const std::size_t> sizes) noexcept {
  connection_->segment_size = SIZE_MAX;
  connection_->plan.clear();
  for (const std::size_t size : sizes) {
    if (size != 0) connection_->plan.append(reinterpret_cast<const char*>(&size), sizeof size);
  }
}
void SimClient::set_segment_size(std::size_t size) noexcept {
  connection_->plan.clear();
  connection_->segment_size = size != 0 ? size : SIZE_MAX;
}

void SimClient::shutdown_write() noexcept {
  if (!connection_->to_server.reset_sent && !connection_->to_client.reset_arrived)
    state_->network.send(*connection_, SimDirection::to_server, Kind::fin);
}
void SimClient::close() noexcept { state_->network.close_client(*connection_); }
void SimClient::reset() noexcept {
  if (connection_->to_client.reset_arrived) return;
  state_->network.send(*connection_, SimDirection::to_server, Kind::reset);
  connection_->client_closed = true;
  connection_->to_client.reset_arrived = true;  // nothing more is taken
}

std::string_view SimClient::received() const noexcept {
  return connection_->to_client.bytes.view().substr(0, connection_->to_client.arrived);
}
void SimClient::consume(std::size_t size) noexcept {
  auto& way = connection_->to_client;
  assert(size <= way.arrived);
  way.arrived -= size;
  way.bytes.consume(size);
  state_->network.check_ready(*connection_);
}
void SimClient::set_receive_window(std::size_t size) noexcept {
  connection_->window = size;
  state_->network.check_ready(*connection_);
}

bool SimClient::accepted() const noexcept { return connection_->events != nullptr; }
bool SimClient::ended() const noexcept { return connection_->to_client.fin_arrived; }
bool SimClient::was_reset() const noexcept { return connection_->to_client.reset_arrived; }
std::size_t SimClient::unread() const noexcept { return connection_->to_server.bytes.size(); }
Endpoint SimClient::local() const noexcept { return connection_->local; }
unsigned SimClient::number() const noexcept { return connection_->number; }

void SimClient::release() noexcept {
  if (connection_ == nullptr) return;
  close();
  connection_->client_held = false;
  state_->network.collect(*std::exchange(connection_, nullptr));
  state_ = nullptr;
}

}  // namespace microdot::inline MICRODOT_ABI
