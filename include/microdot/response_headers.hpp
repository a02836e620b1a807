#pragma once
#include <cstdint>
#include <string_view>
#include <utility>

#include <microdot/base/arena.hpp>
#include <microdot/base/error.hpp>

namespace microdot::inline MICRODOT_ABI {

namespace detail {
struct FieldLines;
}

/// A header field to be sent.
struct Header {
  std::string_view name;
  std::string_view value;
};

/// The header fields of a response, in order. They are copied into the request's arena; when that is full the
/// response fails as a whole (503), and a field that would break the message (CR, LF, NUL) makes it a 500.
/// Views of names and values are valid until a field is set, added or removed. They lie in one piece, which
/// is moved when it grows and something else was taken from the arena behind it.
class ResponseHeaders {
 public:
  ResponseHeaders() noexcept = default;
  ResponseHeaders(ResponseHeaders&& other) noexcept
      : lines_(std::exchange(other.lines_, nullptr)), error_(std::exchange(other.error_, Error::none)) {}
  ResponseHeaders& operator=(ResponseHeaders&& other) noexcept {
    if (this != &other) {
      clear();
      lines_ = std::exchange(other.lines_, nullptr);
      error_ = std::exchange(other.error_, Error::none);
    }
    return *this;
  }
  ~ResponseHeaders() { clear(); }

  /// The value of the first field called `name` (any case), "" if there is none.
  std::string_view operator[](std::string_view name) const noexcept {
    std::string_view value;
    return find(name, value) ? value : std::string_view{};
  }
  std::string_view operator[](const char* name) const noexcept { return (*this)[std::string_view(name)]; }
  bool contains(std::string_view name) const noexcept {
    std::string_view value;
    return find(name, value);
  }
  bool contains(const char* name) const noexcept { return contains(std::string_view(name)); }
  /// Replaces all fields called `name` by one. Both may be views of a field of these.
  void set(std::string_view name, std::string_view value) noexcept;
  /// Adds a field beside others of the same name. Both may be views of a field of these.
  void add(std::string_view name, std::string_view value) noexcept;
  void remove(std::string_view name) noexcept;
  void remove(const char* name) noexcept { remove(std::string_view(name)); }
  void clear() noexcept {
    if (lines_ != nullptr) Arena::free(std::exchange(lines_, nullptr));
  }
  bool empty() const noexcept { return lines_ == nullptr; }
  /// `no_memory` or `invalid` after the first field that could not be taken.
  Error error() const noexcept { return error_; }
  void fail(Error error) noexcept {
    if (error_ == Error::none) error_ = error;
  }
  /// Calls `f(Header)` for each field; `f` changes none.
  template <typename F>
  void for_each(F f) const {
    for (std::uint32_t at = 0; at < size();) {
      const Header field = field_at(at);
      at += line_size(field);
      f(field);
    }
  }

 private:
  friend struct detail::FieldLines;
  /// In the arena, and behind it all lines as they are sent. None of them: it is not there.
  struct Lines {
    std::uint32_t size = 0;
    std::uint32_t kinds = 0;  ///< See detail::FieldLines.
    char* text() noexcept { return reinterpret_cast<char*>(this + 1); }
  };

  std::uint32_t size() const noexcept { return lines_ != nullptr ? lines_->size : 0; }
  static std::uint32_t line_size(const Header& field) noexcept {
    return static_cast<std::uint32_t>(field.name.size() + field.value.size() + 4);  // ": " and CRLF
  }
  Header field_at(std::uint32_t offset) const noexcept;
  /// `value` is another one's if there is none.
  bool find(std::string_view name, std::string_view& value) const noexcept;
  /// `add` of what is known to be right.
  void add_valid(std::string_view name, std::string_view value, std::uint32_t kind) noexcept;
  void remove_before(std::uint32_t end, std::string_view name) noexcept;
  void remove_line(std::uint32_t at, std::uint32_t size) noexcept;

  Lines* lines_ = nullptr;
  Error error_ = Error::none;
};

}  // namespace microdot::inline MICRODOT_ABI
