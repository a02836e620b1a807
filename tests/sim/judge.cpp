#include "judge.hpp"

#include <algorithm>
#include <charconv>

#include <microdot/http/response_writer.hpp>

namespace sim {

namespace {

const std::string* field(const corpus::Message& message, std::string_view name) {
  for (const auto& [key, value] : message.headers) {
    if (corpus::detail::equals_ignoring_case(key, name)) return &value;
  }
  return nullptr;
}

}  // namespace

void Judge::expect(Expected expected) { expected_.push_back(std::move(expected)); }

std::string Judge::take(std::string_view bytes, const Circumstances& circumstances) {
  while (!bytes.empty()) {
    std::string wrong;
    switch (phase_) {
      case Phase::head:
        if (expected_.empty() && !says_close_ && (ended_side_ || circumstances.refusal != nullptr)) {
          // The end of its side stood in the queue, or it was refused before it said anything.
          Expected refusal;
          refusal.status = 503;
          refusal.any_body = true;
          refusal.sent = ended_side_ ? side_ended_ : TimePoint::max();
          ended_side_ = false;
          expect(std::move(refusal));
        }
        if (expected_.empty()) return "an answer that nobody asked for: " + corpus::show(bytes);
        if (says_close_) return "an answer behind Connection: close: " + corpus::show(bytes);
        head_ += bytes.front();
        bytes.remove_prefix(1);
        if (head_.ends_with("\r\n\r\n")) wrong = take_head(circumstances);
        break;
      case Phase::chunk_head:
        head_ += bytes.front();
        bytes.remove_prefix(1);
        if (head_.ends_with("\r\n")) {
          const char* end = head_.data() + head_.size() - 2;
          if (const auto [at, error] = std::from_chars(head_.data(), end, left_, 16);
              head_.size() == 2 || error != std::errc{} || at != end)
            return "a bad chunk head: " + corpus::show(head_);
          head_.clear();
          phase_ = left_ == 0 ? Phase::last_chunk_end : Phase::chunk;
        }
        break;
      case Phase::chunk_end:
      case Phase::last_chunk_end:
        head_ += bytes.front();
        bytes.remove_prefix(1);
        if (!std::string_view("\r\n").starts_with(head_)) return "bad bytes behind a chunk";
        if (head_.size() == 2) {
          head_.clear();
          if (phase_ == Phase::chunk_end) {
            phase_ = Phase::chunk_head;
          } else {
            wrong = finish();
          }
        }
        break;
      case Phase::sized:
      case Phase::chunk:
      case Phase::to_end: {
        const std::string_view part = bytes.substr(0, phase_ == Phase::to_end ? bytes.size() : left_);
        bytes.remove_prefix(part.size());
        wrong = take_body(part);
        if (phase_ == Phase::to_end || !wrong.empty()) break;
        left_ -= part.size();
        if (left_ != 0) break;
        if (phase_ == Phase::chunk) {
          phase_ = Phase::chunk_end;
        } else {
          wrong = finish();
        }
        break;
      }
    }
    if (!wrong.empty()) return wrong;
  }
  return {};
}

/// Whether there is a reason for the 503 of one that was not read.
bool Judge::may_be_refused(const Circumstances& circumstances) const {
  if (circumstances.refusal == nullptr || expected_.empty()) return false;
  const Refusal& refusal = *circumstances.refusal;
  if (refusal.reason != nullptr) return true;
  const TimePoint sent = expected_.front().sent;
  return sent != TimePoint::max() &&
         (circumstances.plan.jumps() ||
          refusal.time - sent >= Duration(circumstances.plan.limits.queue_timeout));
}

std::string Judge::take_head(const Circumstances& circumstances) {
  const corpus::Parsed parsed = corpus::parse_response(head_, true, false);
  if (!parsed.message) return parsed.error;
  std::string wrong = judge_head(*parsed.message, circumstances);
  if (!wrong.empty()) return wrong + ": " + corpus::show(head_, 600);
  head_.clear();
  return {};
}

std::string Judge::judge_head(const corpus::Message& message, const Circumstances& circumstances) {
  Expected& expected = expected_.front();
  const int status = message.status;
  if (status == 100) {
    if (!expected.has_continue) return "100 Continue that nobody waits for";
    expected.has_continue = false;
    return {};
  }
  const std::string* tag = field(message, "X-Tag");
  if (tag != nullptr && *tag != std::to_string(expected.tag))
    return "the answer to another request than " + std::to_string(expected.tag);
  if (tag == nullptr && status < 400) return "an answer without its tag";

  bool allowed = expected.allows(status);
  if (circumstances.lenient && (status == 408 || status == 503 || status == 400)) allowed = true;
  if (status == 503 && microdot::kServiceUnavailable.starts_with(head_)) {
    ++refused_;
    allowed = may_be_refused(circumstances);
    if (!allowed) return "refused for no reason, before its time in the queue was over";
  }
  if (status == 503 && expected.shields && circumstances.task_refused >= expected.sent) allowed = true;
  if (status == 408 && !circumstances.plan.jumps()) {
    const microdot::Limits& limits = circumstances.plan.limits;
    Duration patience = std::min(Duration(limits.head_timeout), Duration(limits.body_timeout));
    if (circumstances.forfeited >= expected.sent) patience = std::min(patience, Duration(limits.slow_grace));
    if (circumstances.now - expected.sent < patience) return "408 before any time was over";
  }
  if (!allowed) return "status " + std::to_string(status) + " instead of " + std::to_string(expected.status);

  exact_ = status == expected.status && !expected.any_body;
  compared_ = 0;
  says_close_ = corpus::says_close(message);
  const std::string* length = field(message, "Content-Length");
  const std::string* coding = field(message, "Transfer-Encoding");
  if (length != nullptr) {
    left_ = 0;
    std::from_chars(length->data(), length->data() + length->size(), left_);
    if (exact_ && left_ != expected.body.size())
      return "the length of another body than one of " + std::to_string(expected.body.size());
  } else if (exact_ && !expected.streamed) {
    return "no length";
  }
  if (expected.to_head || status == 204 || status == 304 || (length != nullptr && left_ == 0))
    return finish();
  if (length != nullptr) {
    phase_ = Phase::sized;
  } else if (coding != nullptr) {
    phase_ = Phase::chunk_head;
  } else {
    phase_ = Phase::to_end;
  }
  return {};
}

std::string Judge::take_body(std::string_view bytes) {
  const std::string_view body = expected_.front().body;
  if (exact_ && body.substr(std::min(compared_, body.size()), bytes.size()) != bytes)
    return "other bytes than those of the body, from " + std::to_string(compared_) +
           " on: " + corpus::show(bytes);
  compared_ += bytes.size();
  return {};
}

std::string Judge::finish() {
  const Expected& expected = expected_.front();
  if (exact_ && !expected.to_head && compared_ != expected.body.size())
    return "a body of " + std::to_string(compared_) + " bytes instead of " +
           std::to_string(expected.body.size());
  phase_ = Phase::head;
  ++answered_;
  expected_.pop_front();
  return {};
}

std::string Judge::end(bool in_order, std::size_t sent, std::size_t unread,
                       const Circumstances& circumstances) {
  if (phase_ == Phase::to_end && in_order && compared_ == expected_.front().body.size()) return finish();
  if (expected_.empty() || circumstances.lenient) return {};
  // A reset for one that can't be answered as promised takes what is under way with it.
  if (!in_order && std::any_of(expected_.begin(), expected_.end(),
                               [](const Expected& asked) { return asked.may_end_early; }))
    return {};
  const Expected& expected = expected_.front();
  // Whoever drains makes room for newcomers, and goes when it has ended its side. If it sent more than is
  // drained, that takes its answer with it.
  if (!in_order && unread != 0 &&
      (circumstances.plan.overrun() ||
       sent - expected_.front().begins > circumstances.plan.limits.linger_bytes))
    return {};
  // A refusal gets one attempt to be written.
  const Plan& plan = circumstances.plan;
  if (may_be_refused(circumstances) && (plan.rates.short_write != 0 || plan.rates.blocked_write != 0) &&
      phase_ == Phase::head && microdot::kServiceUnavailable.starts_with(head_))
    return {};
  if (!between_answers()) return expected.may_end_early ? std::string() : "an answer was cut short";
  if (says_close_) return {};
  // An idle connection may be closed before it is known that the next request is under way.
  if (unread >= sent - expected.begins) return {};
  if (expected.may_end_early) return {};
  return "closed without an answer to request " + std::to_string(expected.tag);
}

}  // namespace sim
