#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <string_view>
#include <type_traits>

#include <microdot/base/config.hpp>

namespace microdot::inline MICRODOT_ABI::detail {

MICRODOT_CALLED constexpr std::string_view packed_text(const char* bytes, const std::uint16_t* begins,
                                                       std::size_t place) noexcept {
  return {bytes + begins[place], static_cast<std::size_t>(begins[place + 1] - begins[place] - 1)};
}

/// Constant texts one behind the other, each with a NUL at its end, found by their place. Takes 2 bytes for
/// each beside its own, where a std::string_view takes 8, and 16 on 64 bits.
template <std::size_t kCount, std::size_t kBytes>
struct PackedTexts {
  std::array<std::uint16_t, kCount + 1> begins{};
  std::array<char, kBytes> bytes{};

  constexpr std::string_view operator[](std::size_t place) const noexcept {
    return packed_text(bytes.data(), begins.data(), place);
  }
  static constexpr std::size_t size() noexcept { return kCount; }
  /// The first place of a text, or `size()`.
  constexpr std::size_t find(std::string_view text) const noexcept {
    std::size_t place = 0;
    while (place != kCount && (*this)[place] != text) ++place;
    return place;
  }
};

template <auto kText, typename Element>
constexpr std::string_view text_of(const Element& element) {
  if constexpr (std::is_null_pointer_v<decltype(kText)>) {
    return element;
  } else {
    return element.*kText;
  }
}

/// Packs the texts of a constant array; of an array of structures those that `kText` (a pointer to member)
/// says.
template <const auto& kList, auto kText = nullptr>
consteval auto pack_texts() {
  constexpr std::size_t kBytes = [] {
    std::size_t sum = 0;
    for (std::size_t i = 0; i != std::size(kList); ++i) sum += text_of<kText>(kList[i]).size() + 1;
    return sum;
  }();
  static_assert(kBytes <= UINT16_MAX);
  PackedTexts<std::size(kList), kBytes> packed;
  std::size_t size = 0;
  for (std::size_t i = 0; i != std::size(kList); ++i) {
    packed.begins[i] = static_cast<std::uint16_t>(size);
    for (const char c : text_of<kText>(kList[i])) packed.bytes[size++] = c;
    ++size;
  }
  packed.begins[std::size(kList)] = static_cast<std::uint16_t>(size);
  return packed;
}

/// The place of a text, which is one of them: it compiles only then.
template <std::size_t kCount, std::size_t kBytes>
consteval std::uint8_t place_of(const PackedTexts<kCount, kBytes>& texts, std::string_view text) {
  static_assert(kCount <= UINT8_MAX);
  const std::size_t place = texts.find(text);
  if (place == kCount) std::abort();
  return static_cast<std::uint8_t>(place);
}

}  // namespace microdot::inline MICRODOT_ABI::detail
