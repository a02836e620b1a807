#include "body_reader.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

#include "exchange.hpp"

namespace microdot::inline MICRODOT_ABI::detail {

namespace {

constexpr std::uint32_t kBurstBytes = 256 * 1024;

}  // namespace

void BodyReader::begin_some(const RequestParser& head, std::uint64_t max_content,
                            std::size_t max_body) noexcept {
  chunked_ = head.chunked();
  if (chunked_) std::construct_at(&decoder_, ChunkedLimits{.content_bytes = max_content});
  remaining_ = head.content_length().value_or(0);
  max_body_ = std::min(max_body, window_.size());
  collected_ = 0;
  burst_ = 0;
  whole_ = unread_ = leftover_ = {};
  waiting_ = nullptr;
  error_ = Error::none;
  error_status_ = 0;
  owes_continue_ = head.expect_100();
  if (chunked_ || remaining_ <= max_body_) {
    state_ = State::collecting;
  } else {
    state_ = State::streaming;
  }
  kept_ = state_ != State::streaming;
}

Error BodyReader::fail(int status, Error error) noexcept {
  state_ = State::failed;
  error_status_ = static_cast<std::uint16_t>(status);
  error_ = error;
  return error;
}

// Part of a body whose size is known: in place if it came with the head, else into `room`.
Result<std::string_view> BodyReader::read_sized(std::span<char> room) noexcept {
  const std::span<char> buffered = exchange_->buffered();
  std::string_view part(buffered.data(),
                        static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, buffered.size())));
  exchange_->take_buffered(part.size());
  if (part.empty()) {
    room = room.first(static_cast<std::size_t>(std::min<std::uint64_t>(room.size(), remaining_)));
    const Result<std::size_t> size = exchange_->read_transport(room);
    if (!size) return size.error();
    if (*size == 0) return fail(400, Error::closed);
    part = {room.data(), *size};
  }
  owes_continue_ = false;
  remaining_ -= part.size();
  if (remaining_ == 0) state_ = State::complete;
  return part;
}

// The same of a chunked one: what came with the head is decoded where it lies.
Result<std::string_view> BodyReader::read_chunked(std::span<char> room) noexcept {
  for (;;) {
    std::span<char> bytes = exchange_->buffered();
    const bool came_with_head = !bytes.empty();
    if (!came_with_head) {
      const Result<std::size_t> size =
          exchange_->read_transport(room.first(std::min(room.size(), exchange_->capacity())));
      if (!size) return size.error();
      if (*size == 0) return fail(400, Error::closed);
      bytes = room.first(*size);
    }
    owes_continue_ = false;
    const ChunkedResult result = decoder_.decode(bytes);
    if (came_with_head) {
      exchange_->take_buffered(result.consumed);
    } else if (result.status == ParseStatus::complete) {
      leftover_ = {bytes.data() + result.consumed, bytes.size() - result.consumed};
    }
    if (result.status == ParseStatus::error) {
      const int status = decoder_.error_status();
      fail(status, status == 413 ? Error::too_large : Error::invalid);
      // What came before the error is given first: how the bytes were cut makes no difference.
      if (result.produced == 0) return error_;
    }
    if (result.status == ParseStatus::complete) state_ = State::complete;
    if (result.produced != 0 || state_ == State::complete)
      return std::string_view(bytes.data(), result.produced);
  }
}

Result<std::string_view> BodyReader::read_some(std::span<char> room) noexcept {
  return chunked_ ? read_chunked(room) : read_sized(room);
}

Error BodyReader::collect() noexcept {
  while (state_ == State::collecting && collected_ <= max_body_) {
    const std::span<char> room = window_.subspan(collected_);
    const Result<std::string_view> part = read_some(room);
    if (!part) return part.error();
    // What came with the head stays there if it is the whole body, or more than is kept.
    const bool stays = collected_ == 0 && (state_ == State::complete || part->size() > max_body_);
    if (!stays && part->data() != room.data()) std::memmove(room.data(), part->data(), part->size());
    collected_ += part->size();
    unread_ = {stays ? part->data() : window_.data(), collected_};
  }
  kept_ = collected_ <= max_body_;
  if (!kept_) {
    // Chunked, and larger than what is kept: the handler gets it as a stream, with its error if it has one.
    if (state_ == State::collecting) state_ = State::streaming;
    return Error::none;
  }
  if (state_ == State::complete) whole_ = unread_;
  return error_;
}

Result<std::string_view> BodyReader::next() noexcept {
  if (!unread_.empty()) return std::exchange(unread_, {});
  switch (state_) {
    case State::complete: return std::string_view{};
    case State::failed: return error_;
    default: return read_some(window_);
  }
}

bool BodyReader::ready() noexcept {
  // A client that sends as fast as it is read leaves the loop to others in between. What is still in its
  // socket is announced again; what is here already is not.
  if (burst_ >= kBurstBytes && state_ == State::streaming && unread_.empty() && exchange_->buffered().empty())
    return false;
  result_ = next();
  if (result_) burst_ += static_cast<std::uint32_t>(result_->size());
  return result_ || result_.error() != Error::would_block;
}

void BodyReader::wait(Strand& strand, std::coroutine_handle<> handle) noexcept {
  strand.park(handle);
  waiting_ = &strand;
  burst_ = 0;
  exchange_->want_body();
}

void BodyReader::retry() noexcept {
  if (waiting_ == nullptr) return;
  Result<std::string_view> result = next();
  if (!result && result.error() == Error::would_block) return;
  result_ = result;
  std::exchange(waiting_, nullptr)->wake();
}

bool BodyReader::interrupt(Error error) noexcept {
  if (waiting_ == nullptr) return false;
  fail(408, error);
  result_ = error;
  std::exchange(waiting_, nullptr)->wake();
  return true;
}

Result<std::string_view> BodyReader::take_result() noexcept {
  return std::exchange(result_, Result<std::string_view>(Error::would_block));
}

Result<std::size_t> BodyReader::take_result_into(std::span<char> buffer) noexcept {
  const Result<std::string_view> part = take_result();
  if (!part) return part.error();
  const std::size_t size = std::min(part->size(), buffer.size());
  if (size != 0) std::memcpy(buffer.data(), part->data(), size);
  unread_ = part->substr(size);
  return size;
}

}  // namespace microdot::inline MICRODOT_ABI::detail
