#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include <microdot/http/websocket.hpp>

namespace microdot {
namespace {

using Events = std::vector<std::string>;

// What came of some bytes: whole messages and control frames in order, and how it ended.
struct Received {
  Events events;
  std::string part;  // of a message that has not ended; says nothing after an error
  int error = 0;
  std::size_t consumed = 0;
  friend bool operator==(const Received&, const Received&) = default;
};

void PrintTo(const Received& outcome, std::ostream* out) {
  *out << testing::PrintToString(outcome.events) << " part " << testing::PrintToString(outcome.part)
       << " error " << outcome.error << " consumed " << outcome.consumed;
}

// Decodes `input` in the pieces that begin at `starts`, each in memory of exactly its size.
Received decode_pieces(const std::string& input, const std::vector<std::size_t>& starts,
                       WebSocketDecoderOptions options) {
  WebSocketDecoder decoder(options);
  Received out;
  for (std::size_t i = 0; i < starts.size() && out.error == 0; ++i) {
    const std::size_t size = (i + 1 < starts.size() ? starts[i + 1] : input.size()) - starts[i];
    auto piece = std::make_unique<char[]>(size);
    std::copy_n(input.data() + starts[i], size, piece.get());
    std::span<char> rest(piece.get(), size);
    for (bool more = true; more;) {
      const WebSocketResult r = decoder.decode(rest);
      const std::string payload(r.payload.data(), r.payload.size());
      out.consumed += r.consumed;
      rest = rest.subspan(r.consumed);
      switch (r.event) {
        case WebSocketEvent::need_more:
          EXPECT_TRUE(rest.empty());
          more = false;
          break;
        case WebSocketEvent::data:
          EXPECT_TRUE(r.end || !payload.empty());
          out.part += payload;
          if (!r.end) break;
          out.events.push_back((r.opcode == WebSocketOpcode::text ? "text " : "binary ") + out.part);
          if (r.rsv != 0) out.events.back() += " rsv " + std::to_string(r.rsv);
          out.part.clear();
          break;
        case WebSocketEvent::ping: out.events.push_back("ping " + payload); break;
        case WebSocketEvent::pong: out.events.push_back("pong " + payload); break;
        case WebSocketEvent::close: {
          const WebSocketClose close = parse_close_payload(payload);
          out.events.push_back("close " + std::to_string(close.code) + " " + std::string(close.reason));
          break;
        }
        case WebSocketEvent::error:
          out.error = decoder.error_code();
          out.part.clear();
          EXPECT_FALSE(decoder.error_reason().empty());
          EXPECT_EQ(decoder.decode(rest).event, WebSocketEvent::error) << "is final";
          EXPECT_EQ(decoder.decode(rest).consumed, 0U);
          more = false;
      }
    }
  }
  return out;
}

// In one piece, after proving that bytes and any two pieces give the same.
Received decode(const std::string& input, WebSocketDecoderOptions options = {}) {
  const Received whole = decode_pieces(input, {0}, options);
  std::vector<std::size_t> every;
  for (std::size_t i = 0; i < input.size(); ++i) every.push_back(i);
  if (!input.empty()) {
    EXPECT_EQ(decode_pieces(input, every, options), whole) << "byte by byte";
  }
  for (std::size_t i = 0; i < input.size(); ++i) {
    EXPECT_EQ(decode_pieces(input, {0, i}, options), whole) << "split at " << i;
  }
  return whole;
}

// First bytes of frames.
constexpr int kFin = 0x80;
constexpr int kContinuation = 0;
constexpr int kText = 1;
constexpr int kBinary = 2;
constexpr int kClose = 0x88;
constexpr int kPing = 0x89;
constexpr int kPong = 0x8a;

constexpr WebSocketDecoderOptions kFromServer{.sender = WebSocketSender::server};

// The length in `bits` of 7, 16 or 64 (RFC 6455 5.2).
std::string length(std::uint64_t size, int bits, bool masked) {
  const int mark = bits == 7 ? static_cast<int>(size) : bits == 16 ? 126 : 127;
  std::string out(1, static_cast<char>(mark | (masked ? 0x80 : 0)));
  for (int shift = bits == 7 ? -8 : bits - 8; shift >= 0; shift -= 8)
    out += static_cast<char>(size >> shift & 0xff);
  return out;
}

// A client's frame by RFC 6455 5.2, written without the code under test.
std::string frame(int first, const std::string& payload) {
  const std::string key = "\x37\xfa\x21\x3d";
  const int bits = payload.size() < 126 ? 7 : payload.size() < 65536 ? 16 : 64;
  std::string out = static_cast<char>(first) + length(payload.size(), bits, true) + key;
  for (std::size_t i = 0; i < payload.size(); ++i) out += static_cast<char>(payload[i] ^ key[i % 4]);
  return out;
}

std::string server_frame(int first, const std::string& payload) {
  const int bits = payload.size() < 126 ? 7 : payload.size() < 65536 ? 16 : 64;
  return static_cast<char>(first) + length(payload.size(), bits, false) + payload;
}

std::string close_payload(int code, const std::string& reason = "") {
  return std::string{static_cast<char>(code >> 8), static_cast<char>(code & 0xff)} + reason;
}

TEST(WebSocketDecoder, ExamplesOfTheStandard) {  // RFC 6455 5.7
  EXPECT_EQ(decode("\x81\x05Hello", kFromServer).events, Events{"text Hello"});
  EXPECT_EQ(decode("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58").events, Events{"text Hello"});
  EXPECT_EQ(decode(std::string("\x01\x03Hel\x80\x02lo", 9), kFromServer).events, Events{"text Hello"});
  EXPECT_EQ(decode("\x89\x05Hello", kFromServer).events, Events{"ping Hello"});
  EXPECT_EQ(decode("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58").events, Events{"pong Hello"});
  EXPECT_EQ(decode(std::string("\x82\x7E\x01\x00", 4) + std::string(256, 'x'), kFromServer).events,
            Events{"binary " + std::string(256, 'x')});
}

TEST(WebSocketDecoder, MessagesOfAllLengths) {  // Autobahn 1; RFC 6455 5.2
  for (const std::size_t size : {0U, 1U, 7U, 8U, 9U, 124U, 125U, 126U, 127U, 128U, 300U}) {
    const std::string payload(size, '*');
    EXPECT_EQ(decode(frame(kFin | kText, payload)).events, Events{"text " + payload}) << size;
    EXPECT_EQ(decode(frame(kFin | kBinary, payload)).events, Events{"binary " + payload}) << size;
  }
  for (const std::size_t size : {65535U, 65536U, 65537U}) {
    const std::string payload(size, '*');
    for (const std::size_t cut : {0U, 1U, 2U, 3U, 9U, 10U, 11U, 13U, 14U, 15U, 1000U, 65535U}) {
      EXPECT_EQ(decode_pieces(frame(kFin | kText, payload), {0, cut}, {.message_bytes = 65537}).events,
                Events{"text " + payload})
          << size << " cut at " << cut;
    }
  }
}

TEST(WebSocketDecoder, PingsAndPongs) {  // Autobahn 2; RFC 6455 5.5.2, 5.5.3
  const std::string binary("\x00\xff\xfe\xfd\xfc\xfb\x00\xff", 8);
  EXPECT_EQ(decode(frame(kPing, "")).events, Events{"ping "});
  EXPECT_EQ(decode(frame(kPing, binary)).events, Events{"ping " + binary});
  EXPECT_EQ(decode(frame(kPing, std::string(125, '\xfe'))).events,
            Events{"ping " + std::string(125, '\xfe')});
  EXPECT_EQ(decode(frame(kPing, "12") + frame(kPing, "") + frame(kPong, "3")).events,
            (Events{"ping 12", "ping ", "pong 3"}));
}

TEST(WebSocketDecoder, ControlFramesAreShortAndWhole) {  // Autobahn 2.5, 5.1, 5.2; RFC 6455 5.5
  for (const int opcode : {kClose, kPing, kPong}) {
    const Received large = decode(frame(opcode, std::string(126, 'x')));
    EXPECT_EQ(large.error, 1002);
    EXPECT_EQ(large.consumed, 2U);
    EXPECT_EQ(decode(static_cast<char>(opcode) + length(5, 64, true)).error, 1002);
    const Received fragment = decode(frame(opcode & ~kFin, "x") + frame(kFin | kContinuation, "y"));
    EXPECT_EQ(fragment.error, 1002);
    EXPECT_EQ(fragment.consumed, 1U);
  }
}

TEST(WebSocketDecoder, ExtensionBitsNeedAnAgreement) {  // Autobahn 3; RFC 6455 5.2
  for (int rsv = 0x10; rsv <= 0x70; rsv += 0x10) {
    for (const int first : {kFin | kText, kFin | kBinary, kClose, kPing, kPong}) {
      const Received r = decode(frame(kFin | kText, "ok") + frame(first | rsv, "x"));
      EXPECT_EQ(r.error, 1002);
      EXPECT_EQ(r.events, Events{"text ok"});
    }
  }
}

TEST(WebSocketDecoder, Rsv1OfPermessageDeflate) {  // RFC 7692 6: the first frame of a message only
  const WebSocketDecoderOptions deflate{.allowed_rsv = kRsv1};
  EXPECT_EQ(decode(frame(kFin | kText | 0x40, "\xff") + frame(kFin | kText, "b"), deflate).events,
            (Events{"text \xff rsv 64", "text b"}));
  EXPECT_EQ(decode(frame(kBinary | 0x40, "a") + frame(kFin | kContinuation, "b"), deflate).events,
            Events{"binary ab rsv 64"});
  EXPECT_EQ(decode(frame(kBinary | 0x40, "a") + frame(kFin | kContinuation | 0x40, "b"), deflate).error,
            1002);
  EXPECT_EQ(decode(frame(kPing | 0x40, ""), deflate).error, 1002);
  EXPECT_EQ(decode(frame(kFin | kText | 0x20, ""), deflate).error, 1002);
  EXPECT_EQ(decode(frame(kFin | kText, "\xff"), deflate).error, 1007) << "not compressed: checked";
}

TEST(WebSocketDecoder, ReservedOpcodes) {  // Autobahn 4; RFC 6455 5.2
  for (const int opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    const Received r = decode(frame(kFin | kText, "ok") + frame(kFin | opcode, "x") + frame(kPing, ""));
    EXPECT_EQ(r.error, 1002) << opcode;
    EXPECT_EQ(r.events, Events{"text ok"}) << "nothing after an error";
    EXPECT_EQ(r.consumed, 9U) << "at the first byte";
  }
}

TEST(WebSocketDecoder, Fragments) {  // Autobahn 5.3 to 5.8, 5.19; RFC 6455 5.4
  const std::string two = frame(kText, "one") + frame(kFin | kContinuation, "two");
  EXPECT_EQ(decode(two).events, Events{"text onetwo"});
  EXPECT_EQ(decode(two + frame(kBinary, "\xff") + frame(kFin | kContinuation, "\xff")).events,
            (Events{"text onetwo", "binary \xff\xff"}));
  EXPECT_EQ(decode(frame(kText, "one") + frame(kPing, "p") + frame(kFin | kContinuation, "two")).events,
            (Events{"ping p", "text onetwo"}));
  EXPECT_EQ(decode(frame(kText, "1") + frame(kContinuation, "2") + frame(kPing, "a") +
                   frame(kContinuation, "3") + frame(kContinuation, "4") + frame(kPing, "b") +
                   frame(kPong, "c") + frame(kFin | kContinuation, "5"))
                .events,
            (Events{"ping a", "ping b", "pong c", "text 12345"}));
  EXPECT_EQ(decode(frame(kText, "") + frame(kContinuation, "") + frame(kFin | kContinuation, "")).events,
            Events{"text "})
      << "Autobahn 6.1.2";
  EXPECT_EQ(decode(frame(kText, "") + frame(kContinuation, "x") + frame(kFin | kContinuation, "")).events,
            Events{"text x"})
      << "Autobahn 6.1.3";
  const Received open = decode(frame(kText, "a") + frame(kContinuation, "b"));
  EXPECT_TRUE(open.events.empty());
  EXPECT_EQ(open.part, "ab");
  EXPECT_EQ(open.error, 0);
}

TEST(WebSocketDecoder, FragmentsThatDoNotFit) {  // Autobahn 5.9 to 5.18; RFC 6455 5.4
  EXPECT_EQ(decode(frame(kFin | kContinuation, "x")).error, 1002);
  EXPECT_EQ(decode(frame(kContinuation, "x")).error, 1002);
  EXPECT_EQ(decode(frame(kFin | kText, "x") + frame(kFin | kContinuation, "y")).error, 1002)
      << "after the end";
  EXPECT_EQ(decode(frame(kFin | kText, "") + frame(kContinuation, "y")).error, 1002);
  EXPECT_EQ(decode(frame(kText, "x") + frame(kFin | kText, "y")).error, 1002);
  EXPECT_EQ(decode(frame(kText, "x") + frame(kBinary, "y")).error, 1002);
  EXPECT_EQ(decode(frame(kText, "") + frame(kText, "")).error, 1002);
  EXPECT_EQ(decode(frame(kText, "x") + frame(kPing, "") + frame(kFin | kText, "y")).error, 1002);
}

TEST(WebSocketDecoder, Utf8OfTextMessages) {  // Autobahn 6.2, 6.5 to 6.23; RFC 6455 8.1
  const std::string text =
      "Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!! \xf0\x9f\x98\x80";
  EXPECT_EQ(decode(frame(kFin | kText, text)).events, Events{"text " + text});
  std::string bytes;  // a frame for each
  for (std::size_t i = 0; i < text.size(); ++i) {
    bytes += frame((i == 0 ? kText : kContinuation) | (i + 1 == text.size() ? kFin : 0), text.substr(i, 1));
  }
  EXPECT_EQ(decode(bytes).events, Events{"text " + text});
  for (const char* good :
       {"\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbd", "\xf4\x8f\xbf\xbf", "\xef\xbf\xbf", "\x7f"}) {
    EXPECT_EQ(decode(frame(kFin | kText, good)).error, 0) << testing::PrintToString(good);
  }
  for (const char* bad :
       {"\x80", "\xbf", "\xc3", "\xe0\x80\x80", "\xc0\xaf", "\xed\xa0\x80", "\xed\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xfe", "\xff", "\xe2\x82", "a\xf0\x9f\x98"}) {
    EXPECT_EQ(decode(frame(kFin | kText, bad)).error, 1007) << testing::PrintToString(bad);
    EXPECT_EQ(decode(frame(kText, bad) + frame(kFin | kContinuation, "")).error, 1007);
    EXPECT_EQ(decode(frame(kFin | kBinary, bad)).error, 0) << "binary is not text";
    EXPECT_EQ(decode(frame(kPing, bad)).error, 0);
  }
}

TEST(WebSocketDecoder, Utf8FailsAtOnce) {  // Autobahn 6.3, 6.4; RFC 6455 8.1
  const std::string good = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5";
  // The fifth byte of the code point beyond U+10FFFF need not come, nor what follows, nor the frame's end.
  const std::string input = frame(kText, good) + frame(kContinuation,
                                                       "\xf4\x90\x80\x80"
                                                       "edited");
  const Received r = decode(input);
  EXPECT_EQ(r.error, 1007);
  EXPECT_EQ(r.consumed, frame(kText, good).size() + 6 + 2) << "up to the second byte";
  EXPECT_EQ(decode(input.substr(0, r.consumed)).error, 1007);
  EXPECT_EQ(decode(input.substr(0, r.consumed - 1)).error, 0);
  const Received across = decode(frame(kText, "\xe2\x82") + frame(kPing, "\xff") + frame(kContinuation, "("));
  EXPECT_EQ(across.error, 1007) << "across frames";
  EXPECT_EQ(across.events, Events{"ping \xff"});
}

TEST(WebSocketDecoder, ANewTextBeginsAnew) {
  EXPECT_EQ(decode(frame(kFin | kText, "\xc3\xa4") + frame(kFin | kText, "\xa4")).error, 1007);
  WebSocketDecoder decoder;
  std::string half = frame(kText, "\xc3");
  EXPECT_EQ(decoder.decode(half).event, WebSocketEvent::data);
  decoder.reset();
  std::string whole = frame(kFin | kText, "a");
  EXPECT_TRUE(decoder.decode(whole).end);
}

TEST(WebSocketDecoder, Close) {  // Autobahn 7.1, 7.3; RFC 6455 5.5.1, 7.1.5, 7.1.6
  EXPECT_EQ(decode(frame(kClose, "")).events, Events{"close 1005 "});
  EXPECT_EQ(decode(frame(kClose, "\x03")).error, 1002);
  EXPECT_EQ(decode(frame(kClose, close_payload(1000))).events, Events{"close 1000 "});
  const std::string reason(123, 'r');
  EXPECT_EQ(decode(frame(kClose, close_payload(1001, reason))).events, Events{"close 1001 " + reason});
  EXPECT_EQ(decode(frame(kClose, close_payload(1001, reason + "r"))).error, 1002) << "Autobahn 7.3.6";
  EXPECT_EQ(decode(frame(kText, "a") + frame(kClose, close_payload(1000))).events, Events{"close 1000 "});
  const std::string after = frame(kClose, "") + frame(kFin | kText, "x") + frame(kPing, "") + "\xff\xff\xff";
  const Received r = decode(after);
  EXPECT_EQ(r.events, Events{"close 1005 "}) << "what follows is dropped (Autobahn 7.1.2 to 7.1.6)";
  EXPECT_EQ(r.error, 0);
  EXPECT_EQ(r.consumed, after.size());
}

TEST(WebSocketDecoder, CloseReasonIsUtf8) {  // Autobahn 7.5; RFC 6455 5.5.1, 8.1
  EXPECT_EQ(decode(frame(kClose, close_payload(1000, "\xce\xba\xed\xa0\x80"))).error, 1007);
  EXPECT_EQ(decode(frame(kClose, close_payload(1000, "\xce"))).error, 1007);
  EXPECT_EQ(decode(frame(kClose, close_payload(1000, "\xce\xba"))).events, Events{"close 1000 \xce\xba"});
}

TEST(WebSocketDecoder, CloseCodes) {  // Autobahn 7.7, 7.9, 7.13; RFC 6455 7.4
  for (const int code :
       {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999}) {
    EXPECT_EQ(decode(frame(kClose, close_payload(code))).events,
              Events{"close " + std::to_string(code) + " "});
  }
  for (const int code : {0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535}) {
    EXPECT_EQ(decode(frame(kClose, close_payload(code))).error, 1002) << code;
    EXPECT_EQ(decode(frame(kClose, close_payload(code, "reason"))).error, 1002) << code;
  }
}

TEST(WebSocketDecoder, ClientsMaskAndServersDoNot) {  // RFC 6455 5.1
  for (const int first : {kFin | kText, kFin | kBinary, kPing, kPong, kClose}) {
    const Received unmasked = decode(server_frame(first, ""));
    EXPECT_EQ(unmasked.error, 1002);
    EXPECT_EQ(unmasked.consumed, 2U);
    EXPECT_EQ(decode(frame(first, ""), kFromServer).error, 1002);
    EXPECT_EQ(decode(server_frame(first, ""), kFromServer).error, 0);
  }
}

TEST(WebSocketDecoder, LengthsAreInTheirShortestForm) {  // RFC 6455 5.2
  const auto text = [](std::uint64_t size, int bits) {
    return static_cast<char>(kFin | kText) + length(size, bits, true) + std::string(4, '\0') +
           std::string(static_cast<std::size_t>(size), 'x');
  };
  EXPECT_EQ(decode(text(0, 16)).error, 1002);
  EXPECT_EQ(decode(text(125, 16)).error, 1002);
  EXPECT_EQ(decode(text(126, 16)).error, 0);
  EXPECT_EQ(decode(text(0, 64)).error, 1002);
  EXPECT_EQ(decode(text(125, 64)).error, 1002);
  EXPECT_EQ(decode_pieces(text(65535, 64), {0}, {.message_bytes = 100'000}).error, 1002);
  EXPECT_EQ(decode_pieces(text(65536, 64), {0}, {.message_bytes = 100'000}).error, 0);
}

TEST(WebSocketDecoder, LengthsHave63Bits) {  // RFC 6455 5.2
  const WebSocketDecoderOptions endless{.message_bytes = UINT64_MAX};
  const auto head = [](std::uint64_t size) {
    return static_cast<char>(kFin | kBinary) + length(size, 64, true);
  };
  EXPECT_EQ(decode(head(std::uint64_t{1} << 63), endless).error, 1002);
  EXPECT_EQ(decode(head(UINT64_MAX), endless).error, 1002);
  const Received r = decode(head(INT64_MAX) + std::string(4, '\0') + "abc", endless);
  EXPECT_EQ(r.error, 0);
  EXPECT_EQ(r.part, "abc");
  EXPECT_EQ(decode(head(INT64_MAX)).error, 1009);
}

TEST(WebSocketDecoder, MessagesAreBoundedWhenTheyAreAnnounced) {  // RFC 6455 7.4.1, 10.4
  const WebSocketDecoderOptions ten{.message_bytes = 10};
  EXPECT_EQ(decode(frame(kFin | kText, "0123456789") + frame(kFin | kText, "0123456789"), ten).events,
            (Events{"text 0123456789", "text 0123456789"}));
  const Received large = decode(frame(kFin | kText, "0123456789a"), ten);
  EXPECT_EQ(large.error, 1009);
  EXPECT_EQ(large.consumed, 2U);
  EXPECT_EQ(decode(frame(kText, "01234") + frame(kFin | kContinuation, "56789"), ten).events,
            Events{"text 0123456789"});
  EXPECT_EQ(decode(frame(kText, "01234") + frame(kContinuation, "56789a"), ten).error, 1009);
  EXPECT_EQ(
      decode(frame(kText, "0123456789") + frame(kPing, "0123456789abc") + frame(kFin | kContinuation, ""),
             ten)
          .events,
      (Events{"ping 0123456789abc", "text 0123456789"}))
      << "control frames are no part of it";
  EXPECT_EQ(decode(frame(kFin | kText, ""), {.message_bytes = 0}).events, Events{"text "});
}

TEST(WebSocketHead, IsWhatTheStandardSays) {  // RFC 6455 5.2
  const auto write = [](const WebSocketFrameHead& head) {
    std::array<char, kMaxWebSocketHead> out{};
    const std::size_t size = write_websocket_head(head, out);
    return std::string(out.data() + out.size() - size, size);
  };
  EXPECT_EQ(write({.opcode = WebSocketOpcode::text, .payload_bytes = 5}), "\x81\x05");
  EXPECT_EQ(write({.opcode = WebSocketOpcode::continuation, .fin = false}), std::string("\x00\x00", 2));
  EXPECT_EQ(write({.opcode = WebSocketOpcode::pong, .payload_bytes = 125}), "\x8a\x7d");
  EXPECT_EQ(write({.opcode = WebSocketOpcode::binary, .payload_bytes = 126}),
            std::string("\x82\x7e\x00\x7e", 4));
  EXPECT_EQ(write({.opcode = WebSocketOpcode::binary, .payload_bytes = 65535}), "\x82\x7e\xff\xff");
  EXPECT_EQ(write({.opcode = WebSocketOpcode::binary, .payload_bytes = 65536}),
            std::string("\x82\x7f\0\0\0\0\0\1\0\0", 10));
  EXPECT_EQ(write({.opcode = WebSocketOpcode::text, .payload_bytes = 1, .rsv = kRsv1}), "\xc1\x01");
  EXPECT_EQ(
      write({.opcode = WebSocketOpcode::text, .payload_bytes = 5, .mask = WebSocketMask{'a', 'b', 'c', 'd'}}),
      "\x81\x85"
      "abcd");
  EXPECT_EQ(write({.payload_bytes = 65536, .mask = WebSocketMask{}}).size(), kMaxWebSocketHead);
}

TEST(WebSocketMask, FromAnyOffset) {  // RFC 6455 5.3
  const WebSocketMask mask = {'\x37', '\xfa', '\x21', '\x3d'};
  for (std::size_t offset = 0; offset < 9; ++offset) {
    for (std::size_t size = 0; size < 40; ++size) {
      std::string expected;
      for (std::size_t i = 0; i < size; ++i) {
        expected += static_cast<char>(static_cast<char>(i) ^ mask[(offset + i) % 4]);
      }
      std::string bytes;
      for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(i);
      apply_websocket_mask(bytes, mask, offset);
      ASSERT_EQ(bytes, expected) << offset << " " << size;
    }
  }
}

TEST(WebSocketClose, Written) {  // RFC 6455 5.5.1, 7.4
  const auto write = [](int code, std::string_view reason) {
    std::array<char, kMaxControlPayload> out;
    return std::string(out.data(), write_close_payload(static_cast<std::uint16_t>(code), reason, out));
  };
  EXPECT_EQ(write(1000, ""), "\x03\xe8");
  EXPECT_EQ(write(4999, "bye"),
            "\x13\x87"
            "bye");
  const std::string long_reason(122, 'r');
  EXPECT_EQ(write(1000, long_reason + "rrr"), "\x03\xe8" + long_reason + "r");
  EXPECT_EQ(write(1000, long_reason + "\xc3\xa4"), "\x03\xe8" + long_reason) << "no half of a code point";
  EXPECT_EQ(write(1000, long_reason.substr(1) + "\xc3\xa4"), "\x03\xe8" + long_reason.substr(1) + "\xc3\xa4");
  EXPECT_EQ(write(1000, "\xff"), "\x03\xe8");
  for (const int code : {0, 999, 1004, 1005, 1006, 1010, 1015, 2999, 5000})
    EXPECT_EQ(write(code, "x"), "") << code;
}

}  // namespace
}  // namespace microdot
