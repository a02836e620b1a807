#pragma once
/// The body of one request on its way from the socket: what came with the head, what was read into the
/// window, and what is still with the client.
///
/// Behind the head lie bytes of the body first, and only behind all of it those of further requests, which
/// may reach into the window. So it is free when something has to be read into it.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <microdot/async/strand.hpp>
#include <microdot/base/result.hpp>
#include <microdot/http/chunked.hpp>
#include <microdot/http/request_parser.hpp>

namespace microdot::inline MICRODOT_ABI::detail {

class Exchange;

class BodyReader {
 public:
  /// `window` is where bytes are read to; it is what `Exchange::Memory::body` says.
  BodyReader(Exchange& exchange, std::span<char> window) noexcept : exchange_(&exchange), window_(window) {}
  BodyReader(const BodyReader&) = delete;
  BodyReader& operator=(const BodyReader&) = delete;

  /// Starts with a request's body. `max_body`: up to this many bytes are kept as a whole.
  void begin(const RequestParser& head, std::uint64_t max_content, std::size_t max_body) noexcept {
    if (head.has_body()) return begin_some(head, max_content, max_body);
    give_up();
    leftover_ = {};
    error_status_ = 0;
    state_ = State::complete;
    kept_ = true;
  }

  /// Whether the body should be read as a whole before the handler runs.
  bool wanted_first() const noexcept { return state_ == State::collecting; }
  /// Reads on towards the whole body; `none` when it is complete or has turned out too large to be kept,
  /// `would_block`, or what went wrong.
  Error collect() noexcept;
  /// The whole body is there; false if it is so large that it comes as a stream.
  bool kept() const noexcept { return kept_; }
  /// The whole body; "" if it was not kept.
  std::string_view whole() const noexcept { return whole_; }

  /// The next part, for streams; empty at the end. `would_block`: wait.
  Result<std::string_view> next() noexcept;
  /// Fetches `next` into the result, unless it would block.
  bool ready() noexcept;
  /// Waits for `next` to have something else to say; the result is kept for `take_result`.
  void wait(Strand& strand, std::coroutine_handle<> handle) noexcept;
  /// Looks again on behalf of the strand that waits. For the connection, when bytes or the end have come.
  void retry() noexcept;
  /// Ends a wait with an error (the client has gone, time is up). True if somebody waited.
  bool interrupt(Error error) noexcept;
  bool waited_for() const noexcept { return waiting_ != nullptr; }
  /// The strand that waited is gone.
  void forget_waiter() noexcept { waiting_ = nullptr; }
  /// `strand` does not wait any more.
  void forget_waiter(const Strand* strand) noexcept {
    if (waiting_ == strand) waiting_ = nullptr;
  }
  Result<std::string_view> take_result() noexcept;
  /// The same, copied; what has no room in `buffer` comes first next time.
  Result<std::size_t> take_result_into(std::span<char> buffer) noexcept;

  /// The client owes no more bytes of this body.
  bool complete() const noexcept { return state_ == State::complete; }
  /// Nothing more of the body will be read.
  void give_up() noexcept {
    if (state_ != State::complete) state_ = State::failed;
    owes_continue_ = false;
    whole_ = {};  // not in one: the compiler would read what it has just written in another width
    unread_ = {};
  }
  void continue_sent() noexcept { owes_continue_ = false; }
  /// The client still waits for "100 Continue".
  bool owes_continue() const noexcept { return owes_continue_; }
  /// The status for `invalid` and `too_large`.
  int error_status() const noexcept { return error_status_; }
  /// Bytes of the next request that were read into the window.
  std::string_view leftover() const noexcept { return leftover_; }

 private:
  enum class State : std::uint8_t {
    complete,    // nothing (more) comes
    collecting,  // being read as a whole
    streaming,   // comes through `next`
    failed,
  };

  void begin_some(const RequestParser& head, std::uint64_t max_content, std::size_t max_body) noexcept;
  Error fail(int status, Error error) noexcept;
  Result<std::string_view> read_sized(std::span<char> room) noexcept;
  Result<std::string_view> read_chunked(std::span<char> room) noexcept;
  Result<std::string_view> read_some(std::span<char> room) noexcept;

  Exchange* exchange_;
  std::span<char> window_;
  Strand* waiting_ = nullptr;
  ChunkedDecoder decoder_;
  std::uint64_t remaining_ = 0;  // of a body with Content-Length
  std::size_t collected_ = 0;    // bytes of the window that hold the body's start
  std::size_t max_body_ = 0;
  std::string_view whole_;
  std::string_view unread_;  // collected, to be given by `next` first
  std::string_view leftover_;
  Result<std::string_view> result_ = Error::would_block;
  std::uint32_t burst_ = 0;  // bytes given since a handler last waited
  std::uint16_t error_status_ = 0;
  State state_ = State::complete;
  Error error_ = Error::none;
  bool chunked_ = false;
  bool kept_ = true;
  bool owes_continue_ = false;
};

}  // namespace microdot::inline MICRODOT_ABI::detail
