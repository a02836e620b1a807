#pragma once
// A flash memory with two slots for images, as a chip has it: erased by the sector, which is slow, and
// written by the page, which can only clear bits. Here it is memory, and the time that it takes is slept.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <microdot/microdot.hpp>

class Flash {
 public:
  static constexpr std::size_t kPageBytes = 256;
  static constexpr std::size_t kSectorBytes = 64 * 1024;
  static constexpr std::size_t kSlotBytes = 2 * 1024 * 1024;
  static constexpr microdot::Duration kEraseTime = std::chrono::milliseconds(200);

  explicit Flash(char* memory) noexcept : memory_(memory) {}

  /// Erases the sector that begins at `offset` of a slot: all its bits are set.
  microdot::Task<> erase_sector(int slot, std::size_t offset) {
    co_await microdot::sleep_for(kEraseTime);
    for (std::size_t i = 0; i < kSectorBytes; ++i) at(slot)[offset + i] = '\xff';
  }
  /// Writes into a page, erased before. False if not all of it is there afterwards.
  bool program(int slot, std::size_t offset, std::string_view bytes) {
    bool right = bytes.size() <= kPageBytes - offset % kPageBytes;
    for (std::size_t i = 0; right && i < bytes.size(); ++i) {
      at(slot)[offset + i] &= bytes[i];
      right = at(slot)[offset + i] == bytes[i];
    }
    return right;
  }
  std::string_view slot(int slot) const noexcept { return {at(slot), kSlotBytes}; }

 private:
  char* at(int slot) const noexcept { return memory_ + static_cast<std::size_t>(slot) * kSlotBytes; }

  char* memory_;
};
