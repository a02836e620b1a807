#pragma once
#include <lwip/pbuf.h>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

namespace firmware {

/// A place in a frame that lies in a chain of buffers, from which or to which the words of an Ethernet
/// controller's FIFO go. `Byte` is `const std::byte` to read.
template <typename Byte>
class FrameCursor {
 public:
  /// Without a chain (null) it is at the end.
  explicit FrameCursor(const pbuf* frame) noexcept : next_(frame) { enter_next(); }

 protected:
  /// Whether a whole word lies in this buffer, which is what most do.
  bool has_word() const noexcept { return left_ >= sizeof(std::uint32_t); }
  Byte* advance(std::size_t size) noexcept {
    left_ -= size;
    return std::exchange(at_, at_ + size);
  }
  /// Calls `copy(bytes, size)` for pieces of the next `size` bytes, fewer at the end of the chain.
  template <typename Copy>
  void pieces(std::size_t size, Copy copy) noexcept {
    while (size != 0 && (left_ != 0 || enter_next())) {
      const std::size_t part = std::min(size, left_);
      copy(advance(part), part);
      size -= part;
    }
  }

 private:
  bool enter_next() noexcept {
    while (next_ != nullptr && left_ == 0) {
      at_ = static_cast<std::byte*>(next_->payload);
      left_ = next_->len;
      next_ = next_->next;
    }
    return left_ != 0;
  }

  Byte* at_ = nullptr;
  std::size_t left_ = 0;
  const pbuf* next_;
};

/// Reads words; the last one is filled up with zeros.
class FrameReader : FrameCursor<const std::byte> {
 public:
  using FrameCursor::FrameCursor;

  std::uint32_t next_word() noexcept {
    std::uint32_t word = 0;
    if (!has_word()) return next_bytes(sizeof word);
    std::memcpy(&word, advance(sizeof word), sizeof word);
    return word;
  }
  /// At most four bytes, the first one lowest.
  std::uint32_t next_bytes(std::size_t count) noexcept {
    std::uint32_t word = 0;
    auto* to = reinterpret_cast<std::byte*>(&word);
    pieces(count, [&](const std::byte* from, std::size_t size) {
      std::memcpy(to, from, size);
      to += size;
    });
    return word;
  }
};

/// Writes words; what is beyond the end, as a checksum and the filling of the last word are, is dropped.
class FrameWriter : FrameCursor<std::byte> {
 public:
  using FrameCursor::FrameCursor;

  void put_word(std::uint32_t word) noexcept {
    if (!has_word()) return put_bytes(word, sizeof word);
    std::memcpy(advance(sizeof word), &word, sizeof word);
  }
  /// The lowest `count` bytes, at most four.
  void put_bytes(std::uint32_t word, std::size_t count) noexcept {
    const auto* from = reinterpret_cast<const std::byte*>(&word);
    pieces(count, [&](std::byte* to, std::size_t size) {
      std::memcpy(to, from, size);
      from += size;
    });
  }
};

}  // namespace firmware
