#pragma once
/// Server-Sent Events (WHATWG HTML 9.2) for handlers:
///
///     app.get("/events", with_sse([](Request&, SSE& sse) -> Task<> {
///       for (int i = 0; co_await sse.send(std::to_string(i)); ++i) co_await sleep_for(1s);
///     }));
///
/// and in the page: `new EventSource("/events").onmessage = event => …`. A stream of events lives in a stream
/// slot (`Limits::streams`), not in an exchange. It ends when the handler returns; browsers then come again.
/// See `Stream` for what happens to the handler when the client goes.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <microdot/stream.hpp>

namespace microdot::inline MICRODOT_ABI {

/// How events are sent.
struct SSEOptions {
  WhenSlow when_slow = WhenSlow::wait;  ///< See `StreamOptions`.
  std::uint32_t queue_bytes = 0;        ///< Likewise.
  /// After so long without an event a comment is sent, so that nobody on the way takes the connection for
  /// dead, and a client that is gone is noticed. Zero: never.
  Milliseconds keep_alive = std::chrono::seconds(15);
};

/// An open stream of events.
class SSE final : public Stream {
 public:
  using Options = SSEOptions;

  /// For the library: made by the route.
  SSE(detail::Server& server, detail::StreamSlot& slot, const Options& options) noexcept;
  ~SSE() = default;

  class Send;

  /// `co_await sse.send(data, event, id)` sends an event. Lines of `data` may end as they like; `event` is
  /// its name ("" for "message"); `id` comes back in `last_event_id` when the client has to connect again.
  /// The texts must stay valid until it is sent. Errors: `closed`; `invalid`, when `event` or `id` has a
  /// line end or `id` a NUL.
  [[nodiscard]] Send send(std::string_view data, std::string_view event = {},
                          std::string_view id = {}) noexcept;
  /// Tells the client how long to wait before it connects again.
  [[nodiscard]] Send retry(Milliseconds time) noexcept;
  /// Sends what clients ignore.
  [[nodiscard]] Send comment(std::string_view text) noexcept;

  /// The id of the last event that the client has seen before it came (again); "" for none.
  std::string_view last_event_id() noexcept { return request().headers["Last-Event-ID"]; }

  /// For the route: what a request is answered. `start` is taken.
  static Response answer(Request& request, const Options& options, detail::StreamStart* start) noexcept;

 private:
  Duration on_quiet() noexcept override;
  Queued first_message(std::string_view queued) const noexcept override;
  void destroy() noexcept override { this->~SSE(); }
};

/// See `SSE::send`.
class SSE::Send final : public StreamSend {
 public:
  enum class Kind : std::uint8_t { event, retry, comment };

  Send(SSE& sse, Kind kind, std::string_view data, std::string_view event, std::string_view id) noexcept;
  Send(SSE& sse, Milliseconds retry) noexcept;

 private:
  std::size_t render(std::size_t skip, std::span<char> room) const noexcept override;

  std::string_view data_;
  std::string_view event_;
  std::string_view id_;
  std::uint64_t retry_ = 0;  // milliseconds
  Kind kind_;
};

inline SSE::Send SSE::send(std::string_view data, std::string_view event, std::string_view id) noexcept {
  return Send(*this, Send::Kind::event, data, event, id);
}
inline SSE::Send SSE::retry(Milliseconds time) noexcept { return Send(*this, time); }
inline SSE::Send SSE::comment(std::string_view text) noexcept {
  return Send(*this, Send::Kind::comment, text, {}, {});
}

/// A route's handler that sends events. `handler` is called as f(Request&, SSE&, path arguments…) and returns
/// Task<>; the request is a copy of its head, with what hooks have left in `g`.
template <typename F>
auto with_sse(F handler, const SSEOptions& options = {}) {
  return detail::make_stream_route<SSE>(std::move(handler), options);
}

}  // namespace microdot::inline MICRODOT_ABI
