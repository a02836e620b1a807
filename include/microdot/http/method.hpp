#pragma once
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include <microdot/base/config.hpp>

namespace microdot::inline MICRODOT_ABI {

/// A request method (RFC 9110 9.3, RFC 5789). `other` stands for every method that has no name here.
enum class Method : std::uint8_t { get, head, post, put, patch, delete_, options, connect, trace, other };

/// The method named `text`, which is case-sensitive; `Method::other` for an unknown name.
Method parse_method(std::string_view text) noexcept;

/// The method's name as it stands in a request line; "" for `Method::other`. Static storage.
std::string_view to_string(Method method) noexcept;

/// A set of methods.
class MethodSet {
 public:
  constexpr MethodSet() noexcept = default;
  constexpr MethodSet(Method method) noexcept : bits_(mask(method)) {}
  constexpr MethodSet(std::initializer_list<Method> methods) noexcept {
    for (const Method method : methods) add(method);
  }

  constexpr MethodSet& add(Method method) noexcept {
    bits_ = static_cast<std::uint16_t>(bits_ | mask(method));
    return *this;
  }
  constexpr MethodSet& add(MethodSet others) noexcept {
    bits_ = static_cast<std::uint16_t>(bits_ | others.bits_);
    return *this;
  }
  constexpr bool contains(Method method) const noexcept { return (bits_ & mask(method)) != 0; }
  constexpr bool empty() const noexcept { return bits_ == 0; }
  friend constexpr bool operator==(MethodSet a, MethodSet b) noexcept { return a.bits_ == b.bits_; }

 private:
  static constexpr std::uint16_t mask(Method method) noexcept {
    return static_cast<std::uint16_t>(1U << static_cast<unsigned>(method));
  }

  std::uint16_t bits_ = 0;
};

/// Room for any value that `write_allow` writes.
inline constexpr std::size_t kMaxAllow = 64;

/// Writes the value of an `Allow` field, e.g. "GET, HEAD, OPTIONS" (RFC 9110 10.2.1), into `out`.
/// `Method::other` is left out. Returns the text within `out`; names that have no room any more are left out
/// too.
std::string_view write_allow(MethodSet methods, std::span<char> out) noexcept;

}  // namespace microdot::inline MICRODOT_ABI
