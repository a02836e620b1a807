// Frames in one piece and in pieces give the same messages, control frames and error as a plain reading of
// RFC 6455 that has all bytes at hand; nothing comes after an error; what was written is read again.
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <microdot/http/websocket.hpp>

#include "fuzz.hpp"

using namespace microdot;
using fuzz::require;

namespace {

struct Outcome {
  std::vector<std::string> events;  // the opcode or a control frame's, the extension bits, the payload
  std::string part;                 // of a message that has not ended; empty after an error
  int error = 0;
  std::size_t consumed = 0;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

std::string event(int opcode, int rsv, std::string_view payload) {
  return std::string{static_cast<char>(opcode), static_cast<char>(rsv)}.append(payload);
}

// In pieces of the sizes that `step()` gives, each in memory of exactly its size.
template <typename Step>
Outcome decode(std::string_view input, WebSocketDecoderOptions options, Step step) {
  WebSocketDecoder decoder(options);
  Outcome out;
  while (!input.empty() && out.error == 0) {
    const std::size_t size = std::min<std::size_t>(step(), input.size());
    const auto piece = std::make_unique<char[]>(size);
    input.copy(piece.get(), size);
    input.remove_prefix(size);
    std::span<char> rest(piece.get(), size);
    for (bool more = true; more;) {
      const WebSocketResult r = decoder.decode(rest);
      require(r.consumed <= rest.size());
      const std::string_view payload(r.payload.data(), r.payload.size());
      out.consumed += r.consumed;
      switch (r.event) {
        case WebSocketEvent::need_more:
          require(r.consumed == rest.size());
          more = false;
          break;
        case WebSocketEvent::data:
          require(payload.empty() || fuzz::inside(payload, {rest.data(), r.consumed}));
          require(r.end || !payload.empty());
          out.part += payload;
          require(out.part.size() <= options.message_bytes);
          if (!r.end) break;
          out.events.push_back(event(static_cast<int>(r.opcode), r.rsv, out.part));
          out.part.clear();
          break;
        case WebSocketEvent::ping: out.events.push_back(event(9, 0, payload)); break;
        case WebSocketEvent::pong: out.events.push_back(event(10, 0, payload)); break;
        case WebSocketEvent::close: out.events.push_back(event(8, 0, payload)); break;
        case WebSocketEvent::error:
          out.error = decoder.error_code();
          out.part.clear();
          require(out.error != 0 && !decoder.error_reason().empty());
          for (int i = 0; i < 3; ++i) {
            const WebSocketResult again = decoder.decode(rest.subspan(r.consumed));
            require(again.event == WebSocketEvent::error && again.consumed == 0);
          }
          more = false;
      }
      rest = rest.subspan(r.consumed);
    }
  }
  return out;
}

// How many bytes of `text` are the beginning of UTF-8, by the table of RFC 3629 4, code point by code point;
// `whole` says whether it ends between two.
std::size_t utf8_prefix(std::string_view text, bool& whole) {
  struct Row {
    int low, high;
    std::array<std::array<int, 2>, 3> tails;
    int count;
  };
  static constexpr std::array<int, 2> kTail = {0x80, 0xbf};
  static constexpr Row kRows[] = {
      {0x00, 0x7f, {}, 0},
      {0xc2, 0xdf, {kTail}, 1},
      {0xe0, 0xe0, {{{0xa0, 0xbf}, kTail}}, 2},
      {0xe1, 0xec, {kTail, kTail}, 2},
      {0xed, 0xed, {{{0x80, 0x9f}, kTail}}, 2},
      {0xee, 0xef, {kTail, kTail}, 2},
      {0xf0, 0xf0, {{{0x90, 0xbf}, kTail, kTail}}, 3},
      {0xf1, 0xf3, {kTail, kTail, kTail}, 3},
      {0xf4, 0xf4, {{{0x80, 0x8f}, kTail, kTail}}, 3},
  };
  whole = true;
  std::size_t at = 0;
  while (at < text.size()) {
    const auto byte = [&](std::size_t i) { return static_cast<int>(static_cast<unsigned char>(text[i])); };
    const Row* row = nullptr;
    for (const Row& r : kRows) {
      if (byte(at) >= r.low && byte(at) <= r.high) row = &r;
    }
    if (row == nullptr) return at;
    ++at;
    for (int i = 0; i < row->count; ++i, ++at) {
      if (at == text.size()) {
        whole = false;
        return at;
      }
      const auto& range = row->tails[static_cast<std::size_t>(i)];
      if (byte(at) < range[0] || byte(at) > range[1]) return at;
    }
  }
  return at;
}

// What RFC 6455 says of `input`, with all of it at hand.
Outcome read_plainly(std::string_view input, WebSocketDecoderOptions options) {
  Outcome out;
  const auto at = [&](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(input[i])); };
  const auto fail = [&](int code, std::size_t consumed) {
    out.error = code;
    out.consumed = consumed;
    out.part.clear();
    return out;
  };
  const bool masked = options.sender == WebSocketSender::client;
  int message = 0;
  int message_rsv = 0;
  std::size_t begin = 0;
  while (begin < input.size()) {
    const unsigned first = at(begin);
    const int opcode = static_cast<int>(first & 15);
    const int rsv = static_cast<int>(first & 0x70);
    const bool fin = (first & 0x80) != 0;
    const bool control = opcode >= 8;
    const bool starts = opcode == 1 || opcode == 2;
    if ((opcode > 2 && opcode < 8) || opcode > 10 || (control && !fin) || (starts && message != 0) ||
        (opcode == 0 && message == 0) || (rsv & ~(starts ? options.allowed_rsv : 0)) != 0) {
      return fail(1002, begin + 1);
    }
    if (starts) {
      message = opcode;
      message_rsv = rsv;
      out.part.clear();
    }
    if (begin + 1 == input.size()) break;
    std::uint64_t size = at(begin + 1) & 127;
    if ((at(begin + 1) >= 128) != masked || (control && size > 125)) return fail(1002, begin + 2);
    std::size_t head = 2;
    if (size > 125) {
      const std::size_t bytes = size == 126 ? 2 : 8;
      if (bytes == 8 && begin + 2 < input.size() && at(begin + 2) >= 128) return fail(1002, begin + 3);
      if (input.size() - begin < 2 + bytes) break;
      size = 0;
      for (std::size_t i = 0; i < bytes; ++i) size = size << 8 | at(begin + 2 + i);
      head += bytes;
      if (size <= (bytes == 2 ? 125U : 65535U)) return fail(1002, begin + head);
    }
    if (!control && (size > options.message_bytes || out.part.size() + size > options.message_bytes)) {
      return fail(1009, begin + head);
    }
    const std::size_t key = begin + head;
    if (masked) head += 4;
    if (input.size() - begin < head) break;
    const std::string_view there = input.substr(begin + head, size);
    std::string payload(there);
    for (std::size_t i = 0; masked && i < payload.size(); ++i) {
      payload[i] = static_cast<char>(payload[i] ^ input[key + i % 4]);
    }
    const bool all = payload.size() == size;
    const std::size_t end = begin + head + payload.size();
    bool whole = true;
    if (control) {
      if (!all) break;
      if (opcode == 8 && size == 1) return fail(1002, end);
      if (opcode == 8 && size > 1) {
        const int code =
            static_cast<unsigned char>(payload[0]) * 256 + static_cast<unsigned char>(payload[1]);
        const bool registered = code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
        if (!registered && (code < 3000 || code > 4999)) return fail(1002, end);
        if (utf8_prefix(payload.substr(2), whole) != size - 2 || !whole) return fail(1007, end);
      }
      out.events.push_back(event(opcode, 0, payload));
      if (opcode == 8) break;
    } else {
      const std::size_t before = out.part.size();
      out.part += payload;
      if (message == 1 && message_rsv == 0) {
        const std::size_t good = utf8_prefix(out.part, whole);
        if (good != out.part.size()) return fail(1007, begin + head + (good - before) + 1);
        if (all && fin && !whole) return fail(1007, end);
      }
      if (!all) break;
      if (fin) {
        out.events.push_back(event(message, message_rsv, out.part));
        out.part.clear();
        message = 0;
      }
    }
    begin = end;
  }
  out.consumed = input.size();
  return out;
}

// One frame as a client or a server sends it.
void append_frame(std::string& out, WebSocketFrameHead head, std::string payload, bool masked) {
  head.payload_bytes = payload.size();
  if (masked) {
    head.mask = WebSocketMask{'\x5a', static_cast<char>(payload.size()), '\0', '\xff'};
    apply_websocket_mask(payload, *head.mask);
  }
  std::array<char, kMaxWebSocketHead> room;
  const std::size_t size = write_websocket_head(head, room);
  out.append(room.data() + room.size() - size, size).append(payload);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::uint8_t kind = input.byte();
  WebSocketDecoderOptions options;
  options.sender = (kind & 1) != 0 ? WebSocketSender::server : WebSocketSender::client;
  options.allowed_rsv = kind & 0x70;
  options.message_bytes = (kind & 2) != 0 ? input.byte() : 100'000;
  std::uint32_t random = input.byte() + 1U;
  const auto step = [&random] {
    random = random * 1664525 + 1013904223;
    return static_cast<std::size_t>(random >> 16 & ((random & 0x100) != 0 ? 3 : 31)) + 1;
  };
  const std::string_view bytes = input.rest();

  const Outcome expected = read_plainly(bytes, options);
  require(decode(bytes, options, [&] { return bytes.size(); }) == expected);
  require(decode(bytes, options, [] { return std::size_t{1}; }) == expected);
  require(decode(bytes, options, step) == expected);

  // The same bytes as one binary message in fragments with a ping within.
  const bool masked = options.sender == WebSocketSender::client;
  const std::size_t cut = bytes.size() / 3;
  std::string written;
  append_frame(written, {.opcode = WebSocketOpcode::binary, .fin = false}, std::string(bytes.substr(0, cut)),
               masked);
  append_frame(written, {.opcode = WebSocketOpcode::ping}, std::string(bytes.substr(0, kMaxControlPayload)),
               masked);
  append_frame(written, {.opcode = WebSocketOpcode::continuation}, std::string(bytes.substr(cut)), masked);
  options.message_bytes = bytes.size();
  const Outcome read = decode(written, options, step);
  require(read.error == 0 && read.part.empty() && read.events.size() == 2);
  require(read.events[0] == event(9, 0, bytes.substr(0, kMaxControlPayload)));
  require(read.events[1] == event(2, 0, bytes));
  return 0;
}
