#pragma once
// A client: knows what it asked, judges what it gets, and behaves as well or badly as its seed says.

#include <cstddef>
#include <optional>
#include <string>

#include <microdot/testing/sim_port.hpp>

#include "judge.hpp"
#include "random.hpp"

namespace sim {

class World;

class Client {
 public:
  Client(World& world, unsigned number, Random random);
  Client(Client&&) = delete;

  /// When it wants to do something next; `TimePoint::max()`: it waits for the server.
  TimePoint next() const { return next_; }
  /// Does what is due.
  void act();
  /// Looks at what came since the last turn.
  void look();
  bool done() const { return phase_ == Phase::done; }
  /// The number of its connection in the simulator; only while `connected`.
  unsigned connection() const { return socket_.number(); }
  bool connected() const { return phase_ != Phase::away && phase_ != Phase::done; }
  microdot::Endpoint address() const { return address_; }
  /// The network is to blame for all that follows.
  void excuse_server() { lenient_ = true; }
  /// Since when it has kept the server waiting for the rest of a request that others would like to have
  /// served, in fair time; none if it does not. It must be given up if others wait.
  std::optional<Duration> too_slow_since() const;
  /// It may stand in the queue.
  bool may_wait() const { return connected() && socket_.accepted(); }
  /// The server may have something to tell it.
  bool waits_in_line() const {
    return connected() && socket_.accepted() && !socket_.closed() && received_ == 0;
  }

 private:
  enum class Phase { away, sending, waiting, thinking, leaving, done };
  enum class Leave { close, reset, half_close, stay };

  void arrive();
  void plan_group();
  void send_part();
  void plan_pace();
  void read(std::size_t most);
  void after_answers();
  void end_side();
  void leave(Leave how);
  void end_visit();
  Circumstances circumstances() const;
  /// How long the server may take until something comes.
  Duration patience() const;
  void be_active();
  std::string name() const;

  World& world_;
  unsigned number_;
  Random random_;
  Phase phase_ = Phase::away;
  TimePoint next_;
  microdot::Endpoint address_;
  microdot::SimClient socket_;
  Judge judge_;

  // Of this visit.
  bool slow_ = false;
  bool steady_ = false;  // takes its time, but is faster than it has to be
  Duration pause_{};     // of one that is steady, between its steps
  std::size_t sends_at_once_ = SIZE_MAX;
  std::size_t reads_at_once_ = SIZE_MAX;
  std::size_t burst_ = 0;  // sent at once, and then it rests
  Duration rest_{};
  bool lenient_ = false;  // it, or the network, is to blame for what follows
  std::size_t window_ = SIZE_MAX;
  Leave last_ = Leave::close;
  std::size_t leave_after_sent_ = SIZE_MAX;
  std::size_t leave_after_received_ = SIZE_MAX;
  bool stalls_ = false;  // stops reading and sending, some time
  int visits_left_;
  int groups_left_ = 0;
  std::string outgoing_;
  std::deque<Expected> coming_;  // requests of which no byte is sent
  std::size_t sent_ = 0;         // bytes
  std::size_t received_ = 0;
  unsigned refused_before_ = 0;
  unsigned answered_before_ = 0;
  std::size_t unread_ = 0;  // by the server, when that changed last:
  Duration read_last_{};    // in fair time
  Duration active_{};       // when something happened last, in fair time
  bool was_accepted_ = false;
  bool ended_side_ = false;
};

}  // namespace sim
