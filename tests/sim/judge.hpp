#pragma once
// Reads what a server sends on one connection as it comes, and holds it against what was asked.

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>

#include "../corpus/replies.hpp"
#include "requests.hpp"

namespace sim {

/// A 503 that was written, as it seems, without anything having been read.
struct Refusal {
  const char* reason = nullptr;  ///< Null: only the time in the queue can be one.
  TimePoint time{};
};

/// What excuses a server now.
struct Circumstances {
  const Plan& plan;
  TimePoint now;
  /// The client or the network is to blame if a request is refused or an answer cut short.
  bool lenient = false;
  const Refusal* refusal = nullptr;           ///< The last one on this connection.
  TimePoint task_refused = TimePoint::min();  ///< When a handler's task was, last.
  TimePoint forfeited = TimePoint::min();     ///< When anybody was, last.
};

class Judge {
 public:
  /// A request whose first byte is sent now.
  void expect(Expected expected);
  /// The client ends its side now. That too stands in the queue, and may be refused as a request may.
  void expect_nothing_more(TimePoint now) {
    if (!ended_side_) side_ended_ = now;
    ended_side_ = true;
  }
  /// Takes bytes from the server. Empty, or what is wrong with them.
  std::string take(std::string_view bytes, const Circumstances& circumstances);
  /// Nothing more comes: after a FIN if `in_order`, else a reset. `unread`: how many of the client's bytes
  /// the server has not read. Empty, or what is wrong with that.
  std::string end(bool in_order, std::size_t sent, std::size_t unread, const Circumstances& circumstances);

  std::size_t outstanding() const { return expected_.size(); }
  const Expected& next() const { return expected_.front(); }
  unsigned answered() const { return answered_; }
  /// 503 from the queue, which no handler gives.
  unsigned refused() const { return refused_; }
  /// The server said that it closes.
  bool says_close() const { return says_close_; }
  /// Nothing is outstanding, or no answer to it has begun.
  bool between_answers() const { return phase_ == Phase::head && head_.empty(); }

 private:
  enum class Phase { head, sized, chunk_head, chunk, chunk_end, last_chunk_end, to_end };

  bool may_be_refused(const Circumstances& circumstances) const;
  std::string take_head(const Circumstances& circumstances);
  std::string judge_head(const corpus::Message& message, const Circumstances& circumstances);
  std::string take_body(std::string_view bytes);
  std::string finish();

  std::deque<Expected> expected_;
  Phase phase_ = Phase::head;
  std::string head_;          // what came of a head, or of a chunk's
  std::size_t left_ = 0;      // of a body with a length, or of a chunk
  std::size_t compared_ = 0;  // bytes of the body so far
  bool exact_ = true;         // the body is known
  bool says_close_ = false;
  bool ended_side_ = false;
  TimePoint side_ended_{};
  unsigned answered_ = 0;
  unsigned refused_ = 0;
};

}  // namespace sim
