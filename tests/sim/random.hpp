#pragma once
// What all that is random in a simulated world comes from.

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace sim {

/// SplitMix64: one word of state, and every seed is as good as any other.
class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t next() noexcept {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t value = state_;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
  }
  /// From 0 to `count` - 1.
  std::size_t below(std::size_t count) noexcept { return static_cast<std::size_t>(next() % count); }
  /// Both ends included.
  int between(int low, int high) noexcept {
    return low + static_cast<int>(below(static_cast<std::size_t>(high - low) + 1));
  }
  bool chance(unsigned percent) noexcept { return below(100) < percent; }
  template <typename T>
  T pick(std::initializer_list<T> values) noexcept {
    return values.begin()[below(values.size())];
  }
  /// From 0 to `most`: every order of magnitude is as likely as any other.
  std::size_t any_size(std::size_t most) noexcept {
    std::size_t bits = 0;
    while (most >> bits > 1) ++bits;
    return below((most >> below(bits + 1)) + 1);
  }
  /// Another source, so that what one part of a world takes does not change what another gets.
  Random fork() noexcept { return Random(next()); }

 private:
  std::uint64_t state_;
};

}  // namespace sim
