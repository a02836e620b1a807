#pragma once
/// Live streams: connections that go on after their answer's head, apart from exchanges, in memory of their
/// own. What WebSocket and Server-Sent Events are made of (ext/websocket.hpp, ext/sse.hpp), and protocols of
/// your own.

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <microdot/async/channel.hpp>
#include <microdot/async/strand.hpp>
#include <microdot/async/task.hpp>
#include <microdot/http/request_parser.hpp>
#include <microdot/limits.hpp>
#include <microdot/request.hpp>
#include <microdot/response.hpp>

namespace microdot::inline MICRODOT_ABI {

class Stream;
class Transport;

namespace detail {

class Connection;
class Exchange;
class Server;

/// What a server knows of a stream. Programs that open none have no part of the rest.
class LiveStream {
 public:
  /// The answer's head has been sent: from here on the connection is the stream's. `rest`: what the client
  /// has sent behind its request.
  virtual void begin(Connection& connection, std::string_view rest) noexcept = 0;
  // What happens to its connection.
  virtual void on_readable() noexcept = 0;
  virtual void on_writable() noexcept = 0;
  virtual void on_gone() noexcept = 0;
  virtual void on_deadline() noexcept = 0;
  /// Ends it in order, with its protocol's farewell.
  virtual void shutdown() noexcept = 0;
  /// Ends it at once, and gives its memory back; the connection is for others to close.
  virtual void stop() noexcept = 0;
  /// See `App::check`.
  virtual const char* check() const noexcept = 0;

 protected:
  ~LiveStream() = default;
};

/// The memory of one stream, within the App's block.
class StreamSlot : public ListHook {
 public:
  explicit StreamSlot(std::span<std::byte> memory) noexcept : arena(memory) {}

  Arena arena;
  LiveStream* stream = nullptr;
  Endpoint client;  ///< Whose stream it is, from the time the slot is taken.

  /// See `Server::rest`.
  std::uint8_t& rested() noexcept { return rested_; }

 private:
  std::uint8_t rested_ = 0;
};

/// What an answer of the kind `stream` begins: made by a handler in its request's arena, opened when the
/// answer is final.
class StreamStart {
 public:
  /// Takes a slot, copies the request into it and makes the stream, which begins when the head is sent. An
  /// error's status if that can't be, else 0. Virtual, so that programs without streams have no part of it.
  virtual int open(Exchange& exchange) noexcept;
  virtual void destroy() noexcept = 0;

 protected:
  ~StreamStart() = default;
  /// Makes the protocol's stream in `slot`'s arena; null if there is no room.
  virtual Stream* make(Server& server, StreamSlot& slot) noexcept = 0;
  /// Calls the handler: its coroutine's frame lies in the slot's arena, the current one.
  virtual Task<> call(Stream& stream, Request& request) = 0;
};

}  // namespace detail

/// One message on its way to the client, as an awaitable: protocols derive from it.
class StreamSend : public ListHook {
 public:
  explicit StreamSend(Stream& stream) noexcept : stream_(&stream) {}
  /// Of one that does not wait yet: for `wait_for` and `gather`.
  StreamSend(StreamSend&& other) noexcept : stream_(other.stream_), error_(other.error_) {}
  StreamSend& operator=(StreamSend&&) = delete;
  ~StreamSend() {
    if (strand_ != nullptr) stop_waiting();
  }

  bool await_ready() noexcept;
  void await_suspend(std::coroutine_handle<> handle) noexcept;
  /// Errors: `closed`, the client is gone or the stream has ended; `invalid`, it can't be sent like this.
  Result<void> await_resume() const noexcept { return error_; }

 protected:
  /// Writes what follows the message's first `skip` bytes into `room`, as much as fits; returns the size of
  /// the whole message.
  virtual std::size_t render(std::size_t skip, std::span<char> room) const noexcept = 0;
  /// It can't be sent like this.
  void refuse() noexcept { error_ = Error::invalid; }
  Stream& stream() const noexcept { return *stream_; }

 private:
  friend class Stream;
  void stop_waiting() noexcept;

  Stream* stream_;
  Strand* strand_ = nullptr;  // that waits
  bool taken_ = false;        // it has had its turn, and lets others have theirs
  std::size_t done_ = 0;      // bytes of it that are in the queue, or sent
  Error error_ = Error::none;
};

/// How a stream is served, whatever its protocol.
struct StreamOptions {
  /// What a client's slowness does to those who send to it. A message larger than the queue is sent in pieces
  /// and waited for in any case.
  WhenSlow when_slow = WhenSlow::wait;
  /// Bytes that are kept for a client that does not take them at once; 0: a quarter of
  /// `Limits::stream_bytes`.
  std::uint32_t queue_bytes = 0;
  /// After so long without a sign of life the client is asked for one. Zero: never.
  Milliseconds keep_alive = std::chrono::seconds(25);
};

/// A live stream, of which a protocol is made: queue and time-outs of what is sent, the handler's strand, and
/// the copy of the request. It lies in its slot, with everything that belongs to it.
///
/// **When the client goes**, or ends the stream, or the server shuts down: whoever waits in `send` or for
/// input gets `closed`, and the handler has `Limits::linger_timeout` to return; a handler that waits for
/// something else is destroyed at once.
class Stream : public detail::LiveStream, private Strand::Owner {
 public:
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  /// Whether there is still somebody to send to.
  bool is_open() const noexcept { return state_ == State::open; }
  /// Messages that this client did not get since it was too slow (`WhenSlow::drop_oldest`).
  std::uint32_t dropped() const noexcept { return dropped_; }

