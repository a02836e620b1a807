#include "faults.hpp"

#include "world.hpp"

namespace sim {

using microdot::Error;
using microdot::SimDirection;

std::size_t Faults::read_limit(unsigned connection, std::size_t available) noexcept {
  world_.server_reads(connection);
  if (!random_.chance(rates_.short_read)) return available;
  return reads_bytes_ ? 1 : 1 + random_.any_size(available);
}

std::size_t Faults::write_limit(unsigned connection, std::size_t offered) noexcept {
  world_.server_writes(connection, offered);
  std::size_t size = offered;
  if (random_.chance(rates_.blocked_write)) {
    size = 0;
  } else if (random_.chance(rates_.short_write)) {
    size = std::min(offered, 1 + random_.any_size(offered));
  }
  if (size != offered) world_.log("connection %u: %zu of %zu bytes written", connection, size, offered);
  return size;
}

Duration Faults::delay(unsigned connection, SimDirection) noexcept {
  const auto found = afflicted_.find(connection);
  if (found == afflicted_.end() || !found->second.delays || random_.chance(70)) return Duration::zero();
  return Duration(random_.any_size(300'000));
}

// The first that is asked of a connection.
std::uint64_t Faults::reset_after(unsigned connection, SimDirection direction) noexcept {
  if (direction == SimDirection::to_server) {
    Affliction affliction;
    affliction.delays = random_.chance(rates_.delayed);
    const bool resets = random_.chance(rates_.reset);
    if (resets) affliction.reset_after[random_.below(2)] = random_.any_size(6000);
    if (affliction.delays || resets) {
      afflicted_.emplace(connection, affliction);
      world_.log("connection %u: %s%s", connection, affliction.delays ? "delayed " : "",
                 resets ? "will be reset" : "");
    }
  }
  const auto found = afflicted_.find(connection);
  return found == afflicted_.end() ? kNever
                                   : found->second.reset_after[direction == SimDirection::to_client ? 1 : 0];
}

Error Faults::on_listen(std::uint16_t) noexcept {
  if (!std::exchange(fails_to_listen_, false)) return Error::none;
  return random_.pick({Error::no_memory, Error::no_descriptors, Error::address_in_use, Error::network_down});
}

Error Faults::on_accept(unsigned connection) noexcept {
  Error error = Error::none;
  if (random_.chance(rates_.vanished)) {
    error = Error::closed;
  } else if (random_.chance(rates_.refused)) {
    error = random_.pick({Error::no_descriptors, Error::no_memory, Error::io, Error::network_down});
  }
  if (error == Error::none) {
    world_.server_accepts(connection);
  } else {
    world_.log("connection %u: accept fails: %s", connection, microdot::to_string(error).data());
    world_.accept_fails();
  }
  return error;
}

Error Faults::on_open(std::string_view) noexcept {
  if (!random_.chance(rates_.not_opened)) return Error::none;
  return random_.pick(
      {Error::not_found, Error::permission, Error::no_descriptors, Error::no_memory, Error::io});
}

std::size_t Faults::file_read_limit(std::size_t available) noexcept {
  if (random_.chance(rates_.broken_file)) return 0;
  return random_.chance(rates_.short_file) ? std::min(available, 1 + random_.any_size(available)) : available;
}

Duration Faults::file_read_time(std::size_t) noexcept {
  if (!random_.chance(rates_.slow_file)) return Duration::zero();
  const Duration time(random_.any_size(200'000));
  read_time_ += time;
  return time;
}

}  // namespace sim
