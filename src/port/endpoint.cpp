#include <microdot/port/network.hpp>

#include <algorithm>

#include <microdot/base/text.hpp>

#include "../base/address.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

struct TextWriter {
  char* at;

  void put(char c) noexcept { *at++ = c; }
  void decimal(unsigned value) noexcept { at += write_decimal(at, value); }
  void hexadecimal(unsigned value) noexcept { at += write_hex(at, value); }  // RFC 5952 section 4.1
  void dotted(const std::uint8_t* bytes) noexcept {
    for (int i = 0; i < 4; ++i) {
      if (i != 0) put('.');
      decimal(bytes[i]);
    }
  }
};

struct Run {
  int start = -1;
  int length = 0;
};

// Takes the next of a list of networks: its address, and how many of its bits count.
bool take_network(std::string_view& list, Endpoint& network, unsigned& bits) noexcept {
  const std::size_t comma = list.find(',');
  std::string_view item = list.substr(0, comma);
  list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  while (item.starts_with(' ')) item.remove_prefix(1);
  while (item.ends_with(' ')) item.remove_suffix(1);
  const std::size_t slash = item.find('/');
  network = Endpoint::from_address(item.substr(0, slash));
  if (network.family == Endpoint::Family::none) return false;
  bits = network.family == Endpoint::Family::ipv4 ? 32 : 128;
  if (slash == std::string_view::npos) return true;
  const std::string_view digits = item.substr(slash + 1);
  if (digits.empty() || digits.size() > 3) return false;
  unsigned value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  if (value > bits) return false;
  bits = value;
  return true;
}

// A network of IPv4-mapped addresses as the network of IPv4 that it stands for.
void unmap(Endpoint& network, unsigned& bits) noexcept {
  const Endpoint plain = network.unmapped();
  if (plain.family == network.family || bits < 96) return;
  network = plain;
  bits -= 96;
}

bool same_bits(const Endpoint& a, const Endpoint& b, unsigned bits) noexcept {
  if (a.family != b.family) return false;
  for (std::size_t i = 0; bits != 0; ++i) {
    const unsigned here = bits < 8 ? bits : 8;
    if (((a.address[i] ^ b.address[i]) & (0xff00U >> here) & 0xff) != 0) return false;
    bits -= here;
  }
  return true;
}

/// The first longest run of at least two zero groups (RFC 5952 sections 4.2.2 and 4.2.3).
Run longest_zero_run(const unsigned (&groups)[8]) noexcept {
  Run best;
  for (int i = 0; i < 8;) {
    int end = i;
    while (end < 8 && groups[end] == 0) ++end;
    if (end - i >= 2 && end - i > best.length) best = {i, end - i};
    i = end + 1;
  }
  return best;
}

}  // namespace

Endpoint Endpoint::from_address(std::string_view text) noexcept {
  Endpoint endpoint;
  if (detail::parse_ipv4(text, endpoint.address.data())) {
    endpoint.family = Family::ipv4;
  } else {
    endpoint.address = {};
    if (detail::parse_ipv6(text, endpoint.address)) endpoint.family = Family::ipv6;
  }
  return endpoint;
}

Endpoint Endpoint::unmapped() const noexcept {
  constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (family != Family::ipv6 || !std::equal(kMapped.begin(), kMapped.end(), address.begin())) return *this;
  Endpoint plain;
  std::copy(address.begin() + 12, address.end(), plain.address.begin());
  plain.port = port;
  plain.family = Family::ipv4;
  return plain;
}

bool Endpoint::is_in(std::string_view networks) const noexcept {
  const Endpoint plain = unmapped();
  Endpoint network;
  unsigned bits = 0;
  while (!networks.empty()) {
    if (!take_network(networks, network, bits)) continue;
    unmap(network, bits);
    if (same_bits(plain, network, bits)) return true;
  }
  return false;
}

bool is_network_list(std::string_view text) noexcept {
  if (text.ends_with(',')) return false;  // nothing follows
  Endpoint network;
  unsigned bits = 0;
  while (!text.empty()) {
    if (!take_network(text, network, bits)) return false;
  }
  return true;
}

std::string_view Endpoint::format_address(std::span<char, kMaxText> out) const noexcept {
  TextWriter text{out.data()};
  if (family == Family::ipv4) {
    text.dotted(address.data());
  } else if (family == Family::ipv6) {
    unsigned groups[8];
    for (std::size_t i = 0; i < 8; ++i) groups[i] = address[2 * i] * 256u + address[2 * i + 1];
    const bool mapped = groups[0] == 0 && groups[1] == 0 && groups[2] == 0 && groups[3] == 0 &&
                        groups[4] == 0 && groups[5] == 0xffff;
    const Run zeros = longest_zero_run(groups);
    const int count = mapped ? 6 : 8;
    for (int i = 0; i < count;) {
      if (i == zeros.start) {
        text.put(':');
        text.put(':');
        i += zeros.length;
        continue;
      }
      if (i != 0 && i != zeros.start + zeros.length) text.put(':');
      text.hexadecimal(groups[i++]);
    }
    if (mapped) {  // section 5
      text.put(':');
      text.dotted(address.data() + 12);
    }
  }
  return {out.data(), static_cast<std::size_t>(text.at - out.data())};
}

std::string_view IntoText<Endpoint>::make(const Endpoint& endpoint, std::span<char, max_size> out) noexcept {
  if (endpoint.family == Endpoint::Family::none) return {};
  const bool ipv6 = endpoint.family == Endpoint::Family::ipv6;
  std::size_t size = 0;
  if (ipv6) out[size++] = '[';  // RFC 3986 section 3.2.2
  size += endpoint.format_address(std::span<char, Endpoint::kMaxText>(&out[size], Endpoint::kMaxText)).size();
  if (ipv6) out[size++] = ']';
  out[size++] = ':';
  size += write_decimal(&out[size], endpoint.port);
  return {out.data(), size};
}

}  // namespace microdot::inline MICRODOT_ABI
