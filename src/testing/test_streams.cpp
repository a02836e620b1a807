#include <microdot/testing/test_streams.hpp>

#include <algorithm>
#include <array>
#include <charconv>

#include <microdot/testing/test_client.hpp>

namespace microdot::inline MICRODOT_ABI {

TimePoint TestStream::patience() const { return client_->sim().clock().now() + client_->timeout_; }

bool TestStream::wait(TimePoint deadline) {
  const std::size_t before = connection_.received().size();
  while (connection_.received().size() == before) {
    if (connection_.closed() || !client_->turn(deadline)) return false;
  }
  return true;
}

// TestWebSocket

void TestWebSocket::send_frame(WebSocketOpcode opcode, std::string_view payload, bool fin, std::uint8_t rsv) {
  const WebSocketMask mask = {'\x12', '\x34', '\x56', '\x78'};
  std::array<char, kMaxWebSocketHead> head;
  const std::size_t size = write_websocket_head(
      {.opcode = opcode, .payload_bytes = payload.size(), .fin = fin, .rsv = rsv, .mask = mask}, head);
  std::string frame(head.end() - size, head.end());
  frame += payload;
  apply_websocket_mask(std::span(frame).subspan(size), mask);
  connection_.send(frame);
}

void TestWebSocket::close(std::uint16_t code, std::string_view reason) {
  if (said_close_) return;
  said_close_ = true;
  std::array<char, kMaxControlPayload> payload;
  send_frame(WebSocketOpcode::close, {payload.data(), write_close_payload(code, reason, payload)});
}

bool TestWebSocket::take(const WebSocketResult& result) {
  const std::string_view payload(result.payload.data(), result.payload.size());
  switch (result.event) {
    case WebSocketEvent::data:
      message_.data += payload;
      message_.is_text = result.opcode == WebSocketOpcode::text;
      message_.rsv = result.rsv;
      return result.end;
    case WebSocketEvent::ping:
      ++pings_;
      if (answers_) send_frame(WebSocketOpcode::pong, payload);
      return false;
    case WebSocketEvent::pong: pongs_.emplace_back(payload); return false;
    case WebSocketEvent::close: {
      const WebSocketClose said = parse_close_payload(payload);
      close_code_ = said.code;
      close_reason_ = said.reason;
      closed_ = true;
      close(said.code);
      return false;
    }
    case WebSocketEvent::error:
      close_code_ = decoder_.error_code();
      close_reason_ = decoder_.error_reason();
      closed_ = true;
      return false;
    case WebSocketEvent::need_more: return false;
  }
  return false;
}

std::optional<TestMessage> TestWebSocket::receive() {
  const TimePoint deadline = patience();
  while (status_code_ == 101 && !closed_) {
    std::string bytes(connection_.received());
    const WebSocketResult result = decoder_.decode(bytes);
    const bool complete = take(result);
    connection_.consume(result.consumed);
    if (complete) return std::exchange(message_, {});
    if (result.event == WebSocketEvent::need_more && !wait(deadline)) break;
  }
  return std::nullopt;
}

// TestEvents

std::optional<std::string> TestEvents::line(TimePoint deadline) {
  for (;;) {
    const std::string_view bytes = connection_.received();
    const std::size_t end = bytes.find('\n');
    if (end != std::string_view::npos) {
      std::string text(bytes.substr(0, end));
      connection_.consume(end + 1);
      return text;
    }
    if (!wait(deadline)) return std::nullopt;
  }
}

std::optional<TestEvent> TestEvents::next() {
  if (status_code_ != 200) return std::nullopt;
  const TimePoint deadline = patience();
  TestEvent event;
  bool has_data = false;
  while (const std::optional<std::string> text = line(deadline)) {
    if (text->empty()) {
      if (has_data) {
        event.id = id_;
        return event;
      }
      event = {};
      continue;
    }
    const std::size_t colon = std::min(text->find(':'), text->size());
    const std::string name = text->substr(0, colon);
    std::string value = text->substr(std::min(colon + 1, text->size()));
    if (value.starts_with(' ')) value.erase(0, 1);
    if (name.empty()) {
      comments_.push_back(value);
    } else if (name == "data") {
      if (has_data) event.data += '\n';
      has_data = true;
      event.data += value;
    } else if (name == "event") {
      event.event = value;
    } else if (name == "id") {
      id_ = value;
    } else if (name == "retry") {
      std::from_chars(value.data(), value.data() + value.size(), retry_);
    }
  }
  return std::nullopt;
}

}  // namespace microdot::inline MICRODOT_ABI
