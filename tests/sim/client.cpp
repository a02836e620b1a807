#include "client.hpp"

#include <algorithm>

#include "world.hpp"

namespace sim {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

Client::Client(World& world, unsigned number, Random random)
    : world_(world),
      number_(number),
      random_(random),
      next_(world.now() + Duration(random_.any_size(2'000'000))),
      address_(world.plan().address_of(number)),
      visits_left_(random_.between(1, 3)) {}

std::string Client::name() const { return "client " + std::to_string(number_); }

Circumstances Client::circumstances() const {
  return {.plan = world_.plan(),
          .now = world_.now(),
          .lenient = lenient_ || world_.ending(),
          .refusal = world_.refusal_of(socket_.number()),
          .task_refused = world_.task_refused(),
          .forfeited = world_.forfeited()};
}

void Client::be_active() { active_ = world_.fair_time(); }

// ---- What it does ------------------------------------------------------------------------------------

void Client::act() {
  switch (phase_) {
    case Phase::away: return arrive();
    case Phase::thinking: plan_group(); [[fallthrough]];
    case Phase::sending: return send_part();
    case Phase::waiting:
    case Phase::leaving:
      if (steady_) {
        next_ = world_.now() + pause_;
        return read(reads_at_once_);
      }
      // A slow reader.
      next_ = world_.now() + Duration(random_.any_size(700'000));
      if (stalls_ && random_.chance(10)) next_ = TimePoint::max();
      return read(1 + random_.any_size(3000));
    case Phase::done: return;
  }
}

void Client::arrive() {
  const bool again = world_.now() < world_.visits_until();
  if (world_.ending() || (visits_left_-- <= 0 && !again)) {
    phase_ = Phase::done;
    next_ = TimePoint::max();
    return;
  }
  const Plan& plan = world_.plan();
  socket_ = world_.port().connect(80, address_);
  judge_ = {};
  slow_ = random_.chance(plan.rates.slow_client);
  steady_ = !slow_ && !plan.jumps() && random_.chance(plan.rates.steady_client);
  lenient_ = slow_ || plan.jumps() || world_.network_is_out() || world_.faults().afflicts(socket_.number());
  window_ = random_.chance(70) ? SIZE_MAX : 1000 + random_.any_size(9000);
  leave_after_sent_ = leave_after_received_ = SIZE_MAX;
  stalls_ = false;
  if (slow_) {
    if (random_.chance(40)) window_ = 1 + random_.any_size(5000);
    if (random_.chance(25)) leave_after_sent_ = random_.any_size(400);
    if (random_.chance(25)) leave_after_received_ = 1 + random_.any_size(8000);
    stalls_ = random_.chance(30);
  }
  if (steady_) window_ = 1000 + random_.any_size(9000);
  socket_.set_receive_window(window_);
  if (random_.chance(40)) socket_.set_segment_size(1 + random_.any_size(1500));
  if (random_.chance(10)) {
    const std::size_t sizes[] = {random_.any_size(200), random_.any_size(50), 1, random_.any_size(1000)};
    socket_.set_segment_sizes(sizes);
  }
  last_ = random_.pick({Leave::close, Leave::reset, Leave::half_close, Leave::stay});
  groups_left_ = random_.between(1, 4);
  outgoing_.clear();
  coming_.clear();
  sent_ = received_ = 0;
  refused_before_ = answered_before_ = 0;
  was_accepted_ = ended_side_ = false;
  be_active();
  world_.log("%s: connection %u%s%s%s", name().c_str(), socket_.number(), slow_ ? ", slow" : "",
             stalls_ ? ", stalls" : "", steady_ ? ", steady" : "");
  plan_group();
  next_ = world_.now() + random_.pick({0us, 0us, 30'000us, 100'000us});
  if (slow_ && random_.chance(20)) next_ += Duration(random_.any_size(8'000'000));
}

void Client::plan_group() {
  const int size = random_.chance(70) ? 1 : random_.between(2, 5);
  for (int i = 0; i < size; ++i) {
    Asked asked = any_request(random_, world_.plan(), world_.new_tag());
    asked.expected.begins = sent_ + outgoing_.size();
    world_.log("%s: plans %u: %.*s", name().c_str(), asked.expected.tag,
               static_cast<int>(std::min(asked.bytes.find("\r\n"), std::size_t{60})), asked.bytes.data());
    outgoing_ += asked.bytes;
    coming_.push_back(std::move(asked.expected));
  }
  phase_ = Phase::sending;
  if (steady_) plan_pace();
}

/// Three times as fast as it has to be, whatever is in hand.
void Client::plan_pace() {
  const microdot::Limits& limits = world_.plan().limits;
  const Duration least = std::min({Duration(limits.slow_grace), Duration(limits.head_timeout),
                                   Duration(limits.body_timeout), Duration(limits.write_timeout)});
  pause_ = least / random_.between(4, 10);
  const auto in_a_pause = [this](std::size_t rate) {
    return 1 + rate * 3 * static_cast<std::size_t>(pause_.count()) / 1'000'000;
  };
  const auto pauses = static_cast<std::size_t>(Duration(limits.head_timeout) / pause_);
  sends_at_once_ =
      std::max({in_a_pause(limits.body_rate), outgoing_.size() * 2 / pauses + 1, outgoing_.size() / 40 + 1});
  reads_at_once_ = std::max(in_a_pause(limits.write_rate), std::size_t{500});
  const std::size_t head = outgoing_.find("\r\n\r\n") + 4;
  burst_ = 0;
  if (random_.chance(30) && head < outgoing_.size() && coming_.size() == 1) {
    const std::size_t half = (outgoing_.size() - head) / 2;
    burst_ = head + half;
    const Duration all = limits.body_timeout;
    rest_ = all / 2;
    if (limits.body_rate != 0) rest_ = std::min(rest_, Duration(half * 1'000'000 / 2 / limits.body_rate));
  }
  if (window_ < 2 * reads_at_once_) socket_.set_receive_window(window_ = 2 * reads_at_once_);
}

void Client::send_part() {
  std::size_t size = outgoing_.size();
  if (steady_) {
    read(reads_at_once_);
    if (burst_ != 0) {
      // Ahead of its time, and then it may rest.
      size = std::min(size, burst_);
      next_ = world_.now() + std::max(pause_, rest_);
      burst_ = 0;
    } else {
      size = std::min(size, sends_at_once_);
      next_ = world_.now() + pause_;
    }
  }
  if (slow_) {
    if (stalls_ && random_.chance(20)) {
      next_ = TimePoint::max();
      return;
    }
    size = std::min(size, 1 + random_.any_size(outgoing_.size()));
    next_ = world_.now() + Duration(random_.chance(50) ? 0 : random_.any_size(3'000'000));
  }
  const bool leaves = sent_ + size >= leave_after_sent_;
  if (leaves) size = leave_after_sent_ - std::min(sent_, leave_after_sent_);
  while (!coming_.empty() && coming_.front().begins < sent_ + size) {
    coming_.front().sent = world_.now();
    judge_.expect(std::move(coming_.front()));
    coming_.pop_front();
  }
  if (!lenient_ && sent_ == 0 && size == outgoing_.size() && socket_.accepted() &&
      world_.refusal_of(socket_.number()) == nullptr)
    world_.stands_in_line(*this);
  world_.log("%s: sends %zu bytes", name().c_str(), size);
  socket_.send(std::string_view(outgoing_).substr(0, size));
  outgoing_.erase(0, size);
  unread_ = socket_.unread();
  sent_ += size;
  be_active();
  if (leaves) return leave(random_.pick({Leave::close, Leave::reset, Leave::half_close}));
  if (!outgoing_.empty()) return;
  phase_ = Phase::waiting;
  if (!steady_) next_ = slow_ ? world_.now() : TimePoint::max();
  // Whoever ends its side still gets its answers.
  if (groups_left_ == 1 && last_ == Leave::half_close && random_.chance(50)) {
    end_side();
  }
}

void Client::end_side() {
  world_.log("%s: ends its side", name().c_str());
  judge_.expect_nothing_more(world_.now());
  ended_side_ = true;
  socket_.shutdown_write();
}

void Client::leave(Leave how) {
  const bool in_the_middle = (!outgoing_.empty() && sent_ != 0) || judge_.outstanding() != 0;
  switch (how) {
    case Leave::close:
      world_.log("%s: closes", name().c_str());
      socket_.close();
      return end_visit();
    case Leave::reset:
      world_.log("%s: resets", name().c_str());
      socket_.reset();
      return end_visit();
    case Leave::half_close:
      if (in_the_middle) lenient_ = true;
      end_side();
      break;
    case Leave::stay: break;
  }
  outgoing_.clear();
  coming_.clear();
  phase_ = Phase::leaving;
  next_ = slow_ || steady_ ? world_.now() : TimePoint::max();
  be_active();
}

void Client::end_visit() {
  world_.forget(socket_.number());
  socket_ = {};
  phase_ = Phase::away;
  const bool again = world_.now() < world_.visits_until();
  next_ = world_.now() + Duration(again ? random_.below(60'000'000) : random_.any_size(1'000'000));
}

// ---- What it sees ------------------------------------------------------------------------------------

void Client::read(std::size_t most) {
  const std::string_view bytes = socket_.received().substr(0, most);
  if (bytes.empty()) return;
  be_active();
  received_ += bytes.size();
  world_.log("%s: receives %zu bytes: %.*s", name().c_str(), bytes.size(),
             static_cast<int>(std::min({bytes.find('\r'), bytes.size(), std::size_t{60}})), bytes.data());
  const std::string wrong = judge_.take(bytes, circumstances());
  if (!wrong.empty()) world_.fail(name() + ": " + wrong);
  socket_.consume(bytes.size());
}

void Client::look() {
  if (!connected()) return;
  if (!was_accepted_ && socket_.accepted()) {
    was_accepted_ = true;
    be_active();
  }
  if (std::exchange(unread_, socket_.unread()) != unread_) read_last_ = world_.fair_time();
  const bool closed = socket_.closed();
  if ((!slow_ && !steady_) || closed) read(SIZE_MAX);
  if (world_.faults().afflicts(socket_.number())) lenient_ = true;
  if (closed) {
    world_.log("%s: the connection is %s", name().c_str(), socket_.was_reset() ? "reset" : "ended");
    // Whoever was never accepted has no claim.
    Circumstances now = circumstances();
    if (!was_accepted_) now.lenient = true;
    const std::string wrong = judge_.end(!socket_.was_reset(), sent_, socket_.unread(), now);
    if (!wrong.empty()) world_.fail(name() + ": " + wrong);
    return end_visit();
  }
  if (received_ >= leave_after_received_) {
    leave_after_received_ = SIZE_MAX;
    return leave(random_.pick({Leave::close, Leave::reset, Leave::half_close}));
  }
  if (phase_ == Phase::waiting && judge_.outstanding() == 0) return after_answers();
  if (world_.fair_time() - std::max(active_, world_.ending_since()) > patience())
    world_.fail(name() + ": nothing comes, and the connection lives on");
}

void Client::after_answers() {
  be_active();
  if (judge_.says_close()) return leave(Leave::stay);
  if (--groups_left_ == 0) return leave(last_);
  phase_ = Phase::thinking;
  const auto keep = static_cast<std::size_t>(Duration(world_.plan().limits.keep_alive_timeout).count());
  next_ =
      world_.now() + Duration(random_.chance(50) ? random_.any_size(10'000) : random_.any_size(keep * 3 / 2));
}

std::optional<Duration> Client::too_slow_since() const {
  const microdot::Limits& limits = world_.plan().limits;
  // The server has begun to read a request whose rest does not come, owes nothing before, and does not
  // answer.
  if (phase_ != Phase::sending || !socket_.accepted() || socket_.closed() || socket_.unread() != 0 ||
      !socket_.received().empty() || outgoing_.empty() || judge_.outstanding() != 1 ||
      !judge_.between_answers() || limits.body_rate == 0 || sent_ == judge_.next().begins ||
      (!coming_.empty() && coming_.front().begins <= sent_) || world_.faults().afflicts(socket_.number()))
    return {};
  const auto moved = static_cast<std::int64_t>(sent_ - judge_.next().begins);
  return read_last_ + std::max(Duration(limits.slow_grace), Duration(moved * 1'000'000 / limits.body_rate));
}

Duration Client::patience() const {
  const microdot::Limits& limits = world_.plan().limits;
  // Idle connections are closed at once; an end of stream may stand in the queue.
  if (world_.ending() && was_accepted_ && !lenient_ && !ended_side_ && judge_.outstanding() == 0)
    return 100ms + 4 * world_.plan().port.latency;
  if (!was_accepted_ || next_ != TimePoint::max()) return Duration::max();  // it will act itself
  const auto of = [](microdot::Milliseconds time) { return Duration(time); };
  const Duration slack = 1500ms + 6 * world_.plan().port.latency;
  if (!lenient_ && phase_ == Phase::waiting) return of(limits.queue_timeout) + judge_.next().work + slack;
  // It is slow or stalls, or waits for the end; every step has a timeout, and streams have many steps.
  const Duration steps = of(limits.head_timeout) + of(limits.body_timeout) + of(limits.write_timeout) +
                         of(limits.handler_timeout) * 2;
  return of(limits.first_timeout) + of(limits.queue_timeout) + of(limits.keep_alive_timeout) +
         of(limits.linger_timeout) * 2 + steps * static_cast<int>(judge_.outstanding() + 1) + slack;
}

}  // namespace sim
