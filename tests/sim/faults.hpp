#pragma once
// The faults of one world's network and files, by its rates.

#include <algorithm>
#include <map>

#include <microdot/testing/sim_port.hpp>

#include "plan.hpp"
#include "random.hpp"

namespace sim {

class World;

class Faults final : public microdot::SimFaults {
 public:
  Faults(World& world, const Plan& plan, Random random)
      : world_(world), rates_(plan.rates), reads_bytes_(random.chance(30)), random_(random) {
    fails_to_listen_ = plan.fails_to_listen;
  }

  /// Neither the server nor the client is to blame for what happens to this connection.
  bool afflicts(unsigned connection) const { return afflicted_.contains(connection); }
  void forget(unsigned connection) { afflicted_.erase(connection); }
  /// How long reads of files took.
  Duration read_time() const { return read_time_; }

 private:
  struct Affliction {
    bool delays = false;
    std::uint64_t reset_after[2] = {kNever, kNever};
  };

  std::size_t read_limit(unsigned connection, std::size_t available) noexcept override;
  std::size_t write_limit(unsigned connection, std::size_t offered) noexcept override;
  Duration delay(unsigned connection, microdot::SimDirection direction) noexcept override;
  std::uint64_t reset_after(unsigned connection, microdot::SimDirection direction) noexcept override;
  microdot::Error on_listen(std::uint16_t port) noexcept override;
  microdot::Error on_accept(unsigned connection) noexcept override;
  microdot::Error on_open(std::string_view path) noexcept override;
  std::size_t file_read_limit(std::size_t available) noexcept override;
  Duration file_read_time(std::size_t available) noexcept override;

  World& world_;
  const Rates& rates_;
  bool reads_bytes_;  // short reads are of one byte
  bool fails_to_listen_ = false;
  Random random_;
  std::map<unsigned, Affliction> afflicted_;
  Duration read_time_{};
};

}  // namespace sim
