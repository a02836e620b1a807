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
  static constexpr std::size_t kWord = sizeof(std::uint32_t);

  /// Calls `each(bytes)` for each of the next `count` words that lie in one buffer, as most do, and
  /// `apart()` for the others.
  template <typename Each, typename Apart>
  void words(std::size_t count, Each each, Apart apart) noexcept {
    while (count != 0) {
      const std::size_t run = std::min(count, left_ / kWord);
      if (run == 0) {
        apart();
        --count;
        continue;
      }
      count -= run;
      left_ -= run * kWord;
      Byte* const end = at_ + run * kWord;
      for (; end - at_ >= static_cast<std::ptrdiff_t>(4 * kWord); at_ += 4 * kWord) {
        for (std::size_t i = 0; i < 4; ++i) each(at_ + i * kWord);
      }
      for (; at_ != end; at_ += kWord) each(at_);
    }
  }
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

  /// Gives the next `count` words to a register.
  void put_words(std::size_t count, volatile std::uint32_t& to) noexcept {
    const auto each = [&to](const std::byte* from) noexcept {
      std::uint32_t word;
      std::memcpy(&word, from, sizeof word);
      to = word;
    };
    words(count, each, [&]() noexcept { to = next_bytes(kWord); });
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

  /// Takes the next `count` words from a register.
  void take_words(std::size_t count, volatile std::uint32_t& from) noexcept {
    const auto each = [&from](std::byte* to) noexcept {
      const std::uint32_t word = from;
      std::memcpy(to, &word, sizeof word);
    };
    words(count, each, [&]() noexcept { put_bytes(from, kWord); });
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
