#pragma once
#include <lwip/pbuf.h>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace firmware {

/// Reads a frame that lies in a chain of buffers as the words that an Ethernet controller's FIFO takes, the last
/// one filled up with zeros.
class FrameReader {
 public:
  explicit FrameReader(const pbuf* frame) noexcept : at_(frame) {}

  std::uint32_t next_word() noexcept {
    std::uint32_t word = 0;
    take(&word, sizeof word);
    return word;
  }
  /// Two bytes, in the lower half.
  std::uint32_t next_half() noexcept {
    std::uint32_t word = 0;
    take(&word, 2);
    return word;
  }

 private:
  void take(void* word, std::size_t size) noexcept {
    auto* to = static_cast<std::byte*>(word);
    while (size != 0 && at_ != nullptr) {
      const std::size_t part = std::min<std::size_t>(size, at_->len - offset_);
      std::memcpy(to, static_cast<const std::byte*>(at_->payload) + offset_, part);
      to += part;
      size -= part;
      offset_ += part;
      if (offset_ != at_->len) continue;
      at_ = at_->next;
      offset_ = 0;
    }
  }

  const pbuf* at_;
  std::size_t offset_ = 0;
};

/// Writes words from an Ethernet controller's FIFO into a chain of buffers. What is beyond its end, as the
/// checksum and the filling of the last word are, is dropped; without a chain, everything.
class FrameWriter {
 public:
  explicit FrameWriter(pbuf* frame) noexcept : at_(frame) {}

  void put_word(std::uint32_t word) noexcept { put(&word, sizeof word); }
  /// The two bytes of the upper half.
  void put_upper_half(std::uint32_t word) noexcept {
    word >>= 16;
    put(&word, 2);
  }

 private:
  void put(const void* word, std::size_t size) noexcept {
    auto* from = static_cast<const std::byte*>(word);
    while (size != 0 && at_ != nullptr) {
      const std::size_t part = std::min<std::size_t>(size, at_->len - offset_);
      std::memcpy(static_cast<std::byte*>(at_->payload) + offset_, from, part);
      from += part;
      size -= part;
      offset_ += part;
      if (offset_ != at_->len) continue;
      at_ = at_->next;
      offset_ = 0;
    }
  }

  pbuf* at_;
  std::size_t offset_ = 0;
};

}  // namespace firmware
