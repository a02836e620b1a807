/// What a burst has left: memory that nobody has needed for a while goes back to the system. Hosts only: a
/// device has nobody to give it to.

#include <algorithm>
#include <utility>

#include "server.hpp"

namespace microdot::inline MICRODOT_ABI::detail {

namespace {

// What has been of no use for one interval at least goes, after two at most.
constexpr Duration kInterval = std::chrono::milliseconds(500);
// Connections that are looked at in one go: the loop is not to be kept for milliseconds. Others have their
// turn the next time.
constexpr std::uint32_t kAtOnce = 8 * 1024;

Arena& arena_of(Exchange& exchange) noexcept { return exchange.arena(); }
Arena& arena_of(StreamSlot& slot) noexcept { return slot.arena; }

}  // namespace

// Something came free. Looks until there is nothing more to give back, so a server at rest sleeps.
void Server::tidy_soon() noexcept {
  if (armed() || to_end_ || !running_) return;
  loop_->timers().arm(*this, loop_->now() + kInterval);
}

void Server::tidy() noexcept {
  bool again = unmake_connections();
  again |= rest(free_exchanges_, limits().exchange_memory());
  again |= rest(free_streams_, limits().stream_memory());
  if (again) tidy_soon();
}

/// Unmakes the free ones at the end, but keeps as many as were open at once lately. Whether there may be more
/// to do.
bool Server::unmake_connections() noexcept {
  const auto is_free = [this](std::uint32_t i) { return connection(i).state() == Connection::State::free; };
  const std::uint32_t needed = std::exchange(most_open_, open_);
  const std::uint32_t before = connections_made_;
  const std::uint32_t least = std::max(needed, before - std::min(before, kAtOnce));
  std::uint32_t made = before;
  while (made > least && is_free(made - 1)) --made;
  const std::size_t bytes = (before - made) * kConnectionBytes;
  if (bytes >= kWorthwhile) {
    for (std::uint32_t i = made; i < before; ++i) connection(i).~Connection();
    connections_made_ = made;
    loop_->port().discard({connections_ + made * kConnectionBytes, bytes});
  }
  if (!many_unused()) return false;
  // One that is open keeps those before it. Newcomers take the first ones, so that the end comes free in
  // time.
  for (std::uint32_t i = std::min(connections_made_, kAtOnce); i-- > 0;) {
    if (!is_free(i)) continue;
    connection(i).unlink();
    free_.push_front(connection(i));
  }
  return needed > open_ || (made == least && made != before);
}

/// What lies in the memory of something free is dead, all but the object and what its arena keeps for good.
/// It is given back of those that nobody has taken since it was looked at for the last time, `size` bytes
/// each; not of the first, which is taken next. Whether more will be to give back if nobody takes it.
template <typename T>
bool Server::rest(List<T>& free, std::size_t size) noexcept {
  bool again = false;
  free.for_each([&](T& item) {
    if (&item == &free.front() || item.rested() == kAtRest) return;
    if (++item.rested() != kAtRest) {
      again = true;
      return;
    }
    const std::span<char> unused = arena_of(item).rest();
    if (unused.empty()) return;
    auto* const begin = reinterpret_cast<std::byte*>(unused.data());
    loop_->port().discard({begin, reinterpret_cast<std::byte*>(&item) + size});
    arena_of(item).reset();
  });
  return again;
}

}  // namespace microdot::inline MICRODOT_ABI::detail
