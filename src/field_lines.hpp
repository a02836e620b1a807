#pragma once
/// What the library alone may do with a response's fields.

#include <cstdint>
#include <string_view>

#include <microdot/response_headers.hpp>

namespace microdot::inline MICRODOT_ABI::detail {

struct FieldLines {
  /// Fields that mean something to whoever writes the head; all others are sent as they lie there.
  static constexpr std::uint32_t kContentType = 1;
  static constexpr std::uint32_t kFraming = 2;  ///< Date, Connection, Content-Length, Transfer-Encoding.

  /// Adds a field whose name and value are known to be right, and which is of that kind (0: of none).
  static void add(ResponseHeaders& headers, std::string_view name, std::string_view value,
                  std::uint32_t kind = 0) noexcept {
    headers.add_valid(name, value, kind);
  }
  /// What this one is; 0: none of those.
  static std::uint32_t kind_of(std::string_view name) noexcept;
  /// Which of these there are.
  static std::uint32_t kinds(const ResponseHeaders& headers) noexcept {
    return headers.lines_ != nullptr ? headers.lines_->kinds : 0;
  }
  /// All fields, each as a line with its CRLF.
  static std::string_view all(const ResponseHeaders& headers) noexcept {
    return headers.lines_ != nullptr ? std::string_view(headers.lines_->text(), headers.lines_->size)
                                     : std::string_view{};
  }
  /// A field that `for_each` gives, as it is sent: "name: value\r\n".
  static std::string_view line(const Header& field) noexcept {
    return {field.name.data(), ResponseHeaders::line_size(field)};
  }
};

}  // namespace microdot::inline MICRODOT_ABI::detail
