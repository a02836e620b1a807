#include <microdot/ext/sse.hpp>

#include <algorithm>

#include <microdot/base/text.hpp>

namespace microdot::inline MICRODOT_ABI {
namespace {

// The next line of `text`, without its end: LF, CR or CRLF. Behind the last line `text` has null data.
std::string_view take_line(std::string_view& text) noexcept {
  const std::size_t end = std::min(text.find_first_of("\r\n"), text.size());
  const std::string_view line = text.substr(0, end);
  if (end == text.size()) {
    text = {};
    return line;
  }
  const bool crlf = text[end] == '\r' && text.substr(end + 1).starts_with('\n');
  text.remove_prefix(end + (crlf ? 2 : 1));
  return line;
}

// Writes texts one behind the other, without the first bytes, as far as there is room; counts them all.
class Window {
 public:
  Window(std::size_t skip, std::span<char> room) noexcept : skip_(skip), room_(room) {}
  void put(std::string_view text) noexcept {
    size_ += text.size();
    const std::size_t skipped = std::min(skip_, text.size());
    skip_ -= skipped;
    room_ = room_.subspan(text.substr(skipped).copy(room_.data(), room_.size()));
  }
  void put_lines(std::string_view name, std::string_view text) noexcept {
    do {
      put(name);
      put(take_line(text));
      put("\n");
    } while (text.data() != nullptr);
  }
  std::size_t size() const noexcept { return size_; }

 private:
  std::size_t skip_;
  std::span<char> room_;
  std::size_t size_ = 0;
};

bool is_one_line(std::string_view text) noexcept {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

}  // namespace

SSE::SSE(detail::Server& server, detail::StreamSlot& slot, const Options& options) noexcept
    : Stream(server, slot,
             {.when_slow = options.when_slow,
              .queue_bytes = options.queue_bytes,
              .keep_alive = options.keep_alive}) {}

Response SSE::answer(Request&, const Options&, detail::StreamStart* start) noexcept {
  Response response(start, 200);
  response.header("Content-Type", "text/event-stream");
  response.header("Cache-Control", "no-cache, no-transform");
  response.header("X-Accel-Buffering", "no");  // nginx and those who follow it
  return response;
}

Duration SSE::on_quiet() noexcept {
  const Duration quiet = now() - last_sent();
  if (quiet < keep_alive()) return keep_alive() - quiet;
  append(":\n\n");
  flush();
  return keep_alive();
}

Stream::Queued SSE::first_message(std::string_view queued) const noexcept {
  const std::size_t end = queued.find("\n\n");
  return {end == std::string_view::npos ? queued.size() : end + 2, true};
}

SSE::Send::Send(SSE& sse, Kind kind, std::string_view data, std::string_view event,
                std::string_view id) noexcept
    : StreamSend(sse), data_(data), event_(event), id_(id), kind_(kind) {
  if (!is_one_line(event) || !is_one_line(id)) refuse();
}

SSE::Send::Send(SSE& sse, Milliseconds retry) noexcept
    : StreamSend(sse),
      retry_(static_cast<std::uint64_t>(std::max<std::int64_t>(retry.count, 0))),
      kind_(Kind::retry) {}

std::size_t SSE::Send::render(std::size_t skip, std::span<char> room) const noexcept {
  Window window(skip, room);
  switch (kind_) {
    case Kind::event:
      if (id_.data() != nullptr) window.put_lines("id: ", id_);
      if (!event_.empty()) window.put_lines("event: ", event_);
      window.put_lines("data: ", data_);
      break;
    case Kind::retry: {
      char number[kMaxDecimal];
      window.put_lines("retry: ", {number, write_decimal(number, retry_)});
      break;
    }
    case Kind::comment: window.put_lines(": ", data_); break;
  }
  window.put("\n");
  return window.size();
}

}  // namespace microdot::inline MICRODOT_ABI
