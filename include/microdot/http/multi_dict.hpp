#pragma once
#include <charconv>
#include <concepts>
#include <cstddef>
#include <iterator>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include <microdot/base/config.hpp>
#include <microdot/base/result.hpp>
#include <microdot/http/chars.hpp>

namespace microdot::inline MICRODOT_ABI {

/// One name and one of its values.
using NameValue = std::pair<std::string_view, std::string_view>;

/// Reads all of `text` as an integer or floating-point number in decimal, or as a bool ("1 true yes on" and
/// "0 false no off", without case). False when it is none or out of range; `value` is then unchanged.
template <typename T>
requires std::is_arithmetic_v<T>
bool parse_value(std::string_view text, T& value) noexcept {
  if constexpr (std::same_as<T, bool>) {
    for (const std::string_view yes : {"1", "true", "yes", "on"}) {
      if (equals_ignore_case(text, yes)) return value = true;
    }
    for (const std::string_view no : {"0", "false", "no", "off"}) {
      if (equals_ignore_case(text, no)) return !(value = false);
    }
    return false;
  } else {
    T parsed{};
    const char* end = text.data() + text.size();
    const std::from_chars_result result = std::from_chars(text.data(), end, parsed);
    if (result.ec != std::errc{} || result.ptr != end) return false;
    value = parsed;
    return true;
  }
}

/// The values of one name of a `MultiDict`, in order.
class NamedValues {
 public:
  class Iterator {
   public:
    using value_type = std::string_view;
    using difference_type = std::ptrdiff_t;
    using reference = std::string_view;
    using pointer = void;
    using iterator_category = std::input_iterator_tag;

    constexpr Iterator() noexcept = default;
    constexpr Iterator(std::span<const NameValue> rest, std::string_view name) noexcept
        : rest_(rest), name_(name) {
      skip();
    }
    constexpr std::string_view operator*() const noexcept { return rest_.front().second; }
    constexpr Iterator& operator++() noexcept {
      rest_ = rest_.subspan(1);
      skip();
      return *this;
    }
    constexpr Iterator operator++(int) noexcept {
      const Iterator old = *this;
      ++*this;
      return old;
    }
    friend constexpr bool operator==(const Iterator& a, const Iterator& b) noexcept {
      return a.rest_.size() == b.rest_.size();
    }

   private:
    constexpr void skip() noexcept {
      while (!rest_.empty() && rest_.front().first != name_) rest_ = rest_.subspan(1);
    }

    std::span<const NameValue> rest_;
    std::string_view name_;
  };

  constexpr NamedValues(std::span<const NameValue> pairs, std::string_view name) noexcept
      : pairs_(pairs), name_(name) {}
  constexpr Iterator begin() const noexcept { return {pairs_, name_}; }
  constexpr Iterator end() const noexcept { return {}; }
  constexpr bool empty() const noexcept { return begin() == end(); }
  constexpr std::size_t size() const noexcept {
    std::size_t n = 0;
    for (Iterator i = begin(); i != end(); ++i) ++n;
    return n;
  }

 private:
  std::span<const NameValue> pairs_;
  std::string_view name_;
};

/// Names with one or more values each, in the order they came: the arguments of a query or the fields of a
/// form. A view; it copies nothing and lives as long as the request.
///
///     args["name"]                  // first value, "" when missing
///     args.get<int>("page", 1)      // 1 when missing or no number
///     for (std::string_view x : args.getlist("x")) …
class MultiDict {
 public:
  using value_type = NameValue;
  using const_iterator = const NameValue*;

  constexpr MultiDict() noexcept = default;
  constexpr explicit MultiDict(std::span<const NameValue> pairs) noexcept : pairs_(pairs) {}

  /// The first value of `name`; "" when there is none.
  constexpr std::string_view operator[](std::string_view name) const noexcept { return get(name); }
  /// The first value of `name`, or `fallback`.
  constexpr std::string_view get(std::string_view name, std::string_view fallback = {}) const noexcept {
    const NameValue* pair = find(name);
    return pair == end() ? fallback : pair->second;
  }
  /// The first value of `name` as a number or bool (see `parse_value`); `fallback` when it is missing or no
  /// T.
  template <typename T>
  requires std::is_arithmetic_v<T> T get(std::string_view name, std::type_identity_t<T> fallback = {})
  const noexcept {
    const NameValue* pair = find(name);
    T value = fallback;
    return pair != end() && parse_value(pair->second, value) ? value : fallback;
  }
  constexpr bool contains(std::string_view name) const noexcept { return find(name) != end(); }
  /// All values of `name` in order, as a range; `name` has to outlive it.
  constexpr NamedValues getlist(std::string_view name) const noexcept { return {pairs_, name}; }

  /// All pairs in order.
  constexpr const_iterator begin() const noexcept { return pairs_.data(); }
  constexpr const_iterator end() const noexcept { return pairs_.data() + pairs_.size(); }
  /// Number of pairs; a name with two values counts twice.
  constexpr std::size_t size() const noexcept { return pairs_.size(); }
  constexpr bool empty() const noexcept { return pairs_.empty(); }

 private:
  constexpr const NameValue* find(std::string_view name) const noexcept {
    const NameValue* pair = begin();
    while (pair != end() && pair->first != name) ++pair;
    return pair;
  }

  std::span<const NameValue> pairs_;
};

/// How many pairs `parse_form` finds in `text`.
std::size_t count_form_pairs(std::string_view text) noexcept;

/// Reads application/x-www-form-urlencoded text (of a query or a form) as the URL standard does: '+' is a
/// space, a
/// '%' without two hexadecimal digits stays as it is, "a" is "a" with the value "", empty pieces ("a&&b") are
/// left out and empty names kept. Names and values without '+' and '%' are views of `text`; the others are
/// decoded into `memory`, of which `text.size()` bytes always suffice. Returns the filled front of `out`, or
/// `Error::too_large` when there are more pairs than `out` or more encoded bytes than `memory` has room for.
Result<std::span<const NameValue>> parse_form(std::string_view text, std::span<NameValue> out,
                                              std::span<char> memory) noexcept;

/// The same, with every name and value decoded where it stands: needs no memory, and changes `text`.
Result<std::span<const NameValue>> parse_form_in_place(std::span<char> text,
                                                       std::span<NameValue> out) noexcept;

}  // namespace microdot::inline MICRODOT_ABI
