#pragma once
// A server, its network, its clients and everything that goes wrong, all from one seed.

#include <memory>
#include <optional>
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
  bool finish();
  const std::string& failure() const { return failure_; }

  const std::string& log_text() const { return log_; }
  unsigned turns() const { return turns_; }
  long handled() const { return site_.counts.handled; }

  // For clients and faults.

  const Plan& plan() const { return plan_; }
  microdot::SimPort& port() { return port_; }
  const Faults& faults() const { return faults_; }
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
  void leaves_line(unsigned connection) noexcept;
  void server_reads(unsigned connection) noexcept;
  void log(const char* format, ...) noexcept __attribute__((format(printf, 2, 3)));

 private:
  struct InLine {
    unsigned turn;
    const Client* client;
    unsigned connection;
  };

  bool launch();
  void turn(Duration most);
  void upset();
  void check();
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
