// permessage-deflate. Offers are accepted and declined as a plain reading of RFC 7692 has it. What is
// inflated in pieces into small rooms is what zlib gives of it at once. Hostile frames do no harm to a
// server, and what is compressed can be read.
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <zlib.h>

#include <microdot/ext/websocket.hpp>
#include <microdot/ext/websocket_deflate.hpp>
#include <microdot/microdot.hpp>
#include <microdot/testing/test_client.hpp>

#include "fuzz.hpp"

using namespace microdot;
using fuzz::require;

namespace {

constexpr std::string_view kName = "Sec-WebSocket-Extensions";

// The fields of a head, with what they are a view of.
struct Fields {
  explicit Fields(const std::vector<std::string>& values) {
    for (const std::string& value : values) head.append(kName).append(value);
    table.set_base(head.data());
    std::size_t at = 0;
    for (const std::string& value : values) {
      table.add({static_cast<std::uint16_t>(at), kName.size(), static_cast<std::uint16_t>(at + kName.size()),
                 static_cast<std::uint16_t>(value.size())});
      at += kName.size() + value.size();
    }
  }
  std::string head;
  std::array<HeaderField, 16> storage;
  HeaderTable table{storage};
};

std::vector<std::string> split(const std::string& text, char separator, bool quotes) {
  std::vector<std::string> parts(1);
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"' && quotes) quoted = !quoted;
    if (text[i] == separator && !quoted) {
      parts.emplace_back();
      continue;
    }
    parts.back() += text[i];
    if (text[i] == '\\' && quoted && i + 1 < text.size()) parts.back() += text[++i];
  }
  for (std::string& part : parts) {
    part.erase(0, std::min(part.find_first_not_of(" \t"), part.size()));
    part.erase(part.find_last_not_of(" \t") + 1);
  }
  return parts;
}

// The value without its quotes.
std::string unquoted(const std::string& value) {
  if (value.size() < 2 || value.front() != '"' || value.back() != '"') return value;
  std::string text;
  for (std::size_t i = 1; i + 1 < value.size(); ++i) {
    if (value[i] == '\\' && i + 2 < value.size()) ++i;
    text += value[i];
  }
  return text;
}

int bits_of(const std::string& value) {
  for (int bits = 8; bits <= 15; ++bits) {
    if (value == std::to_string(bits)) return bits;
  }
  return 0;
}

std::optional<DeflateAgreement> read_plainly(const std::vector<std::string>& values,
                                             const DeflateWishes& wishes) {
  for (const std::string& value : values) {
    for (const std::string& element : split(value, ',', true)) {
      const std::vector<std::string> parts = split(element, ';', false);
      if (parts[0] != "permessage-deflate") continue;
      DeflateAgreement out{wishes.server_no_context_takeover, wishes.client_no_context_takeover, {}, {}};
      bool ok = true;
      int client = 0;
      std::vector<std::string> seen;
      for (std::size_t i = 1; i < parts.size(); ++i) {
        const std::size_t sign = parts[i].find('=');
        const bool has_value = sign != std::string::npos;
        const std::string name = split(parts[i].substr(0, sign), '\0', false)[0];
        const std::string text = has_value ? unquoted(split(parts[i].substr(sign + 1), '\0', false)[0]) : "";
        if (std::find(seen.begin(), seen.end(), name) != seen.end()) ok = false;
        seen.push_back(name);
        if (name == "server_no_context_takeover" && !has_value) {
          out.server_no_context_takeover = true;
        } else if (name == "client_no_context_takeover" && !has_value) {
          out.client_no_context_takeover = true;
        } else if (name == "server_max_window_bits" && has_value && bits_of(text) > 8) {
          out.server_max_window_bits =
              static_cast<std::uint8_t>(std::min<int>(bits_of(text), wishes.window_bits));
        } else if (name == "client_max_window_bits" && (!has_value || bits_of(text) != 0)) {
          client = std::min<int>(has_value ? bits_of(text) : 15, wishes.window_bits);
          if (client < 15) out.client_max_window_bits = static_cast<std::uint8_t>(client);
        } else {
          ok = false;
        }
      }
      if (ok && (client != 0 || wishes.window_bits == 15)) return out;
    }
  }
  return {};
}

