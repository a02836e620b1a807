#pragma once
/// One request and its response in flight: the buffers, the strand that serves it, and the arena of its
/// handler. There are few; connections borrow them. How one is served reads from top to bottom in
/// connection.cpp (`Exchange::serve`).

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include <microdot/app.hpp>
#include <microdot/async/strand.hpp>
#include <microdot/async/task.hpp>
#include <microdot/http/request_parser.hpp>

#include "body_reader.hpp"
#include "connection.hpp"
#include "dispatch.hpp"

namespace microdot::inline MICRODOT_ABI::detail {

class Server;

class Exchange final : public ListHook, private Strand::Owner {
 public:
  /// The parts of the App's block that belong to one exchange.
  struct Memory {
    std::span<HeaderField> fields;
    std::span<char> in;    ///< Where requests are read to: `head_bytes`, and behind them what `body` is.
    std::span<char> body;  ///< For the body of the request in hand, whose head lies before it then.
    std::span<char> response;
    std::span<std::byte> arena;
  };

  Exchange(Server& server, const Memory& memory) noexcept;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  ~Exchange() { stop(); }

  /// Starts the coroutine that serves one connection after the other. False if its frame does not fit in the
  /// arena.
  bool start() noexcept;
  /// Ends it, with whatever it does.
  void stop() noexcept;
  bool busy() const noexcept { return connection_ != nullptr; }
  Arena& arena() noexcept { return arena_; }
  /// See `App::check`.
  const char* check() const noexcept;

  /// Serves the requests of a readable connection.
  void assign(Connection& connection) noexcept;
  /// Serves at once what can be served without waiting.
  void run_now() noexcept { strand_.run_now(); }

  // What happens to its connection meanwhile.
  void on_readable() noexcept;
  void on_writable() noexcept;
  void on_gone() noexcept;
  void on_deadline() noexcept;
  /// Whether it waits for a client that is slower than the rates allow after `grace`.
  bool too_slow(Milliseconds grace) const noexcept;
  const Connection* connection() const noexcept { return connection_; }

  /// See `Server::rest`.
  std::uint8_t& rested() noexcept { return rested_; }

  // For the body.

  std::string_view head_text() const noexcept { return {in_.data() + start_, parser_.head_bytes()}; }
  /// What came behind the head. If that is not all of the body, no more than the body is there.
  std::span<char> buffered() const noexcept { return in_.subspan(consumed_, filled_ - consumed_); }
  void take_buffered(std::size_t size) noexcept { consumed_ += static_cast<std::uint32_t>(size); }
  /// So many bytes of what follows the body have room when the request has ended.
  std::size_t capacity() const noexcept { return in_.size(); }
  /// Reads from the client, after "100 Continue" if it waits for that.
  Result<std::size_t> read_transport(std::span<char> room) noexcept;
  void want_body() noexcept;

 private:
  friend void log_outcome(Exchange& exchange, int refused) noexcept;
  friend void append_piece(Exchange& exchange) noexcept;
  friend class StreamStart;  // takes a copy of the request

  /// What the serving strand waits for.
  enum class Waiting : std::uint8_t { nothing, connection, head, body, handler, flush, tail };

  /// Serves one connection after the other; see connection.cpp.
  Task<> serve();

  // What `serve` awaits; see serve_awaiters.hpp.
  class NextConnection;
  class ReadHead;
  class ReadBody;
  class TaskEnd;
  class NextPiece;
  class Flush;
  class SendTail;

  // Their attempts; `would_block` means: wait. The last outcome of reading is in `error_`.
  Error try_head() noexcept;
  void move_to_front() noexcept;
  Error flush_before_waiting() noexcept;
  Error try_body() noexcept;
  Error put_continue() noexcept;
  Error try_flush() noexcept;
  Error try_tail() noexcept;
  // What they do before they wait.
  void start_reading(Milliseconds Limits::*timeout) noexcept;
  void start_writing() noexcept;
  void begin_wait(Milliseconds Limits::*timeout, std::uint32_t Limits::*rate) noexcept;
  void start_handler(std::coroutine_handle<> task) noexcept;
  void wait_for_handler() noexcept;
  void limit_handler() noexcept;
  void send_early() noexcept;
  void wait(Waiting what, std::coroutine_handle<> handle) noexcept;
  void wake(Waiting what) noexcept;

  /// Runs a coroutine of the handler's up to where it waits. True if it has ended, or was stopped.
  bool run_handler(std::coroutine_handle<> task) noexcept;
  /// It was stopped, it has not ended.
  bool handler_stopped() const noexcept { return handler_strand_.stop_reason().cause != Stop::Cause::none; }

