// Addresses are read as inet_pton reads them, and written so that they are read again as the same; lists of
// networks are what a plain reading of them says.
#include <arpa/inet.h>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <microdot/port/network.hpp>

#include "fuzz.hpp"

using namespace microdot;
using fuzz::require;

namespace {

Endpoint system_address(std::string_view text) {
  Endpoint endpoint;
  const std::string c_string(text);
  if (text.find('\0') != std::string_view::npos) return endpoint;
  if (inet_pton(AF_INET, c_string.c_str(), endpoint.address.data()) == 1) {
    endpoint.family = Endpoint::Family::ipv4;
  } else if (inet_pton(AF_INET6, c_string.c_str(), endpoint.address.data()) == 1) {
    endpoint.family = Endpoint::Family::ipv6;
  }
  return endpoint;
}

void check_address(std::string_view text) {
  const Endpoint endpoint = Endpoint::from_address(text);
  const Endpoint expected = system_address(text);
  require(endpoint.family == expected.family && endpoint.port == 0);
  require(endpoint.family == Endpoint::Family::none || endpoint.address == expected.address);
  require(endpoint.address == (endpoint.family == Endpoint::Family::none ? Endpoint{} : expected).address);
}

void check_text(const Endpoint& endpoint) {
  char out[Endpoint::kMaxText];
  const std::string_view text = endpoint.format_address(out);
  require(Endpoint::from_address(text).same_address(endpoint));
  require(endpoint.is_in(text) && is_network_list(text));
}

struct Network {
  Endpoint address;
  unsigned bits;
};

std::optional<Network> read_network(std::string_view item) {
  while (item.starts_with(' ')) item.remove_prefix(1);
  while (item.ends_with(' ')) item.remove_suffix(1);
  const std::size_t slash = item.find('/');
  Network network{system_address(item.substr(0, slash)), 0};
  if (network.address.family == Endpoint::Family::none) return {};
  const unsigned all = network.address.family == Endpoint::Family::ipv4 ? 32 : 128;
  network.bits = all;
  if (slash == std::string_view::npos) return network;
  const std::string_view digits = item.substr(slash + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), network.bits);
  if (error != std::errc{} || end != digits.data() + digits.size() || digits.size() > 3 || network.bits > all)
    return {};
  return network;
}

bool bit(const Endpoint& endpoint, unsigned number) {
  return (endpoint.address[number / 8] >> (7 - number % 8) & 1) != 0;
}

bool mapped(const Endpoint& endpoint) {
  return endpoint.family == Endpoint::Family::ipv6 &&
         std::memcmp(endpoint.address.data(), "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0;
}

// IPv4 as its mapped form, which no network of IPv6 has.
bool contains(Network network, Endpoint endpoint) {
  const auto map = [](Endpoint& plain) {
    if (plain.family != Endpoint::Family::ipv4) return;
    std::memmove(plain.address.data() + 12, plain.address.data(), 4);
    std::memcpy(plain.address.data(), "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
    plain.family = Endpoint::Family::ipv6;
  };
  if (network.address.family == Endpoint::Family::ipv4) network.bits += 96;
  map(network.address);
  map(endpoint);
  if (mapped(endpoint) && network.bits < 96) return false;
  if (network.address.family != endpoint.family) return false;
  for (unsigned i = 0; i < network.bits; ++i) {
    if (bit(network.address, i) != bit(endpoint, i)) return false;
  }
  return true;
}

void check_list(std::string_view list, const Endpoint& endpoint) {
  bool all_good = true;
  bool found = false;
  for (std::string_view rest = list; !list.empty();) {
    const std::size_t comma = rest.find(',');
    const std::optional<Network> network = read_network(rest.substr(0, comma));
    all_good = all_good && network;
    found = found || (network && contains(*network, endpoint));
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  require(is_network_list(list) == all_good);
  require(endpoint.is_in(list) == found);
}

}  // namespace

// 17 bytes are an address; the text behind them is one, too, and a list.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  Endpoint endpoint;
  endpoint.family = input.flag() ? Endpoint::Family::ipv4 : Endpoint::Family::ipv6;
  const std::string_view bytes = input.bytes(16);
  bytes.copy(reinterpret_cast<char*>(endpoint.address.data()),
             endpoint.family == Endpoint::Family::ipv4 ? 4 : 16);
  check_text(endpoint);

  const std::string_view text = input.rest();
  check_address(text);
  check_list(text, endpoint);
  const Endpoint first = system_address(text.substr(0, text.find_first_of(",/ ")));
  if (first.family != Endpoint::Family::none) {
    check_text(first);
    check_list(text, first);
  }
  return 0;
}