void negotiate(fuzz::Input& input) {
  DeflateWishes wishes;
  wishes.window_bits = static_cast<std::uint8_t>(9 + input.byte() % 7);
  wishes.server_no_context_takeover = input.flag();
  wishes.client_no_context_takeover = input.flag();
  std::vector<std::string> values;
  while (!input.empty() && values.size() < 8) {
    std::string value(input.until('\n').substr(0, 1000));
    std::erase(value, '\0');
    values.push_back(value);
  }
  const Fields fields(values);
  const auto agreement = agree_on_deflate(fields.table, wishes);
  require(agreement == read_plainly(values, wishes));
  if (!agreement) return;
  std::array<char, kDeflateAgreementBytes> out;
  const std::string text(write_deflate_agreement(*agreement, out));
  // An answer reads as an offer of the same; it says nothing of windows that are not limited.
  const Fields again({text});
  require(agree_on_deflate(again.table, {}) == agreement);
}

// zlib with a heap, and all of a message at hand.
class Plain {
 public:
  Plain(int bits, bool takeover) : takeover_(takeover) { require(inflateInit2(&stream_, -bits) == Z_OK); }
  Plain(const Plain&) = delete;
  Plain& operator=(const Plain&) = delete;
  ~Plain() { inflateEnd(&stream_); }

  // None if it is no message.
  std::optional<std::string> inflate_message(std::string message, std::size_t most) {
    message.append("\0\0\xff\xff", 4);
    std::string out;
    bool ends = false;
    feed(stream_, message);
    while (stream_.avail_in != 0) {
      const int result = run(stream_, out);
      if (out.size() > most) return out;  // whatever follows
      ends = result == Z_STREAM_END;
      if (ends) {
        inflateReset(&stream_);
      } else if (result != Z_OK) {
        return {};
      }
    }
    if (ends || !between_blocks()) return {};
    if (!takeover_) inflateReset(&stream_);
    return out;
  }

 private:
  static void feed(z_stream& stream, std::string& bytes) {
    stream.next_in = reinterpret_cast<Bytef*>(bytes.data());
    stream.avail_in = static_cast<uInt>(bytes.size());
  }
  static int run(z_stream& stream, std::string& out) {
    char room[4096];
    for (;;) {
      stream.next_out = reinterpret_cast<Bytef*>(room);
      stream.avail_out = sizeof room;
      const int result = inflate(&stream, Z_SYNC_FLUSH);
      out.append(room, sizeof room - stream.avail_out);
      if (result == Z_BUF_ERROR) return Z_OK;
      if (result != Z_OK || stream.avail_out != 0) return result;
    }
  }
  // A last block of its own can follow, byte by byte.
  bool between_blocks() {
    for (const std::string_view text : {std::string_view("x"), std::string_view("hello, hello")}) {
      z_stream copy{};
      require(inflateCopy(&copy, &stream_) == Z_OK);
      std::string block{'\1', static_cast<char>(text.size()), '\0', static_cast<char>(~text.size()), '\xff'};
      block += text;
      feed(copy, block);
      std::string out;
      const int result = run(copy, out);
      const bool read = result == Z_STREAM_END && copy.avail_in == 0 && out == text;
      inflateEnd(&copy);
      if (!read) return false;
    }
    return true;
  }

  z_stream stream_{};
  bool takeover_;
};

