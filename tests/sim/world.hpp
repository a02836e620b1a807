#pragma once
// A server, its network, its clients and everything that goes wrong, all from one seed.

#include <climits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <microdot/microdot.hpp>
#include <microdot/testing/sim_port.hpp>

#include "client.hpp"
#include "faults.hpp"
#include "plan.hpp"
#include "random.hpp"
#include "site.hpp"

namespace microdot_test {
class ServerRun;
}

namespace sim {

class World {
 public:
  /// `logs`: keeps a log of what happens, for `log_text`.
  explicit World(const Plan& plan, bool logs = false);
  World(const World&) = delete;
  ~World();

  /// Lives it all. Empty, or the first thing that was wrong.
  std::string run();
  /// The parts of that. True: so far nothing is wrong.
  bool start();
  /// Clients come, some of them again until `lasts` is over, and go; then nothing of them may be left.
  bool serve(Duration lasts = {});
  /// Time passes without clients.
  void rest(Duration time);
  bool finish();
  const std::string& failure() const { return failure_; }

  const std::string& log_text() const { return log_; }
  unsigned turns() const { return turns_; }
  long handled() const { return site_.counts.handled; }

  // For clients and faults.

  const Plan& plan() const { return plan_; }
  microdot::SimPort& port() { return port_; }
  const Faults& faults() const { return faults_; }
  /// Null: nobody has written a 503 on it.
  const Refusal* refusal_of(unsigned connection) const;
  TimePoint task_refused() const { return task_refused_; }
  TimePoint forfeited() const { return forfeited_; }
  bool network_is_out() const { return outage_ends_ != TimePoint::max(); }
  TimePoint now() { return port_.clock().now(); }
  /// Time in which the program did not stand still.
  Duration fair_time();
  /// Visits begin until then.
  TimePoint visits_until() const { return visits_until_; }
  unsigned new_tag() { return ++tags_; }
  /// The server has begun to end: it may cut everything short.
  bool ending() const { return ending_; }
  /// In fair time.
  Duration ending_since() const { return ending_since_; }
  void fail(const std::string& why);
  void forget(unsigned connection);
  /// The client's first request is on its way as a whole, on an accepted connection that nothing delays.
  void stands_in_line(const Client& client);
  void server_accepts(unsigned connection) noexcept;
  void server_reads(unsigned connection) noexcept;
  void server_writes(unsigned connection, std::size_t size) noexcept;
  void accept_fails() noexcept { ++accept_failures_; }
  void log(const char* format, ...) noexcept __attribute__((format(printf, 2, 3)));

 private:
  struct InLine {
    unsigned turn;
    const Client* client;
    unsigned connection;
  };

  void leaves_line(unsigned connection) noexcept;
  std::optional<microdot::Endpoint> address_of(unsigned connection) const noexcept;
  bool has_its_share(const microdot::Endpoint& client, const microdot::Stats& stats) const noexcept;
  const char* why_refused(const microdot::Endpoint& client, bool newcomer) noexcept;
  bool launch();
  void turn(Duration most);
  void upset();
  void begin_outage();
  void end_outage();
  void check();
  void check_stats(const microdot::Stats& now);
  void check_addresses();
  void check_slow(const microdot::Stats& now);
  void check_tier(const microdot::Stats& now);
  void check_network();
  void begin_end();
  bool wait_for_end();
  bool drain();
  void check_nothing_left();
  bool ask_plainly();

  Plan plan_;
  bool logs_;
  std::string log_;
  std::string failure_;
  Random random_;
  Faults faults_;
  Site site_;
  microdot::SimPort port_;
  microdot::Loop loop_;
  std::unique_ptr<microdot_test::ServerRun> server_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<InLine> line_;
  std::map<unsigned, Refusal> refusals_;  // by connection
  microdot::Stats last_;                  // after the last turn
  unsigned newcomer_ = UINT_MAX;          // was accepted, and nothing was done with it since
  std::set<unsigned> doomed_;             // newcomers that must be refused
  std::uint64_t refused_tasks_ = 0;
  const microdot::SimClient* plain_ = nullptr;  // who asks plainly
  TimePoint task_refused_ = TimePoint::min();
  TimePoint forfeited_ = TimePoint::min();
  bool too_little_ = false;  // in this turn somebody was refused since there is too little for all
  TimePoint calm_since_{};
  bool others_may_wait_ = false;
  std::optional<Duration> queue_since_;  // in fair time
  bool upsets_ = false;                  // the system's pressure and network

  enum class Outage : std::uint8_t { interface, no_address, other_address };
  Outage outage_ = Outage::interface;
  TimePoint outage_ends_ = TimePoint::max();
  TimePoint outage_began_{};
  bool failed_newcomer_ = false;  // somebody made room though only the listener had failed
  Duration out_{};                // time without a network, before
  unsigned settles_at_ = 0;       // the turn in which all have heard of the network's last change
  std::optional<Duration> lost_since_;
  std::uint64_t accept_failures_ = 0;
  std::uint64_t failures_before_ = 0;  // the last turn
  std::uint64_t failures_then_ = 0;    // when the network changed last
  std::size_t pool_used_ = 0;
  Duration jumped_{};
  TimePoint visits_until_{};
  TimePoint deadline_ = TimePoint::max();  // of the shutdown
  Duration ending_since_{};
  unsigned overdue_ = 0;  // turns since then
  unsigned tags_ = 0;
  unsigned turns_ = 0;
  bool ending_ = false;
};

}  // namespace sim
