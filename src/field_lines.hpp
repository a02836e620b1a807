#pragma once
/// What the library alone may do with a response's fields.

#include <string_view>

#include <microdot/response.hpp>

namespace microdot::inline MICRODOT_ABI::detail {

struct FieldLines {
  /// Adds a field whose name and value are known to be right.
  static void add(ResponseHeaders& headers, std::string_view name, std::string_view value) noexcept {
    headers.add_valid(name, value);
  }
  /// A field that `for_each` gives, as it is sent: "name: value\r\n".
  static std::string_view line(const Header& field) noexcept {
    return {field.name.data(), field.name.size() + field.value.size() + 4};
  }
};

}  // namespace microdot::inline MICRODOT_ABI::detail
