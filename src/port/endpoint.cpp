#include <microdot/port/network.hpp>

namespace microdot::inline MICRODOT_ABI {
namespace {

struct TextWriter {
  char* at;

  void put(char c) noexcept { *at++ = c; }
  void decimal(unsigned value) noexcept {
    if (value >= 100) put(static_cast<char>('0' + value / 100));
    if (value >= 10) put(static_cast<char>('0' + value / 10 % 10));
    put(static_cast<char>('0' + value % 10));
  }
  void hexadecimal(unsigned value) noexcept {  // without leading zeros (RFC 5952 section 4.1)
    bool started = false;
    for (int shift = 12; shift >= 0; shift -= 4) {
      const unsigned digit = (value >> shift) & 15;
      started = started || digit != 0 || shift == 0;
      if (started) put("0123456789abcdef"[digit]);
    }
  }
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

}  // namespace microdot::inline MICRODOT_ABI