 protected:
  Stream(detail::Server& server, detail::StreamSlot& slot, const StreamOptions& options) noexcept;
  ~Stream() = default;

  /// Why a stream ends.
  enum class End : std::uint8_t { returned, failed, shutdown };

  // What a protocol is asked for.

  /// The request is there; `answer`, with which the stream begins, may get more fields. False if its own
  /// memory found no room.
  virtual bool prepare(Response& answer) noexcept {
    (void)answer;
    return true;
  }
  /// It begins, with what came behind the request.
  virtual void on_begin(std::string_view rest) noexcept { (void)rest; }
  /// The client has sent something. Reads and drops it, unless overridden.
  virtual void on_input() noexcept;
  /// Nothing was heard for `keep_alive`; returns how long until the next time.
  virtual Duration on_quiet() noexcept = 0;
  /// There is room in the queue again.
  virtual void on_room() noexcept {}
  /// The handler has ended: the last chance to append something (`append`).
  virtual void on_end(End end) noexcept { (void)end; }
  /// Something is still owed to the client, for which `on_room` waits.
  virtual bool owes() const noexcept { return false; }
  /// The size of the first message in `queued`, and whether it may be dropped. All of it is there.
  struct Queued {
    std::size_t size;
    bool droppable;
  };
  virtual Queued first_message(std::string_view queued) const noexcept = 0;
  /// Something to be answered lies here already: answers may wait for each other, to be sent in one go.
  virtual bool expects_more() const noexcept { return false; }
  /// Calls the destructor. Not a virtual one, which would bring `operator delete` with it.
  virtual void destroy() noexcept = 0;

  // What a protocol may use.

  Arena& arena() const noexcept { return slot_->arena; }
  Request& request() noexcept { return *request_; }
  const Limits& limits() const noexcept;
  TimePoint now() const noexcept;
  /// Memory for one that compresses (`Limits::ws_compressed`), none if it is all in use; and back.
  std::span<std::byte> take_compression() noexcept;
  void free_compression(std::byte* memory) noexcept;
  /// When bytes last went to the transport.
  TimePoint last_sent() const noexcept { return sent_at_; }
  Duration keep_alive() const noexcept { return options_.keep_alive; }
  bool may_drop() const noexcept { return options_.when_slow == WhenSlow::drop_oldest; }
  /// Reads from the client. 0: it ends its side.
  Result<std::size_t> read(std::span<char> room) noexcept;
  /// Whether the client's bytes are wanted; at first they are.
  void set_reading(bool wanted) noexcept;
  /// Appends to the queue what is not a message of the handler's. False while there is no room, or a message
  /// is in the middle.
  bool append(std::string_view bytes) noexcept;
  /// Sends what is in the queue.
  void flush() noexcept;
  /// The client can't be spoken to any more: resets it.
  void lose() noexcept;
  /// The stream ends, in order: see the class.
  void end() noexcept;
  /// The handler has `Limits::linger_timeout` to return, and may send meanwhile.
  void end_soon() noexcept;
  /// A message was read, for the statistics.
  void count_message_in() noexcept;
  void count_timeout() noexcept;

  /// Waits for input; one strand at a time.
  void wait_for_input(std::coroutine_handle<> handle) noexcept;
  void wake_reader() noexcept;
  /// The strand that waits for input; null if none does.
  const Strand* reader() const noexcept { return reader_; }
  void forget_reader() noexcept { reader_ = nullptr; }

 private:
  friend class StreamSend;
  friend class detail::StreamStart;

  enum class State : std::uint8_t {
    opening,  // the answer's head is under way
    open,
    ending,    // the handler may return by itself, for a while
    flushing,  // it has ended; what is left is sent
  };

  // LiveStream
  void begin(detail::Connection& connection, std::string_view rest) noexcept final;
  void on_readable() noexcept final;
  void on_writable() noexcept final;
  void on_gone() noexcept final;
  void on_deadline() noexcept final;
  void shutdown() noexcept final;
  void stop() noexcept final;
  const char* check() const noexcept final;
  // Strand::Owner
  void on_finished(Strand& strand) noexcept override;
  void on_stopped(Strand& strand) noexcept override;
  std::uint32_t task_limit() const noexcept override;
  void describe(TextBuilder& text) const noexcept override;

