#include "sha1.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

namespace microdot::inline MICRODOT_ABI::detail {
namespace {

constexpr std::size_t kBlock = 64;

// FIPS 180-4 6.1.3, which keeps sixteen words of the schedule instead of eighty.
void add_block(std::uint32_t (&hash)[5], const std::uint8_t* block) noexcept {
  std::uint32_t w[16];
  for (std::size_t i = 0; i < 16; ++i) {
    const std::uint8_t* p = block + 4 * i;
    w[i] = std::uint32_t{p[0]} << 24 | std::uint32_t{p[1]} << 16 | std::uint32_t{p[2]} << 8 | p[3];
  }
  std::uint32_t a = hash[0];
  std::uint32_t b = hash[1];
  std::uint32_t c = hash[2];
  std::uint32_t d = hash[3];
  std::uint32_t e = hash[4];
  for (unsigned t = 0; t < 80; ++t) {
    std::uint32_t& word = w[t & 15];
    if (t >= 16) word = std::rotl(w[(t + 13) & 15] ^ w[(t + 8) & 15] ^ w[(t + 2) & 15] ^ word, 1);
    std::uint32_t f = b ^ c ^ d;
    std::uint32_t k = 0xca62c1d6;
    if (t < 20) {
      f = (b & c) | (~b & d);
      k = 0x5a827999;
    } else if (t < 40) {
      k = 0x6ed9eba1;
    } else if (t < 60) {
      f = (b & c) | (b & d) | (c & d);
      k = 0x8f1bbcdc;
    }
    const std::uint32_t next = std::rotl(a, 5) + f + e + k + word;
    e = d;
    d = c;
    c = std::rotl(b, 30);
    b = a;
    a = next;
  }
  hash[0] += a;
  hash[1] += b;
  hash[2] += c;
  hash[3] += d;
  hash[4] += e;
}

}  // namespace

void sha1(std::string_view message, std::span<std::uint8_t, 20> digest) noexcept {
  std::uint32_t hash[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  std::uint8_t block[kBlock];
  bool ended = false;  // the bit that ends the message stands in a block
  for (std::size_t at = 0;; at += kBlock) {
    const std::size_t size = at < message.size() ? std::min(kBlock, message.size() - at) : 0;
    if (size != 0) std::memcpy(block, message.data() + at, size);
    std::memset(block + size, 0, kBlock - size);
    if (size < kBlock && !ended) {
      block[size] = 0x80;
      ended = true;
    }
    const bool last = ended && size + 1 + 8 <= kBlock;
    if (last) {
      const std::uint64_t bits = std::uint64_t{message.size()} * 8;
      for (unsigned i = 0; i < 8; ++i) block[kBlock - 1 - i] = static_cast<std::uint8_t>(bits >> (8 * i));
    }
    add_block(hash, block);
    if (last) break;
  }
  for (unsigned i = 0; i < 20; ++i) digest[i] = static_cast<std::uint8_t>(hash[i / 4] >> (24 - 8 * (i % 4)));
}

}  // namespace microdot::inline MICRODOT_ABI::detail
