#pragma once
// What the fuzzers share: the input as a source of decisions, and a property that has to hold.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

namespace fuzz {

/// Stops the search: the input is a finding.
inline void require(bool holds) {
  if (!holds) std::abort();
}

/// All of `part` lies in `whole`.
inline bool inside(std::string_view part, std::string_view whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

/// The input, taken byte by byte from the front; zeros when it is used up.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  bool empty() const { return rest_.empty(); }
  std::uint8_t byte() {
    const std::string_view one = bytes(1);
    return one.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(one.front());
  }
  std::uint64_t number() {
    std::uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value = value << 8 | byte();
    return value;
  }
  bool flag() { return (byte() & 1) != 0; }
  /// One of `choices`.
  template <typename T, std::size_t N>
  T pick(const T (&choices)[N]) {
    return choices[byte() % N];
  }
  /// At most `size` bytes.
  std::string_view bytes(std::size_t size) {
    const std::string_view front = rest_.substr(0, size);
    rest_.remove_prefix(front.size());
    return front;
  }
  /// All up to `end`, which is dropped, or to the end.
  std::string_view until(char end) {
    const std::string_view front = bytes(std::min(rest_.find(end), rest_.size()));
    bytes(1);
    return front;
  }
  std::string_view rest() { return bytes(rest_.size()); }

 private:
  std::string_view rest_;
};

}  // namespace fuzz
