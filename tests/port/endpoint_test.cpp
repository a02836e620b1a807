#include <arpa/inet.h>
#include <string>

#include <gtest/gtest.h>

#include <microdot/port/network.hpp>

namespace microdot_test {
namespace {

using namespace microdot;

std::string format(const char* text, Endpoint::Family family) {
  Endpoint endpoint;
  endpoint.family = family;
  EXPECT_EQ(inet_pton(family == Endpoint::Family::ipv4 ? AF_INET : AF_INET6, text, endpoint.address.data()),
            1);
  char out[Endpoint::kMaxText];
  return std::string(endpoint.format_address(out));
}
std::string v4(const char* text) { return format(text, Endpoint::Family::ipv4); }
std::string v6(const char* text) { return format(text, Endpoint::Family::ipv6); }

TEST(Endpoint, FormatsIpv4) {
  for (const char* text : {"0.0.0.0", "127.0.0.1", "255.255.255.255", "10.20.30.40", "1.100.9.99"})
    EXPECT_EQ(v4(text), text);
}

TEST(Endpoint, FormatsIpv6AsRfc5952Says) {
  EXPECT_EQ(v6("::"), "::");
  EXPECT_EQ(v6("::1"), "::1");
  EXPECT_EQ(v6("1::"), "1::");
  EXPECT_EQ(v6("2001:0db8:0:0:0:0:0002:0001"), "2001:db8::2:1");  // 4.1, 4.2.1
  EXPECT_EQ(v6("2001:db8:0:1:1:1:1:1"), "2001:db8:0:1:1:1:1:1");  // 4.2.2: one group is not shortened
  EXPECT_EQ(v6("2001:0:0:1:0:0:0:1"), "2001:0:0:1::1");           // 4.2.3: the longest run
  EXPECT_EQ(v6("2001:db8:0:0:1:0:0:1"), "2001:db8::1:0:0:1");     // 4.2.3: the first of two
  EXPECT_EQ(v6("2001:DB8::ABCD:EF"), "2001:db8::abcd:ef");        // 4.3: lower case
  EXPECT_EQ(v6("::ffff:192.0.2.1"), "::ffff:192.0.2.1");          // 5
  EXPECT_EQ(v6("1:2:3:4:5:6:7:8"), "1:2:3:4:5:6:7:8");
  EXPECT_EQ(v6("1:2:3:4:5:6:0:0"), "1:2:3:4:5:6::");
  EXPECT_EQ(v6("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

TEST(Endpoint, NoFamilyIsNoText) {
  char out[Endpoint::kMaxText];
  EXPECT_EQ(Endpoint{}.format_address(out), "");
}

std::string with_port(std::string_view address, std::uint16_t port) {
  Endpoint endpoint = Endpoint::from_address(address);
  endpoint.port = port;
  char out[80];
  return std::string(out, format_to(out, "<{:>23}>", endpoint));
}

TEST(Endpoint, IsFormattedWithItsPort) {
  EXPECT_EQ(with_port("192.168.100.200", 65535), "<  192.168.100.200:65535>");
  EXPECT_EQ(with_port("::1", 5), "<                [::1]:5>");
  EXPECT_EQ(with_port("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535),
            "<[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535>");
  EXPECT_EQ(with_port("no address", 80), "<                       >");
}

TEST(Endpoint, ReadsWhatItWrites) {
  for (const std::string_view text :
       {"0.0.0.0", "127.0.0.1", "255.255.255.255", "::", "::1", "1::", "fe80::1:2", "2001:db8::1:0:0:1",
        "2001:0:0:1::1", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6::", "::3:4:5:6:7:8", "::ffff:192.0.2.1"}) {
    char out[Endpoint::kMaxText];
    EXPECT_EQ(Endpoint::from_address(text).format_address(out), text);
  }
  EXPECT_TRUE(Endpoint::from_address("2001:DB8:0::1").same_address(Endpoint::from_address("2001:db8::1")));
}

TEST(Endpoint, TextThatIsNoAddressHasNoFamily) {
  for (const std::string_view text : {"",
                                      " ",
                                      "a",
                                      "1.2.3",
                                      "1.2.3.",
                                      "1.2.3.4.",
                                      "1.2.3.4.5",
                                      "256.1.1.1",
                                      "01.2.3.4",
                                      "1..2.3",
                                      "1.2.3.-4",
                                      ":",
                                      ":::",
                                      "1:2:3:4:5:6:7",
                                      "1:2:3:4:5:6:7:",
                                      "1:2:3:4:5:6:7:8:9",
                                      "1::2::3",
                                      "12345::",
                                      "g::",
                                      "::1 ",
                                      "1:2:3:4:5:6:7:1.2.3.4",
                                      "::1.2.3",
                                      "::1.2.3.4:5",
                                      "::1:2:3:4:5:6:7:8",
                                      "[::1]",
                                      "127.0.0.1:80"}) {
    EXPECT_EQ(Endpoint::from_address(text).family, Endpoint::Family::none) << text;
  }
}

TEST(Endpoint, IsInNetworksOfAList) {
  const auto is_in = [](std::string_view address, std::string_view list) {
    EXPECT_TRUE(is_network_list(list)) << list;
    return Endpoint::from_address(address).is_in(list);
  };
  EXPECT_FALSE(is_in("10.1.2.3", ""));
  EXPECT_TRUE(is_in("10.1.2.3", "10.1.2.3"));
  EXPECT_FALSE(is_in("10.1.2.3", "10.1.2.4"));
  EXPECT_TRUE(is_in("10.1.2.3", "::1, 10.1.2.3"));
  EXPECT_TRUE(is_in("10.1.2.3", "10.0.0.0/8,::1"));
  EXPECT_FALSE(is_in("11.1.2.3", "10.0.0.0/8,::1"));
  EXPECT_TRUE(is_in("10.1.2.3", "0.0.0.0/0"));
  EXPECT_FALSE(is_in("::1", "0.0.0.0/0"));
  EXPECT_TRUE(is_in("10.1.2.7", "10.1.2.6/31"));
  EXPECT_FALSE(is_in("10.1.2.8", "10.1.2.6/31"));
  EXPECT_TRUE(is_in("2001:db8:1::5", "2001:db8::/32"));
  EXPECT_FALSE(is_in("2001:db9:1::5", "2001:db8::/32"));
  EXPECT_TRUE(is_in("fe80::1", "fe80::1/128"));
}

TEST(Endpoint, AMappedAddressIsTheIpv4AddressThatItStandsFor) {
  const auto plain = [](std::string_view text) {
    char out[Endpoint::kMaxText];
    return std::string(Endpoint::from_address(text).unmapped().format_address(out));
  };
  EXPECT_EQ(plain("::ffff:192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(plain("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(plain("::fffe:192.0.2.1"), "::fffe:c000:201");
  EXPECT_EQ(plain("1::ffff:192.0.2.1"), "1::ffff:c000:201");
  const auto is_in = [](std::string_view address, std::string_view list) {
    EXPECT_TRUE(is_network_list(list)) << list;
    return Endpoint::from_address(address).is_in(list);
  };
  EXPECT_TRUE(is_in("::ffff:10.1.2.3", "10.0.0.0/8"));
  EXPECT_TRUE(is_in("10.1.2.3", "::1, ::ffff:10.1.2.3"));
  EXPECT_TRUE(is_in("10.1.2.3", "::ffff:10.0.0.0/104"));
  EXPECT_TRUE(is_in("::ffff:10.1.2.3", "::ffff:10.1.2.3"));
  EXPECT_TRUE(is_in("10.1.2.3", "::ffff:0:0/96"));
  EXPECT_FALSE(is_in("::ffff:11.1.2.3", "10.0.0.0/8"));
  EXPECT_FALSE(is_in("11.1.2.3", "::ffff:10.0.0.0/104"));
  EXPECT_FALSE(is_in("10.1.2.3", "::/0"));
  EXPECT_FALSE(is_in("::ffff:10.1.2.3", "::/0"));
  EXPECT_TRUE(is_in("::5", "::ffff:0:0/80"));
}

TEST(Endpoint, ListsOfNetworksAreChecked) {
  for (const std::string_view text :
       {"localhost", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8a", "::/129", "10.0.0.1;::1",
        "10.0.0.1,,::1", "10.0.0.1 ::1", "/8", "10.0.0.1,", "10.0.0.1, "}) {
    EXPECT_FALSE(is_network_list(text)) << text;
  }
}

TEST(Endpoint, TheSameAddressWhateverThePort) {
  Endpoint one{{127, 0, 0, 1}, 1, Endpoint::Family::ipv4};
  Endpoint two{{127, 0, 0, 1}, 2, Endpoint::Family::ipv4};
  Endpoint other{{127, 0, 0, 2}, 1, Endpoint::Family::ipv4};
  Endpoint six{{127, 0, 0, 1}, 1, Endpoint::Family::ipv6};
  EXPECT_TRUE(one.same_address(two));
  EXPECT_FALSE(one.same_address(other));
  EXPECT_FALSE(one.same_address(six));
}

}  // namespace
}  // namespace microdot_test
