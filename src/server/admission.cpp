/// Who gets what: connections for newcomers, exchanges for those who have something to say, and what happens
/// when there are too few of either.

#include <algorithm>
#include <array>
#include <cassert>

#include <microdot/base/text.hpp>
#include <microdot/http/response_writer.hpp>

#include "server.hpp"

namespace microdot::inline MICRODOT_ABI::detail {

namespace {

// Where only the system's pressure may change something, which is not told.
constexpr Duration kPressureInterval = std::chrono::seconds(1);
// A client's first bytes follow its connection at once. Were silent ones kept for longer, a few addresses
// that always come anew could have every connection.
constexpr Duration kSilentGrace = std::chrono::milliseconds(100);
// So long after an answer the next request may be on its way: it would meet a closed connection. Where
// newcomers can wait they do, and meanwhile answers say `Connection: close`.
constexpr Duration kNextRequestGrace = std::chrono::milliseconds(250);

// Whether two connections count as one client's. Whoever has an IPv6 address has a network of 2^64 of them
// (RFC 6177).
bool same_client(const Endpoint& one, const Endpoint& other) noexcept {
  const Endpoint a = one.unmapped();
  const Endpoint b = other.unmapped();
  const bool link_local = a.address[0] == 0xfe && (a.address[1] & 0xc0) == 0x80;
  if (a.family != Endpoint::Family::ipv6 || b.family != a.family || link_local) return a.same_address(b);
  return std::equal(a.address.begin(), a.address.begin() + 8, b.address.begin());
}

}  // namespace

// Connections

Connection* Server::take_connection(bool evict) noexcept {
  if (open_ >= usable_ && evict) make_room();
  if (open_ < usable_) return &take_free_connection();
  // One more than there are, to tell a newcomer so.
  const bool refuses = evict && limits().when_full == WhenFull::refuse && open_ == usable_;
  return refuses ? &take_free_connection() : nullptr;
}

// An idle client can come again, one that drains has its answer, and one that has said nothing for a while
// may never do so; a newcomer can't be served otherwise. Those who were refused go first, so that they cost
// others nothing; last those who hardly read their answer.
bool Server::make_room() noexcept {
  // Where newcomers can wait, so can those before them.
  const bool can_wait = limits().when_full == WhenFull::wait;
  const Duration grace = can_wait ? Duration(limits().slow_grace) : kSilentGrace;
  const TimePoint now = loop_->now();
  const Duration idle_grace = can_wait ? kNextRequestGrace : Duration{0};
  if (!draining_.empty() && !draining_.front().used()) {
    draining_.front().close_politely();
  } else if (!idle_.empty() &&
             idle_.front().deadline() <= now + Duration(limits().keep_alive_timeout) - idle_grace) {
    count_up(stats_.evicted);
    idle_.front().close(false);
  } else if (!draining_.empty()) {
    draining_.front().close_politely();
  } else if (!fresh_.empty() && fresh_.front().deadline() <= now + Duration(limits().first_timeout) - grace) {
    count_up(stats_.evicted);
    fresh_.front().close(false);
  } else if (Connection* slow = sending_.find([&](Connection& sending) {
               return sending.pace().too_slow(now, limits().slow_grace, limits().write_rate);
             })) {
    count_up(stats_.forfeited);
    slow->give_up();
  } else {
    return false;
  }
  return true;
}

void Server::admit(Connection& connection) noexcept {
  count_up(open_);
  count_up(stats_.accepted);
  raise(stats_.connections_high_water, open_);
  if (MICRODOT_HOSTED && open_ > most_open_) most_open_ = open_;
  pressure_ = loop_->port().pressure();
  if (open_ > usable_) full_lately_ = true;
  if (pressure_ != Pressure::none) review();
  connection.open();
  const bool too_much = pressure_ == Pressure::high && limits().when_full == WhenFull::refuse;
  if (open_ > usable_ || too_much) {
    refuse(connection);
  } else if (over_client_cap(connection.transport().peer())) {
    refuse_its_own(connection);
  }
}

bool Server::over_client_cap(const Endpoint& client) const noexcept {
  const std::uint32_t cap = limits().client_cap(usable_);
  if (open_ <= cap) return false;
  std::uint32_t count = 0;
  for (std::size_t i = 0; i < connections_made_; ++i) {
    // Who is being seen off counts no more.
    if (connection(i).is_open() && connection(i).state() != Connection::State::draining &&
        same_client(connection(i).transport().peer(), client))
      ++count;
  }
  return count > cap && !is_proxy(client);
}

void Server::free_connection(Connection& connection) noexcept {
  count_down(open_);
  free_.push_back(connection);
  if (MICRODOT_HOSTED && many_unused()) tidy_soon();
  listening_.resume();
  check_ended();
}

void Server::now_idle(Connection& connection) noexcept {
  if (!connection.used()) return fresh_.push_back(connection);
  idle_.push_back(connection);
  // It may be evicted for a newcomer, perhaps later.
  if (limits().when_full == WhenFull::wait && listening_.blocked()) return look_again();
  listening_.resume();
}

void Server::now_sending(Connection& connection) noexcept {
  if (connection.linked()) return;
  sending_.push_back(connection);
  if (listening_.blocked()) look_again();  // it may make room once it is slow
}

void Server::now_draining(Connection& connection) noexcept {
  if (connection.used()) {
    draining_.push_back(connection);
  } else {
    draining_.push_front(connection);
  }
  listening_.resume();
}

bool Server::short_of_connections() const noexcept {
  return listening_.short_of_connections() || full_lately_ || pressure_ != Pressure::none;
}

// Exchanges

void Server::want_exchange(Connection& connection) noexcept {
  connection.unlink();
  if (may_have_another(connection.transport().peer())) {
    // One exchange, whose memory is in the cache, serves many connections.
    return lend_exchange(connection).run_now();
  }
  if (queued_ >= limits().queue_length) return refuse(connection);
  if (!may_wait(connection.transport().peer())) return refuse_its_own(connection);
  connection.set_state(Connection::State::queued);
  connection.transport().set_interest(false, false);
  connection.set_deadline(limits().queue_timeout);
  queue_.push_back(connection);
  count_up(queued_);
  raise(stats_.queue_high_water, queued_);
  look_again();
}

// A client takes one if it has fewer than it leaves to others: half of them if it is alone, a quarter beside
// one that has half. So it takes many to have them all.
bool Server::may_have_another(const Endpoint& client) const noexcept {
  const std::uint32_t left = limits().exchanges - busy_;
  if (busy_ < left || left == 0) return left != 0;
  std::uint32_t held = 0;
  for (std::size_t i = 0; i < exchanges_made_; ++i) {
    const Connection* busy = exchange(i).connection();
    if (busy != nullptr && same_client(busy->transport().peer(), client)) ++held;
  }
  return held < left || is_proxy(client);
}

// The same of places in the queue, where one client has not everything else, either.
bool Server::may_wait(const Endpoint& client) noexcept {
  const std::uint32_t left = limits().queue_length - queued_;
  if (queued_ < left || limits().client_cap() >= limits().connections) return true;
  std::uint32_t places = 0;
  queue_.for_each([&](const Connection& waiting) {
    if (same_client(waiting.transport().peer(), client)) ++places;
  });
  return places < left || is_proxy(client);
}

void Server::free_exchange(Exchange& exchange) noexcept {
  count_down(busy_);
  if (!running_) return;
  make_free(free_exchanges_, exchange);
  if (!queue_.empty()) serve_queue();
}

// Where connections have a cap, a client leaves a quarter of the streams to others, too.
StreamSlot* Server::take_stream(const Endpoint& client) noexcept {
  const std::uint32_t streams = limits().streams;
  if (live_ == streams || shutting_down_) return nullptr;
  const std::uint32_t cap = streams - streams / 4;
  if (live_ >= cap && limits().client_cap() < limits().connections && !is_proxy(client)) {
    std::uint32_t held = 0;
    for (std::size_t i = 0; i < streams_made_; ++i) {
      if (!stream_slot(i).linked() && same_client(stream_slot(i).client, client)) ++held;
    }
    if (held >= cap) return nullptr;
  }
  count_up(live_);
  raise(stats_.streams_high_water, live_);
  StreamSlot& slot = take_free_stream();
  slot.client = client;
  slot.rested() = 0;
  return &slot;
}

void Server::free_stream(StreamSlot& slot) noexcept {
  count_down(live_);
  slot.stream = nullptr;
  slot.arena.reset();
  make_free(free_streams_, slot);
}

std::span<std::byte> Server::take_compression() noexcept {
  std::byte* const memory = free_compressions_;
  if (memory == nullptr) return {};
  std::memcpy(&free_compressions_, memory, sizeof free_compressions_);
  return {memory, limits().compression_memory()};
}

void Server::free_compression(std::byte* memory) noexcept {
  std::memcpy(memory, &free_compressions_, sizeof free_compressions_);
  free_compressions_ = memory;
}

void Server::serve_queue() noexcept {
  // Clients that may have no more: they need not be asked about again, which costs a look at all exchanges.
  // What is lent meanwhile gives them no more. With yet more of them the oldest is asked about anew.
  std::array<Endpoint, 16> refused;
  std::size_t refusals = 0;
  while (!queue_.empty() && busy_ != limits().exchanges) {
    // First come first served, of those who may have one.
    Connection* next = queue_.find([&](Connection& waiting) {
      const Endpoint client = waiting.transport().peer();
      for (std::size_t i = 0; i < std::min(refusals, refused.size()); ++i) {
        if (same_client(refused[i], client)) return false;
      }
      if (may_have_another(client)) return true;
      refused[refusals++ % refused.size()] = client;
      return false;
    });
    if (next == nullptr) return;
    leave_queue(*next);
    next->transport().set_interest(true, false);
    lend_exchange(*next);
  }
}

Exchange& Server::lend_exchange(Connection& connection) noexcept {
  Exchange* const taken = take_free_exchange();
  assert(taken != nullptr);  // the first one fitted, and all are alike
  Exchange& exchange = *taken;
  count_up(busy_);
  raise(stats_.exchanges_high_water, busy_);
  exchange.assign(connection);
  if (others_wait()) look_again();
  return exchange;
}

void Server::leave_queue(Connection& connection) noexcept {
  connection.unlink();
  connection.set_idle();  // it may be closed next: not left twice
  count_down(queued_);
}

void Server::refuse_queued(Connection& connection) noexcept {
  leave_queue(connection);
  if (busy_ == limits().exchanges) {
    refuse(connection);
  } else {
    refuse_its_own(connection);
  }
}

// There is too little of something for all.
void Server::refuse(Connection& connection) noexcept {
  refused_lately_ = true;
  review();
  refuse_its_own(connection);
}

// Answers 503 without having read anything. That a client has its share says nothing about how others are
// served.
void Server::refuse_its_own(Connection& connection) noexcept {
  count_up(stats_.refused);
  connection.unlink();
  const std::string_view answer = kServiceUnavailable;
  const ConstBuffer piece{answer.data(), answer.size()};
  const Result<std::size_t> sent = connection.transport().write({&piece, 1}, false);
  if (!sent || *sent != answer.size()) return connection.close(true);
  count_out(*sent);
  // To see a newcomer off must not take the connection that is kept for the next one.
  if (open_ > usable_) return connection.close_politely();
  connection.close_gracefully();
}

// Degradation

// While others wait whom a free exchange would help, those who are slow are not waited for.
void Server::forfeit_slow() noexcept {
  std::uint32_t forfeited = 0;
  for (std::size_t i = 0; i < exchanges_made_ && forfeited < queued_; ++i) {
    Exchange& slow = exchange(i);
    if (!slow.busy() || !slow.too_slow(limits().slow_grace)) continue;
    ++forfeited;
    slow.on_deadline();
  }
  count_up(stats_.forfeited, forfeited);
}

Tier Server::wanted_tier() const noexcept {
  if (listening_.paused()) return Tier::not_accepting;
  if (refused_lately_ || pressure_ == Pressure::high) return Tier::refusing;
  if (listening_.blocked() || full_lately_ || pressure_ == Pressure::some) return Tier::no_keep_alive;
  return queued_ != 0 ? Tier::queueing : Tier::normal;
}

void Server::review() noexcept {
  if (!running_) return;
  const bool worse = wanted_tier() > tiers_.tier();
  if (tiers_.update(wanted_tier(), loop_->now())) {
    count_up(stats_.tier_changes);
    FixedText<160> line;
    line.append("tier: ").append(to_string(tiers_.tier())).append(" (").append(open_).append(" of ");
    line.append(usable_).append(" connections, ").append(busy_).append(" of ").append(limits().exchanges);
    line.append(" exchanges, ").append(queued_).append(" wait)");
    loop_->port().log().write(worse ? LogLevel::warning : LogLevel::info, line.view());
  }
  look_again();
}

// Sees to it that the next review comes in time: none while all is well.
void Server::look_again() noexcept {
  const Tier wanted = wanted_tier();
  if (tiers_.tier() == Tier::normal && wanted == Tier::normal && queued_ == 0) return;
  const bool somebody_gets_old = listening_.blocked() && may_get_old();
  const bool soon =
      wanted != tiers_.tier() || refused_lately_ || full_lately_ || others_wait() || somebody_gets_old;
  const TimePoint at = loop_->now() + (soon ? kReviewInterval : kPressureInterval);
  if (!review_.armed() || review_.deadline() > at) loop_->timers().arm(review_, at);
}

void Server::on_review() noexcept {
  pressure_ = loop_->port().pressure();
  if (others_wait()) forfeit_slow();
  // One that says nothing, or does not read, may be old enough by now to make room.
  if (listening_.blocked() && may_get_old()) listening_.resume();
  review();
  refused_lately_ = full_lately_ = false;
}

}  // namespace microdot::inline MICRODOT_ABI::detail