  bool begin_send(StreamSend& send) noexcept;
  bool may_go_on(StreamSend& send, std::size_t size) noexcept;
  bool send_pieces(StreamSend& send) noexcept;
  bool make_room(std::size_t size) noexcept;
  bool drop_oldest(std::size_t size) noexcept;
  void note_sent(std::size_t size) noexcept;
  void pump() noexcept;
  void finish_send(StreamSend& send, Error error) noexcept;
  void schedule() noexcept;
  void end_handler(End end) noexcept;
  void wind_up() noexcept;
  void release() noexcept;
  void free_slot() noexcept;
  bool has_room(std::size_t size) const noexcept { return queue_.size() - queued_end_ >= size; }

  detail::Server* server_;
  detail::StreamSlot* slot_;
  detail::Connection* connection_ = nullptr;
  Strand* reader_ = nullptr;
  Strand* woken_ = nullptr;  // by the event at hand
  StreamOptions options_;
  State state_ = State::opening;
  End end_ = End::returned;
  bool gone_ = false;
  bool reading_ = true;
  bool writing_ = false;           // the transport tells when there is room
  bool blocked_ = false;           // until it tells, it takes nothing
  bool in_turn_ = false;           // the handler was woken by input; what it sends is flushed when it waits
  std::uint16_t* held_ = nullptr;  // a route's count of active requests
  std::span<char> queue_;
  std::uint32_t sent_ = 0;  // bytes of the queue that the transport has taken
  std::uint32_t queued_end_ = 0;
  std::size_t kept_ = 0;  // bytes at the queue's front that can't be dropped: a part of their message is sent
  std::uint32_t dropped_ = 0;
  std::uint32_t burst_ = 0;  // bytes that were sent without waiting
  TimePoint sent_at_{};
  TimePoint quiet_at_ = TimePoint::max();
  TimePoint stuck_at_ = TimePoint::max();  // when the client takes nothing until then
  TimePoint end_at_ = TimePoint::max();    // when the handler does not return until then
  List<StreamSend> senders_;
  Task<> task_;
  Strand handler_;
  RequestParser parser_;
  std::optional<Request> request_;
};

namespace detail {

/// The parts of a stream handler's signature: f(Request&, Protocol&, path args…).
template <typename Protocol, typename Call>
struct StreamSignature {
  static constexpr bool kValid = false;
};
template <typename Protocol, typename R, typename... Args>
struct StreamSignature<Protocol, R(Request&, Protocol&, Args...)> {
  static constexpr bool kValid = std::is_same_v<R, Task<>>;
  template <template <typename, typename, typename...> typename Route, typename F>
  using RouteFor = Route<Protocol, F, Args...>;
};
}  // namespace detail

/// A route's handler that begins a stream of `Protocol`, for `F`, which is called as
/// f(Request&, Protocol&, Args…).
template <typename Protocol, typename F, typename... Args>
class StreamRoute {
 public:
  using Options = typename Protocol::Options;

  StreamRoute(F f, const Options& options) : f_(std::move(f)), options_(options) {}

  Response operator()(Request& request, Args... args) {
    Start* start = detail::make_in<Start>(request.arena(), *this, std::move(args)...);
    return Protocol::answer(request, options_, start);
  }

 private:
  class Start final : public detail::StreamStart {
   public:
    explicit Start(StreamRoute& route, Args... args) : route_(&route), args_(std::move(args)...) {}
    void destroy() noexcept override {
      this->~Start();
      Arena::free(this);
    }

   private:
    Stream* make(detail::Server& server, detail::StreamSlot& slot) noexcept override {
      return detail::make_in<Protocol>(slot.arena, server, slot, route_->options_);
    }
    Task<> call(Stream& stream, Request& request) override {
      return std::apply(
          [&](Args&... args) {
            bool fits = true;
            ((fits = keep(request.arena(), args) && fits), ...);
            return fits ? route_->f_(request, static_cast<Protocol&>(stream), std::move(args)...) : Task<>();
          },
          args_);
    }
    // Views are of the request's bytes, which the exchange keeps.
    template <typename T>
    static bool keep(Arena& arena, T& value) noexcept {
      if constexpr (std::is_same_v<T, std::string_view>) {
        const bool empty = value.empty();
        value = arena.copy(value);
        return empty || value.data() != nullptr;
      } else {
        return true;
      }
    }

    StreamRoute* route_;
    std::tuple<Args...> args_;
  };

  F f_;
  Options options_;
};

namespace detail {

template <typename Protocol, typename F>
auto make_stream_route(F f, const typename Protocol::Options& options) {
  using Signature = StreamSignature<Protocol, typename CallOf<F>::type>;
  static_assert(Signature::kValid,
                "a stream's handler is a coroutine that takes Request&, the stream by reference, then path "
                "arguments by value, and returns Task<>");
  if constexpr (Signature::kValid) {
    return typename Signature::template RouteFor<StreamRoute, F>(std::move(f), options);
  }
}

}  // namespace detail

}  // namespace microdot::inline MICRODOT_ABI
