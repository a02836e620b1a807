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

namespace microdot::inline MICRODOT_ABI {

/// One name and one of its values.
using NameValue = std::pair<std::string_view, std::string_view>;

/// Reads all of `text` as a T: an integer or a floating-point number in decimal, or a bool ("1 true yes on" and
/// "0 false no off", without case). False when it is none or out of range; `value` is then unchanged.
template <typename T>
bool parse_value(std::string_view text, T& value) noexcept;
template <>
bool parse_value<bool>(std::string_view text, bool& value) noexcept;

/// Names with one or more values each, in the order they came: the arguments of a query or the fields of a form.
/// A view; it copies nothing and lives as long as the request.
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
    const NameValue* pair = find(name, pairs_.data());
    return pair == end() ? fallback : pair->second;
  }
  /// The first value of `name` as a number or bool (see `parse_value`); `fallback` when it is missing or no T.
  template <typename T>
  T get(std::string_view name, std::type_identity_t<T> fallback = {}) const noexcept {
    const NameValue* pair = find(name, pairs_.data());
    if constexpr (std::same_as<T, std::string_view>) {
      return pair == end() ? fallback : pair->second;
    } else {
      if (pair != end()) (void)parse_value(pair->second, fallback);
      return fallback;
    }
  }
  constexpr bool contains(std::string_view name) const noexcept { return find(name, pairs_.data()) != end(); }

  /// The values of one name.
  class Values {
   public:
    class Iterator {
     public:
      using value_type = std::string_view;
      using difference_type = std::ptrdiff_t;
      using reference = std::string_view;
      using pointer = void;
      using iterator_category = std::input_iterator_tag;

      constexpr Iterator() noexcept = default;
      constexpr Iterator(const Values* values, const NameValue* at) noexcept : values_(values), at_(at) {}
      constexpr std::string_view operator*() const noexcept { return at_->second; }
      constexpr Iterator& operator++() noexcept {
        at_ = values_->dict_.find(values_->name_, at_ + 1);
        return *this;
      }
      constexpr Iterator operator++(int) noexcept {
        Iterator old = *this;
        ++*this;
        return old;
      }
      friend constexpr bool operator==(const Iterator& a, const Iterator& b) noexcept { return a.at_ == b.at_; }

     private:
      const Values* values_ = nullptr;
      const NameValue* at_ = nullptr;
    };

    constexpr Iterator begin() const noexcept { return {this, dict_.find(name_, dict_.begin())}; }
    constexpr Iterator end() const noexcept { return {this, dict_.end()}; }
    constexpr std::size_t size() const noexcept {
      std::size_t n = 0;
      for (Iterator i = begin(); i != end(); ++i) ++n;
      return n;
    }
    constexpr bool empty() const noexcept { return begin() == end(); }

   private:
    friend class MultiDict;
    constexpr Values(MultiDict dict, std::string_view name) noexcept;

    std::span<const NameValue> pairs_;
    std::string_view name_;
  };

  /// All values of `name` in order, as a range. `name` has to outlive the range.
  constexpr Values getlist(std::string_view name) const noexcept;

  /// All pairs in order.
  constexpr const_iterator begin() const noexcept { return pairs_.data(); }
  constexpr const_iterator end() const noexcept { return pairs_.data() + pairs_.size(); }
  /// Number of pairs; a name with two values counts twice.
  constexpr std::size_t size() const noexcept { return pairs_.size(); }
  constexpr bool empty() const noexcept { return pairs_.empty(); }

 private:
  constexpr const NameValue* find(std::string_view name, const NameValue* from) const noexcept {
    while (from != end() && from->first != name) ++from;
    return from;
  }

  std::span<const NameValue> pairs_;
};
