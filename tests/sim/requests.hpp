#pragma once
// Requests, and what has to come back for each.

#include <string>
#include <vector>

#include <microdot/port/clock.hpp>

#include "plan.hpp"
#include "random.hpp"

namespace sim {

using microdot::TimePoint;

/// The answer that a request has to get, whatever else happens to the connection.
struct Expected {
  unsigned tag = 0;  ///< The answer carries it, unless it refuses the request.
  int status = 200;
  std::string body;            ///< Byte for byte, with `status`.
  std::vector<int> also;       ///< Other statuses that are right, with any body.
  bool any_body = false;       ///< Errors: the body is nobody's business.
  bool to_head = false;        ///< It asked for the head only.
  bool may_end_early = false;  ///< The answer may be cut: by its handler, or since its body was not read.
  bool streamed = false;       ///< It comes piece by piece, without a length.
  bool shields = false;        ///< Its handler starts a task; where that is refused, 503.
  bool has_continue = false;   ///< "100 Continue" may come first.
  Duration work{};             ///< How long its handler takes, at least for the next byte.
  TimePoint sent{};            ///< Its first byte.
  std::size_t begins = 0;      ///< Where it begins in all that the client has sent.

  bool allows(int other) const;
};

struct Asked {
  std::string bytes;
  Expected expected;
};

/// Any request, as good or bad as its limits allow. `tag` tells it apart from all others.
Asked any_request(Random& random, const Plan& plan, unsigned tag);
/// A plain request that a healthy server answers with 200.
Asked plain_request(unsigned tag);

}  // namespace sim
