#include "listening.hpp"

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <type_traits>

#include "server.hpp"

namespace microdot::inline MICRODOT_ABI::detail {

namespace {

constexpr int kAcceptsAtOnce = 64;
// Between tries: doubled with each failure, give or take a quarter, so that devices which lost the same
// network do not come back in step. In microseconds, of 32 bits: small processors calculate with these by
// themselves.
constexpr std::uint32_t kFirstPause = 100'000;
constexpr std::uint32_t kLongestPause = 5'000'000;
static_assert(std::is_same_v<Duration::period, std::micro>);
constexpr unsigned kDoublings = 6;
static_assert(kFirstPause << kDoublings >= kLongestPause &&
              kLongestPause / 256 * std::uint64_t{65535} <= UINT32_MAX);

}  // namespace

// Start and end

Result<void> Listening::start(std::string_view host, std::uint16_t port, PortSharing sharing) noexcept {
#if MICRODOT_HOSTED
  sharing_ = sharing;
#else
  (void)sharing;
#endif
  if (const Result<void> listened = listen(host, port); !listened) return listened;
#if MICRODOT_HOSTED
  if (sharing == PortSharing::first) sharing_ = PortSharing::others;  // when it listens again
#endif
  local_ = listener_->local();
  // From here on the address that was found, so that no name is looked up again; but an Endpoint has no room
  // for the interface of a link-local one.
  char text[Endpoint::kMaxText];
  host_.append(host.find('%') == std::string_view::npos ? local_.format_address(text) : host);
  state_ = State::accepting;
  server_->loop().port().network().watch(*this);
  check_network(Error::none);
  return {};
}

void Listening::close() noexcept {
  if (state_ == State::closed) return;
  state_ = State::closed;
  disarm();
  server_->loop().port().network().unwatch(*this);
  if (listener_ != nullptr) std::exchange(listener_, nullptr)->close();
  local_ = {};
}

void Listening::stop() noexcept {
  close();
  if (!hook_task_.done()) hook_node_->cancel_now();
  hook_task_ = {};
}

// Accepting

void Listening::on_acceptable() noexcept {
  for (int i = 0; i < kAcceptsAtOnce; ++i) {
    // One client waits for sure; nobody is evicted for those who might.
    Connection* connection = server_->take_connection(i == 0);
    if (connection == nullptr) {
      if (i != 0) return;
      state_ = State::blocked;
      listener_->set_accepting(false);
      return server_->review();
    }
    const Result<Transport*> transport = listener_->accept(connection->storage(), *connection);
    if (transport) {
      assert(*transport == &connection->transport() && "a port builds a transport where its storage begins");
      recovered();
      server_->admit(*connection);
      continue;
    }
    server_->give_back(*connection);
    switch (transport.error()) {
      case Error::would_block: return recovered();
      case Error::closed: recovered(); continue;
      case Error::network_down:
      case Error::address_unavailable:
      case Error::invalid:
      case Error::io: return lose_listener(transport.error());
      default:
        // Systems look for a descriptor before they look who waits: only the first time somebody does.
        if (i == 0) pause(transport.error());
        return;
    }
  }
}

/// The system had what a connection needs.
void Listening::recovered() noexcept {
  if (failures_ == 0) return;
  failures_ = 0;
  made_room_ = false;
  disarm();
  if (std::exchange(cannot_accept_, false))
    say(LogLevel::info, "connections are accepted again", Error::none);
  server_->review();
}

void Listening::pause(Error error) noexcept {
  if (!std::exchange(cannot_accept_, true)) say(LogLevel::warning, "cannot accept connections", error);
  state_ = State::paused;
  listener_->set_accepting(false);
  try_later();
  server_->review();
  // A newcomer waits; see `resume`. Where that does not help, others take the descriptors: they would take
  // those of all idle connections.
  if (error == Error::no_descriptors && !made_room_) made_room_ = server_->make_room();
}

void Listening::resume() noexcept {
  if (!short_of_connections()) return;
  state_ = State::accepting;
  listener_->set_accepting(true);
}

// Loss and return

Result<void> Listening::listen(std::string_view host, std::uint16_t port) noexcept {
  Network& network = server_->loop().port().network();
  const Result<Listener*> made =
      network.listen({.host = host, .port = port, .sharing = sharing_}, storage_, *this);
  if (!made) return made.error();
  listener_ = *made;
  return {};
}

void Listening::lose_listener(Error error) noexcept {
  std::exchange(listener_, nullptr)->close();
  state_ = State::lost;
  try_later();
  check_network(error);
  server_->review();
}

void Listening::on_timer() noexcept {
  if (state_ == State::lost) return try_again();
  if (state_ == State::paused) resume();
}

void Listening::on_network_changed() noexcept {
  if (state_ == State::lost) return try_again();
  check_network(Error::none);
}

void Listening::try_again() noexcept {
  if (!listen(host_.view(), local_.port)) return try_later();
  disarm();
  state_ = State::accepting;
  check_network(Error::none);
}

/// Sets the timer, unless it is on from an earlier failure: tries between do not make the pause longer.
void Listening::try_later() noexcept {
  if (armed()) return;
  const std::uint32_t pause = std::min(kFirstPause << failures_, kLongestPause);
  if (failures_ < kDoublings) ++failures_;
  unsigned char random[2];
  server_->loop().port().entropy().fill(random);
  const std::uint32_t jitter = std::uint32_t{random[0]} << 8 | random[1];  // 0 to 65535: from 3/4 to 5/4
  const Duration until(pause / 4 * 3 + pause / 256 * jitter / 512);
  server_->loop().timers().arm(*this, server_->loop().now() + until);
}

/// Looks whether clients can come, and tells the hooks if that has changed. `reason`: why there is no
/// listener.
void Listening::check_network(Error reason) noexcept {
  const Error address = server_->loop().port().network().check_address(local_);
  if (address == Error::none) address_seen_ = true;
  if (address == Error::none || address == Error::network_down || address == Error::address_unavailable)
    address_ = address;  // else not known: as before
  // What was not there when the server started is not lost: addresses that the system only routes to itself,
  // a machine that has loopback alone.
  const bool gone = address_seen_ && address_ != Error::none;
  const bool lost = listener_ == nullptr || gone;
  if (lost == lost_) return;
  lost_ = lost;
  if (!server_->is_first()) return;  // of several workers one tells
  if (lost) {
    say(LogLevel::warning, "the network is lost", gone ? address_ : reason);
  } else {
    say(LogLevel::info, "the network is back", Error::none);
  }
  if (server_->app().run_server_hooks_ != nullptr) {
    server_->app().run_server_hooks_(*this);
  } else {
    told_lost_ = lost_;  // there is nobody to be told
  }
}

void Listening::say(LogLevel level, std::string_view what, Error error) noexcept {
  FixedText<128> line;
  line.append("port ").append(local_.port).append(": ").append(what);
  if (error != Error::none) line.append(" (").append(to_string(error)).append("); will try again");
  server_->loop().port().log().write(level, line.view());
}

// Hooks

/// A hook as a background task. It tells when it has ended, in whatever way.
class Listening::HookTask final : public TypedTaskNode<void> {
 public:
  HookTask(Listening& listening, ServerHook& hook) noexcept : listening_(&listening) {
    const ArenaScope scope(task_pool());
    task_ = hook.call();
  }

 private:
  void destroy_frames() noexcept override {
    TypedTaskNode::destroy_frames();
    listening_->run_hooks();
  }
  void destroy() noexcept override { destroy_as(this); }

  Listening* listening_;
};

void Listening::run_hooks() noexcept {
  while (state_ != State::closed && hook_task_.done()) {
    if (next_hook_ == nullptr) {
      if (told_lost_ == lost_) {
        hook_task_ = {};  // its memory goes back to the pool
        return;
      }
      told_lost_ = lost_;
      next_hook_ = lost_ ? server_->app().network_lost_ : server_->app().network_up_;
      continue;
    }
    ServerHook& hook = *std::exchange(next_hook_, next_hook_->next);
    hook_node_ = make_task_node<HookTask>(*this, hook);
    hook_task_ = start_task(hook_node_, told_lost_ ? "on_network_lost" : "on_network_up");
  }
}

void run_server_hooks(Listening& listening) noexcept { listening.run_hooks(); }

}  // namespace microdot::inline MICRODOT_ABI::detail
