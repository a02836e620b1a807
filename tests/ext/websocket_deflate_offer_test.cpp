/// permessage-deflate (RFC 7692): what is agreed upon.

#include <microdot/ext/websocket_deflate.hpp>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "../app/support.hpp"

namespace {

using Fields = std::vector<std::string>;

/// What is answered to these fields; "" for nothing.
std::string answer_to(const Fields& fields, const DeflateWishes& wishes = {}) {
  const std::string name = "Sec-WebSocket-Extensions";
  std::string head;
  std::array<HeaderField, 8> storage;
  HeaderTable table(storage);
  for (const std::string& value : fields) head += name + value;
  table.set_base(head.data());
  std::size_t at = 0;
  for (const std::string& value : fields) {
    table.add({static_cast<std::uint16_t>(at), static_cast<std::uint16_t>(name.size()),
               static_cast<std::uint16_t>(at + name.size()), static_cast<std::uint16_t>(value.size())});
    at += name.size() + value.size();
  }
  const std::optional<DeflateAgreement> agreement = agree_on_deflate(table, wishes);
  if (!agreement) return "";
  std::array<char, kDeflateAgreementBytes> out;
  return std::string(write_deflate_agreement(*agreement, out));
}

TEST(WebSocketDeflateOffer, Accepted) {
  const std::string name = "permessage-deflate";
  const std::pair<std::string, std::string> cases[] = {
      {name, name},
      {name + "; client_max_window_bits", name},
      {name + "; client_max_window_bits=10", name + "; client_max_window_bits=10"},
      {name + "; client_max_window_bits=8", name + "; client_max_window_bits=8"},
      {name + "; server_max_window_bits=15", name + "; server_max_window_bits=15"},
      {name + ";server_max_window_bits=\"9\"", name + "; server_max_window_bits=9"},
      {name + " ; client_max_window_bits = \"1\\2\"", name + "; client_max_window_bits=12"},
      {name + "; server_no_context_takeover", name + "; server_no_context_takeover"},
      {name + "; client_no_context_takeover", name + "; client_no_context_takeover"},
      {name + "; server_max_window_bits=10; client_no_context_takeover; client_max_window_bits=11; "
              "server_no_context_takeover",
       name + "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; "
              "client_max_window_bits=11"},
  };
  for (const auto& [offer, answer] : cases) EXPECT_EQ(answer_to({offer}), answer) << offer;
}

TEST(WebSocketDeflateOffer, Declined) {
  const char* cases[] = {
      "",
      "permessage-deflat",
      "permessage-deflate2",
      "x-webkit-deflate-frame",
      "permessage-deflate; unknown",
      "permessage-deflate; client_max_window_bits=16",
      "permessage-deflate; client_max_window_bits=7",
      "permessage-deflate; client_max_window_bits=08",
      "permessage-deflate; client_max_window_bits=",
      "permessage-deflate; client_max_window_bits=\"\"",
      "permessage-deflate; client_max_window_bits=\"12",
      "permessage-deflate; client_max_window_bits=+9",
      "permessage-deflate; client_max_window_bits=100",
      "permessage-deflate; server_max_window_bits",
      "permessage-deflate; server_max_window_bits=8",  // zlib can't
      "permessage-deflate; server_max_window_bits=0x9",
      "permessage-deflate; server_no_context_takeover=1",
      "permessage-deflate; server_no_context_takeover=",
      "permessage-deflate; client_no_context_takeover=true",
      "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
      "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
      "permessage-deflate; client_max_window_bits; client_max_window_bits=9",
      "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
      "permessage-deflate;",
      "permessage-deflate; ; client_max_window_bits",
      "permessage-deflate=1",
      "\"permessage-deflate\"",
  };
  for (const char* offer : cases) {
    EXPECT_EQ(answer_to({offer}), "") << offer;
  }
}

TEST(WebSocketDeflateOffer, FirstThatCanBeIsTaken) {
  EXPECT_EQ(answer_to({"foo, permessage-deflate; bar, permessage-deflate; server_max_window_bits=10, "
                       "permessage-deflate"}),
            "permessage-deflate; server_max_window_bits=10");
  EXPECT_EQ(answer_to({"foo; a=\"x, permessage-deflate\"", "permessage-deflate; client_max_window_bits=9"}),
            "permessage-deflate; client_max_window_bits=9");
}

TEST(WebSocketDeflateOffer, ServersWishesAreKept) {
  const DeflateWishes small{.window_bits = 10};
  EXPECT_EQ(answer_to({"permessage-deflate"}, small), "");  // would look back further than there is room for
  EXPECT_EQ(answer_to({"permessage-deflate; client_max_window_bits"}, small),
            "permessage-deflate; client_max_window_bits=10");
  EXPECT_EQ(answer_to({"permessage-deflate; client_max_window_bits=9; server_max_window_bits=12"}, small),
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9");
  EXPECT_EQ(answer_to({"permessage-deflate"},
                      {.server_no_context_takeover = true, .client_no_context_takeover = true}),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
}

}  // namespace
