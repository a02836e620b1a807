#include <microdot/http/websocket_handshake.hpp>

#include <array>

#include <microdot/http/chars.hpp>

#include "sha1.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::size_t kKeyBytes = 24;

// Base64 of 16 bytes. The four bits behind the last one are not looked at: "when decoded" counts.
bool is_key(std::string_view text) noexcept {
  return text.size() == kKeyBytes && text.ends_with("==") && text.find_first_not_of(kBase64) == kKeyBytes - 2;
}

enum class Case : std::uint8_t { matters, ignored };

// Whether `token` is an element of the lists in the fields called `name`.
bool list_has(const HeaderTable& headers, std::string_view name, std::string_view token,
              Case letters) noexcept {
  bool found = false;
  for (std::size_t i = headers.find(name); !found && i != HeaderTable::npos; i = headers.find(name, i + 1)) {
    for_each_element(headers.value(i), [&](std::string_view element) {
      found = letters == Case::matters ? element == token : equals_ignore_case(element, token);
      return !found;
    });
  }
  return found;
}

std::string_view without_suffix(std::string_view text, std::string_view suffix) noexcept {
  if (text.ends_with(suffix)) text.remove_suffix(suffix.size());
  return text;
}

// Whether an origin is a page of the web on this host and port.
bool is_origin_of(std::string_view origin, std::string_view host) noexcept {
  const std::size_t scheme = origin.find("://");
  if (scheme == std::string_view::npos || host.empty()) return false;
  const bool secure = equals_ignore_case(origin.substr(0, scheme), "https");
  if (!secure && !equals_ignore_case(origin.substr(0, scheme), "http")) return false;
  const std::string_view port = secure ? ":443" : ":80";
  return equals_ignore_case(without_suffix(origin.substr(scheme + 3), port), without_suffix(host, port));
}

}  // namespace

WebSocketHandshake read_websocket_handshake(Method method, int version_minor,
                                            const HeaderTable& headers) noexcept {
  const auto refuse = [](std::uint16_t status, std::string_view reason) {
    return WebSocketHandshake{status, reason, {}};
  };
  if (method != Method::get) return refuse(400, "WebSocket needs GET");
  if (version_minor < 1) return refuse(400, "WebSocket needs HTTP/1.1");
  if (!list_has(headers, "Upgrade", "websocket", Case::ignored)) return refuse(426, "this is a WebSocket");
  if (!list_has(headers, "Connection", "upgrade", Case::ignored))
    return refuse(400, "Connection without Upgrade");
  // Neither may stand there twice (RFC 6455 11.3.1, 11.3.5).
  if (headers.count("Sec-WebSocket-Version") > 1) return refuse(400, "more than one Sec-WebSocket-Version");
  if (headers["Sec-WebSocket-Version"] != kWebSocketVersion) {
    return refuse(426, "unknown version of WebSocket");
  }
  if (headers.count("Sec-WebSocket-Key") > 1) return refuse(400, "more than one Sec-WebSocket-Key");
  const std::string_view key = headers["Sec-WebSocket-Key"];
  if (!is_key(key)) return refuse(400, "invalid Sec-WebSocket-Key");
  return {101, {}, key};
}

std::string_view write_websocket_accept(std::string_view key,
                                        std::span<char, kWebSocketAcceptBytes> out) noexcept {
  constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<char, kKeyBytes + kGuid.size()> text;
  const std::size_t key_bytes = key.copy(text.data(), kKeyBytes);
  kGuid.copy(text.data() + key_bytes, kGuid.size());
  // With a 21st byte of zero, so that it comes in groups of three; the character for it becomes the padding.
  std::array<std::uint8_t, 21> digest{};
  detail::sha1({text.data(), key_bytes + kGuid.size()}, std::span(digest).first<20>());
  for (std::size_t group = 0; group < 7; ++group) {
    const std::uint8_t* in = &digest[3 * group];
    const unsigned bits = unsigned{in[0]} << 16 | unsigned{in[1]} << 8 | in[2];
    for (std::size_t i = 0; i < 4; ++i) out[4 * group + i] = kBase64[bits >> (18 - 6 * i) & 63];
  }
  out[kWebSocketAcceptBytes - 1] = '=';
  return {out.data(), out.size()};
}

std::string_view choose_subprotocol(const HeaderTable& headers,
                                    std::span<const std::string_view> supported) noexcept {
  for (const std::string_view protocol : supported) {
    if (list_has(headers, "Sec-WebSocket-Protocol", protocol, Case::matters)) return protocol;
  }
  return {};
}

bool is_websocket_origin_allowed(const HeaderTable& headers, std::string_view host,
                                 std::span<const std::string_view> allowed) noexcept {
  const std::size_t count = headers.count("Origin");
  if (count == 0) return true;
  if (count > 1) return false;
  const std::string_view origin = headers["Origin"];
  if (is_origin_of(origin, host)) return true;
  for (const std::string_view entry : allowed) {
    if (entry == "*" || equals_ignore_case(entry, origin)) return true;
  }
  return false;
}

}  // namespace microdot::inline MICRODOT_ABI
