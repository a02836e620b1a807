#include <gtest/gtest.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include <microdot/http/websocket_handshake.hpp>

#include "../../src/http/sha1.hpp"

namespace microdot {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

// A head made of fields.
struct Head {
  explicit Head(const Fields& fields) {
    for (const auto& [name, value] : fields) text += name + value;
    table = HeaderTable(storage);
    table.set_base(text.data());
    std::size_t at = 0;
    for (const auto& [name, value] : fields) {
      const std::size_t value_at = at + name.size();
      table.add({static_cast<std::uint16_t>(at), static_cast<std::uint16_t>(name.size()),
                 static_cast<std::uint16_t>(value_at), static_cast<std::uint16_t>(value.size())});
      at = value_at + value.size();
    }
  }
  std::string text;
  std::array<HeaderField, 16> storage{};
  HeaderTable table;
};

// The client's handshake of RFC 6455 1.3.
Fields sample() {
  return {{"Host", "server.example.com"},   {"Upgrade", "websocket"},
          {"Connection", "Upgrade"},        {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
          {"Origin", "http://example.com"}, {"Sec-WebSocket-Protocol", "chat, superchat"},
          {"Sec-WebSocket-Version", "13"}};
}

// The sample with this field of another value, or without it.
Fields with(std::string_view name, const char* value) {
  Fields fields = sample();
  std::erase_if(fields, [&](const auto& field) { return field.first == name; });
  if (value != nullptr) fields.emplace_back(name, value);
  return fields;
}

int status(const Fields& fields, Method method = Method::get, int minor = 1) {
  const Head head(fields);
  const WebSocketHandshake handshake = read_websocket_handshake(method, minor, head.table);
  EXPECT_EQ(handshake.reason.empty(), handshake.status == 101);
  EXPECT_EQ(handshake.key.empty(), handshake.status != 101);
  return handshake.status;
}

TEST(WebSocketHandshake, Sample) {  // RFC 6455 1.3
  const Head head(sample());
  const WebSocketHandshake handshake = read_websocket_handshake(Method::get, 1, head.table);
  EXPECT_EQ(handshake.status, 101);
  EXPECT_EQ(handshake.key, "dGhlIHNhbXBsZSBub25jZQ==");
  std::array<char, kWebSocketAcceptBytes> out;
  EXPECT_EQ(write_websocket_accept(handshake.key, out), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(WebSocketHandshake, NeedsGetInHttp11) {  // RFC 6455 4.2.1 1
  EXPECT_EQ(status(sample(), Method::post), 400);
  EXPECT_EQ(status(sample(), Method::head), 400);
  EXPECT_EQ(status(sample(), Method::get, 0), 400);
}

TEST(WebSocketHandshake, Upgrade) {  // RFC 6455 4.2.1 3
  EXPECT_EQ(status(with("Upgrade", nullptr)), 426) << "RFC 9110 15.5.22";
  EXPECT_EQ(status(with("Upgrade", "h2c")), 426);
  EXPECT_EQ(status(with("Upgrade", "websockets")), 426);
  EXPECT_EQ(status(with("Upgrade", "WebSocket")), 101) << "without case";
  EXPECT_EQ(status(with("Upgrade", "h2c, websocket")), 101);
  Fields two = with("Upgrade", "h2c");
  two.emplace_back("upgrade", "websocket");
  EXPECT_EQ(status(two), 101);
}

TEST(WebSocketHandshake, Connection) {  // RFC 6455 4.2.1 4
  EXPECT_EQ(status(with("Connection", nullptr)), 400);
  EXPECT_EQ(status(with("Connection", "keep-alive")), 400);
  EXPECT_EQ(status(with("Connection", "keep-alive, Upgrade")), 101) << "as Firefox sends it";
  EXPECT_EQ(status(with("Connection", "UPGRADE")), 101);
}

TEST(WebSocketHandshake, Version) {  // RFC 6455 4.2.1 6, 4.4, 11.3.5
  for (const char* version : {"8", "12", "14", "130", "013", "13, 8", "", "x"}) {
    EXPECT_EQ(status(with("Sec-WebSocket-Version", version)), 426) << version;
  }
  EXPECT_EQ(status(with("Sec-WebSocket-Version", nullptr)), 426);
  Fields twice = sample();
  twice.emplace_back("Sec-WebSocket-Version", "13");
  EXPECT_EQ(status(twice), 400);
}

TEST(WebSocketHandshake, KeyIsBase64Of16Bytes) {  // RFC 6455 4.2.1 5, 11.3.1
  for (const char* key : {"", "x", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ",
                          "dGhlIHNhbXBsZSBub25jZQ===", "dGhlIHNhbXBsZSBub25jZQA=", "dGhlIHNhbXBsZSBub25jZQAA",
                          "dGhlIHNhbXBsZSBub25jZ===", "dGhlIHNhbXBsZSBub25j ==", "dGhlIHNhbXBsZSBub25jZ-==",
                          "dGhl=HNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ== dGhlIHNhbXBsZSBub25jZQ=="}) {
    EXPECT_EQ(status(with("Sec-WebSocket-Key", key)), 400) << key;
  }
  EXPECT_EQ(status(with("Sec-WebSocket-Key", nullptr)), 400);
  EXPECT_EQ(status(with("Sec-WebSocket-Key", "//////////////////++++==")), 101);
  Fields twice = sample();
  twice.emplace_back("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
  EXPECT_EQ(status(twice), 400);
}

TEST(WebSocketHandshake, SubprotocolIsTheServersFirstChoice) {  // RFC 6455 4.2.2
  const Head head(sample());
  const auto choose = [](const Head& of, std::vector<std::string_view> supported) {
    return std::string(choose_subprotocol(of.table, supported));
  };
  EXPECT_EQ(choose(head, {"superchat", "chat"}), "superchat");
  EXPECT_EQ(choose(head, {"mqtt", "chat"}), "chat");
  EXPECT_EQ(choose(head, {"mqtt"}), "");
  EXPECT_EQ(choose(head, {"Chat"}), "") << "case-sensitive";
  EXPECT_EQ(choose(head, {"cha"}), "");
  EXPECT_EQ(choose(head, {}), "");
  Fields two = sample();
  two.emplace_back("Sec-WebSocket-Protocol", "mqtt");
  EXPECT_EQ(choose(Head(two), {"mqtt", "chat"}), "mqtt") << "in several fields (11.3.4)";
  EXPECT_EQ(choose(Head(with("Sec-WebSocket-Protocol", nullptr)), {"chat"}), "");
}

TEST(WebSocketHandshake, Origin) {  // RFC 6455 10.2, RFC 6454 7
  const std::vector<std::string_view> allowed = {"https://app.example", "http://localhost:3000"};
  const auto may = [&](const char* origin, std::string_view host = "board.local") {
    return is_websocket_origin_allowed(Head(with("Origin", origin)).table, host, allowed);
  };
  EXPECT_TRUE(may(nullptr)) << "no browser";
  EXPECT_TRUE(may("http://board.local"));
  EXPECT_TRUE(may("https://BOARD.local")) << "TLS ended by a proxy";
  EXPECT_TRUE(may("http://board.local", "board.local:80"));
  EXPECT_TRUE(may("https://board.local", "board.local:443"));
  EXPECT_TRUE(may("http://[::1]:5000", "[::1]:5000"));
  EXPECT_TRUE(may("https://APP.example"));
  EXPECT_TRUE(may("http://localhost:3000"));
  for (const char* origin :
       {"http://board.local:8080", "http://board.local:443", "http://board.local.evil.example",
        "http://evil.example", "http://app.example", "https://app.example:444", "null", "", "board.local",
        "file://board.local", "http://evil.example/http://board.local", "http://user@board.local",
        "http://board.local/"}) {
    EXPECT_FALSE(may(origin)) << origin;
  }
  EXPECT_FALSE(may("http://", "")) << "a request without a host";
  Fields twice = with("Origin", "http://board.local");
  twice.emplace_back("Origin", "http://board.local");
  EXPECT_FALSE(is_websocket_origin_allowed(Head(twice).table, "board.local", allowed));
  const std::vector<std::string_view> any = {"*"};
  EXPECT_TRUE(is_websocket_origin_allowed(Head(with("Origin", "null")).table, "board.local", any));
}

std::string hex_sha1(std::string_view message) {
  std::array<std::uint8_t, 20> digest;
  detail::sha1(message, digest);
  std::string out;
  for (const unsigned byte : digest) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

TEST(Sha1, VectorsOfTheStandards) {  // RFC 3174 7.3 and FIPS 180's examples
  EXPECT_EQ(hex_sha1(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  EXPECT_EQ(hex_sha1("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(hex_sha1("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
  EXPECT_EQ(hex_sha1(std::string(1'000'000, 'a')), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
  std::string octal;
  for (int i = 0; i < 80; ++i) octal += "01234567";
  EXPECT_EQ(hex_sha1(octal), "dea356a2cddd90c7a7ecedc5ebb563934f460452");
}

TEST(Sha1, AroundTheEndOfABlock) {  // digests of sha1sum: `printf %0NNd 0 | sha1sum`
  EXPECT_EQ(hex_sha1(std::string(55, '0')), "8fffd3df3d041baf53b27f42ec802cfb362710bd");
  EXPECT_EQ(hex_sha1(std::string(56, '0')), "2a04b5125ba4030ef13232ecf1b72849f6ec9e97");
  EXPECT_EQ(hex_sha1(std::string(63, '0')), "70bc07198e6bcb86643b20d7fe3a75d6d19b8439");
  EXPECT_EQ(hex_sha1(std::string(64, '0')), "0114498021cb8c4f1519f96bdf58dd806f3adb63");
  EXPECT_EQ(hex_sha1(std::string(65, '0')), "99991a46f79e031e016f6b02b28cf8f62167dfca");
  EXPECT_EQ(hex_sha1(std::string(119, '0')), "deecef95667a268528b9eb517734898fecf8c81b");
  EXPECT_EQ(hex_sha1(std::string(120, '0')), "f7f7d687d0c005ad24b07e7a80649f2d43aaef0a");
}

}  // namespace
}  // namespace microdot
