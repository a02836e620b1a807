#include <lwip/arch.h>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

namespace {

std::uint32_t fold(std::uint32_t sum) noexcept { return (sum >> 16) + (sum & 0xFFFF); }

template <typename Word>
std::uint64_t take(const unsigned char*& at, std::size_t& size) noexcept {
  Word word;
  std::memcpy(&word, std::assume_aligned<alignof(Word)>(at), sizeof word);
  at += sizeof word;
  size -= sizeof word;
  return word;
}

}  // namespace

// The Internet checksum (RFC 1071) of bytes at any address, not inverted: what lwIP asks for as LWIP_CHKSUM.
// Each byte that is sent and received goes through it. lwIP's own add halves of words one by one, or look for
// the carry of each word; here all carries gather in the upper half of the sum.
extern "C" u16_t microdot_lwip_checksum(const void* data, int length) {
  const auto* at = static_cast<const unsigned char*>(data);
  auto size = static_cast<std::size_t>(length);
  std::uint64_t sum = 0;
  // From an odd address on all bytes are in the other half of their words: both are exchanged at the end.
  const bool odd = (reinterpret_cast<std::uintptr_t>(at) & 1) != 0 && size != 0;
  unsigned char ends[2] = {0, 0};
  if (odd) {
    ends[1] = *at++;
    --size;
  }
  if ((reinterpret_cast<std::uintptr_t>(at) & 2) != 0 && size >= 2) sum += take<std::uint16_t>(at, size);
  while (size >= 16) {
    sum += take<std::uint32_t>(at, size);
    sum += take<std::uint32_t>(at, size);
    sum += take<std::uint32_t>(at, size);
    sum += take<std::uint32_t>(at, size);
  }
  while (size >= 2) sum += take<std::uint16_t>(at, size);
  if (size != 0) ends[0] = *at;
  std::uint16_t end;
  std::memcpy(&end, ends, sizeof end);
  sum += end;

  std::uint32_t folded = fold(static_cast<std::uint32_t>(sum)) + fold(static_cast<std::uint32_t>(sum >> 32));
  folded = fold(fold(folded));
  if (odd) folded = (folded << 8 | folded >> 8) & 0xFFFF;
  return static_cast<u16_t>(folded);
}