void inflate_in_pieces(fuzz::Input& input) {
  static constexpr std::size_t kMost = 20'000;
  static Limits limits{.ws_window_bits = 15};
  static std::vector<std::byte> memory(limits.compression_memory());
  const int bits = 9 + input.byte() % 7;
  const bool takeover = input.flag();
  std::uint32_t random = input.byte() + 1U;
  const auto size = [&random](std::uint32_t most) {
    random = random * 1664525 + 1013904223;
    return std::size_t{(random >> 16) % most};
  };
  const Fields offer({"permessage-deflate; client_max_window_bits=" + std::to_string(bits) +
                      (takeover ? "" : "; client_no_context_takeover")});
  Response answer;
  WebSocketCodec* const codec = kWebSocketDeflate.agree(offer.table, limits, false, memory, answer);
  require(codec != nullptr);
  Plain plain(bits, takeover);
  while (!input.empty()) {
    const std::string message(input.bytes(input.byte() * 4U + input.byte() % 4));
    const std::optional<std::string> expected = plain.inflate_message(message, kMost);
    std::string out;
    std::size_t at = 0;
    for (bool done = false; !done;) {
      const std::size_t piece = std::min(size(40) + 1, message.size() - at);
      const bool end = at + piece == message.size();
      const auto in = std::make_unique<char[]>(piece);
      message.copy(in.get(), piece, at);
      std::string_view rest(in.get(), piece);
      WebSocketCodec::Decoded decoded{};
      do {
        const std::size_t most = size(2) == 0 ? 3 : 300;
        const std::size_t room_size = size(static_cast<std::uint32_t>(most)) + 1;
        const auto room = std::make_unique<char[]>(room_size);
        decoded = codec->decode(rest, end, {room.get(), room_size});
        require(decoded.used <= rest.size() && decoded.made <= room_size);
        require(decoded.status != WebSocketCodec::Status::more || decoded.made == room_size);
        out.append(room.get(), decoded.made);
        rest.remove_prefix(decoded.used);
        if (out.size() > kMost) {
          require(expected && expected->size() > kMost);
          return;
        }
      } while (decoded.status == WebSocketCodec::Status::more);
      if (decoded.status == WebSocketCodec::Status::bad) {
        require(!expected);
        return;
      }
      require(rest.empty());
      at += piece;
      done = end;
    }
    require(expected == out);
  }
  // What it compresses can be read.
  Plain reader(15, true);
  std::string text = "what is said twice is said twice: ";
  for (int i = 0; i < 3; ++i) {
    text += std::string(size(300), static_cast<char>('a' + i)) + text.substr(0, size(200));
    std::string coded(text.size(), '\0');
    const std::size_t bytes = codec->encode(text, coded);
    if (bytes == 0) continue;
    require(bytes < text.size());
    require(reader.inflate_message(coded.substr(0, bytes), SIZE_MAX) == text);
  }
}

void serve(fuzz::Input& input) {
  Limits limits;
  limits.connections = 4;
  limits.exchanges = 2;
  limits.streams = 2;
  limits.ws_compressed = 2;
  limits.stream_bytes = 4096;
  limits.ws_message_bytes = 600;
  App app{limits};
  std::size_t largest = 0;
  app.get("/", with_websocket(
                   [&](Request&, WebSocket& ws) -> Task<> {
                     while (auto message = co_await ws.receive()) {
                       largest = std::max(largest, message->data.size());
                       if (message->is_text) require(is_utf8(message->data));
                       if (message->data.size() % 5 == 0) co_await sleep_for(std::chrono::milliseconds(5));
                       co_await ws.send(*message);
                     }
                   },
                   {.compression = &kWebSocketDeflate}));
  TestClient client(app);
  auto ws = client.websocket("/", {{kName, "permessage-deflate; client_max_window_bits"}});
  require(ws.status_code() == 101 && !ws.extensions().empty());
  ws.connection().set_segment_size(input.byte() + 1U);
  while (!input.empty()) {
    const std::uint8_t kind = input.byte();
    const std::string_view payload = input.bytes(input.byte());
    if (kind == 0xff) {
      ws.connection().send(payload);
    } else {
      static constexpr WebSocketOpcode kOpcodes[] = {WebSocketOpcode::text, WebSocketOpcode::binary,
                                                     WebSocketOpcode::continuation, WebSocketOpcode::ping};
      ws.send_frame(kOpcodes[kind & 3], payload, (kind & 4) == 0,
                    (kind & 8) != 0 ? std::uint8_t{kRsv1} : std::uint8_t{0});
    }
    if ((kind & 0x70) == 0x70) client.run_for(std::chrono::milliseconds(3));
    require(app.check() == nullptr);
  }
  Plain reader(15, true);
  ws.close();
  while (auto message = ws.receive()) {
    if (message->rsv != 0) require(reader.inflate_message(message->data, SIZE_MAX).has_value());
  }
  client.run_for(std::chrono::seconds(5));
  if (ws.close_code() ==
      kCloseAbnormal) {  // it stopped in mid-frame: it answers no pings, and counts as gone
    client.run_for(2 * Duration(WebSocketOptions{}.keep_alive) + Duration(limits.linger_timeout));
  }
  require(largest <= limits.ws_message_bytes);
  require(app.check() == nullptr && app.stats().streams == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  switch (input.byte() % 3) {
    case 0: negotiate(input); break;
    case 1: inflate_in_pieces(input); break;
    default: serve(input); break;
  }
  return 0;
}
