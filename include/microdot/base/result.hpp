#pragma once
#include <cassert>
#include <new>
#include <type_traits>
#include <utility>

#include <microdot/base/error.hpp>

namespace microdot::inline MICRODOT_ABI {

/// A value, or the `Error` that says why there is none. Used by everything that can fail for reasons outside
/// the program; never throws.
///
///     Result<std::size_t> n = co_await req.stream().read(buffer);
///     if (!n) return abort(400, to_string(n.error()));
///     use(*n);
template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) noexcept(std::is_nothrow_move_constructible_v<T>) : error_(Error::none) {
    ::new (static_cast<void*>(&value_)) T(std::move(value));
  }
  /// `error` must not be `Error::none`.
  Result(Error error) noexcept : error_(error) { assert(error != Error::none); }
  Result(Result&& other) noexcept(std::is_nothrow_move_constructible_v<T>) : error_(other.error_) {
    if (has_value()) ::new (static_cast<void*>(&value_)) T(std::move(other.value_));
  }
  Result(const Result& other) requires std::is_copy_constructible_v<T> : error_(other.error_) {
    if (has_value()) ::new (static_cast<void*>(&value_)) T(other.value_);
  }
  Result& operator=(Result other) noexcept(std::is_nothrow_move_constructible_v<T>) {
    this->~Result();
    return *::new (static_cast<void*>(this)) Result(std::move(other));
  }
  ~Result() {
    if (has_value()) value_.~T();
  }

  bool has_value() const noexcept { return error_ == Error::none; }
  explicit operator bool() const noexcept { return has_value(); }
  /// `Error::none` when there is a value.
  Error error() const noexcept { return error_; }

  /// The value; there must be one.
  T& operator*() & noexcept { return value(); }
  const T& operator*() const& noexcept { return value(); }
  T&& operator*() && noexcept { return std::move(value()); }
  T* operator->() noexcept { return &value(); }
  const T* operator->() const noexcept { return &value(); }
  T& value() & noexcept {
    assert(has_value());
    return value_;
  }
  const T& value() const& noexcept {
    assert(has_value());
    return value_;
  }
  T&& value() && noexcept { return std::move(value()); }
  T value_or(T other) const& { return has_value() ? value_ : std::move(other); }

 private:
  union {
    T value_;
  };
  Error error_;
};

/// Success, or the `Error` that says why not.
template <>
class Result<void> {
 public:
  using value_type = void;

  Result() noexcept : error_(Error::none) {}
  /// `Error::none` is success.
  Result(Error error) noexcept : error_(error) {}
  /// An error whose reason is in the log already: passed on whole, it is not logged again by `run` or the
  /// task that fails of it.
  static Result logged(Error error) noexcept {
    Result result(error);
    result.is_logged_ = true;
    return result;
  }

  bool has_value() const noexcept { return error_ == Error::none; }
  explicit operator bool() const noexcept { return has_value(); }
  Error error() const noexcept { return error_; }
  bool is_logged() const noexcept { return is_logged_; }
  void operator*() const noexcept { assert(has_value()); }

 private:
  Error error_;
  bool is_logged_ = false;
};

}  // namespace microdot::inline MICRODOT_ABI
