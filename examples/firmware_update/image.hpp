#pragma once
// What an image begins with, and whether it is one: make_image writes them.
#include <cstddef>
#include <cstdint>
#include <string_view>

/// CRC-32 (that of zip), of pieces.
class Crc32 {
 public:
  void add(std::string_view bytes) noexcept {
    for (const char c : bytes) {
      sum_ ^= static_cast<unsigned char>(c);
      for (int half = 0; half < 2; ++half) sum_ = sum_ >> 4 ^ kTable[sum_ & 15];
    }
  }
  std::uint32_t value() const noexcept { return ~sum_; }

 private:
  static constexpr std::uint32_t kTable[16] = {
      0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
      0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
  std::uint32_t sum_ = 0xffffffff;
};

/// "MDFW", the size and the CRC of what follows the header (32 bits each, the lowest byte first), and the
/// version, filled up with zeros.
struct ImageHeader {
  static constexpr std::size_t kBytes = 32;

  std::uint32_t size = 0;
  std::uint32_t crc = 0;
  std::string_view version;

  /// False if that is no header.
  bool parse(std::string_view bytes) noexcept {
    if (bytes.size() < kBytes || bytes.substr(0, 4) != "MDFW") return false;
    size = number(bytes.substr(4));
    crc = number(bytes.substr(8));
    version = bytes.substr(12, kBytes - 12);
    version = version.substr(0, version.find('\0'));
    for (const char c : version) {
      if (c < ' ' || c > '~' || c == '"' || c == '\\') return false;  // it will stand in JSON
    }
    return !version.empty();
  }

 private:
  static std::uint32_t number(std::string_view bytes) noexcept {
    std::uint32_t value = 0;
    for (std::size_t i = 4; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
  }
};