  // The steps of `serve` between them.
  void refuse_head(Error error) noexcept;
  void begin_request() noexcept;
  void refuse_body(Error error) noexcept;
  void find_route() noexcept;
  /// False: it threw, and there is nothing to take.
  bool finish_call() noexcept;
  bool begin_response() noexcept;
  bool open_stream(Response& response) noexcept;
  void begin_body() noexcept;
  bool more_body() noexcept;
  bool begins_stream() noexcept;
  bool stream_failed() noexcept;
  bool wants_piece() const noexcept;
  std::coroutine_handle<> next_piece() noexcept;
  void append_chunk(std::string_view piece) noexcept;
  /// Writes what there is room for.
  void put(std::string_view bytes) noexcept {
    if (!bytes.empty()) std::memcpy(out_room().data(), bytes.data(), bytes.size());
    out_size_ += static_cast<std::uint32_t>(bytes.size());
  }
  void append(std::string_view bytes) noexcept;
  bool tail_pending() const noexcept { return !connection_->tail().empty(); }
  bool leave_tail() noexcept;
  bool holds(std::string_view bytes) const noexcept;
  /// True: the next one lies here already, but others are to have their turn.
  bool end_request() noexcept;
  void drop_request() noexcept;
  void release() noexcept;

  bool wants_keep_alive() const noexcept;
  bool take_framing(const Header& field) noexcept;
  bool write_head(std::optional<std::uint64_t> content_length) noexcept;
  bool write_usual(const Response& response) noexcept;
  void begin_file_part(std::uint64_t offset, std::uint64_t size) noexcept;
  void lose_client() noexcept { gone_ = true; }
  std::span<char> out_room() noexcept { return out_.subspan(out_size_); }
  /// Whether a body of this size goes into the response buffer, with the head in one write. A larger one is
  /// sent from where it lies: to copy it would cost more than to tell the system of two places.
  bool goes_with_head(std::uint64_t size) noexcept { return size <= out_room().size() && size <= kSmallBody; }

  // Strand::Owner, for both strands.
  void on_finished(Strand& strand) noexcept override;
  void on_stopped(Strand& strand) noexcept override;
  std::uint32_t task_limit() const noexcept override;
  void describe(TextBuilder& text) const noexcept override;

  /// Where a response's body comes from while it is sent.
  enum class Sending : std::uint8_t { nothing, generator, source };
  static constexpr std::uint32_t kNothingOfOurs = UINT32_MAX;
  static constexpr std::uint32_t kSmallBody = 4096;
  /// Pieces that may leave together. A bound of its own: empty ones fill no buffer.
  static constexpr std::uint8_t kPiecesAtOnce = 24;
  /// Requests that may be served one after the other, as long as that takes less than a millisecond.
  static constexpr int kRequestsAtOnce = 256;

  // What is small and used by everything comes first: there one instruction of 16 bits reaches it.
  Server* server_;
  Connection* connection_ = nullptr;
  LiveStream* stream_ = nullptr;  // begins when the response's head is sent
  Error error_ = Error::none;
  Waiting waiting_ = Waiting::nothing;
  Sending sending_ = Sending::nothing;
  bool may_read_ = false;    // more of a head, before the next event
  bool gone_ = false;        // the client went, or can't be answered as promised
  bool linger_ = true;       // the client may still be sending (RFC 9112 9.6): drain before closing
  bool keep_alive_ = false;  // after this response
  bool chunked_ = false;     // the response is
  std::uint16_t turn_ = 0;   // requests of this connection since it was assigned; many go round
  std::uint8_t pieces_ = 0;  // of a generator, since the last ones were sent
  std::uint8_t rested_ = 0;
  bool piece_ready_ = false;                  // the stream's next piece, or its end, has come already
  bool sendfile_ = true;                      // the transport takes files
  Method served_method_ = Method::other;      // of the request in hand, or the last one
  const RouteEntry* served_route_ = nullptr;  // likewise; null: none
  int refusal_ = 0;                           // the status that a request is refused with before it is routed
  std::span<char> in_;
  std::span<char> out_;
  std::uint32_t filled_ = 0;      // bytes in in_
  std::uint32_t start_ = 0;       // where the request in hand begins
  std::uint32_t consumed_ = 0;    // of in_, already used
  std::uint32_t out_size_ = 0;    // bytes in out_
  std::uint32_t out_sent_ = 0;    // of them, already sent
  std::uint32_t tail_sent_ = 0;   // of the connection's tail, behind the last byte of ours that is under way
  std::string_view pending_;      // a part of the body that is sent from where it lies, behind out_
  std::string_view suffix_;       // and what comes behind that
  std::uint64_t body_bytes_ = 0;  // sent so far, for the log
  TimePoint began_{};             // when the request's head was complete
  Arena arena_;
  Strand strand_;          // runs serve()
  Strand handler_strand_;  // runs handlers, hooks and generators that are coroutines
  RequestParser parser_;
  BodyReader body_;
  std::optional<Request> request_;
  std::optional<Dispatch> dispatch_;
  Task<> serving_;
};

}  // namespace microdot::inline MICRODOT_ABI::detail
