#pragma once
#include <coroutine>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <microdot/async/task.hpp>

namespace microdot::inline MICRODOT_ABI {

template <typename T>
class Generator;

namespace detail {

template <typename T>
class GeneratorPromise : public PromiseBase {
 public:
  Generator<T> get_return_object() noexcept;
  static Generator<T> get_return_object_on_allocation_failure() noexcept;
  void return_void() const noexcept {}

  /// Returns to the consumer, which reads the value where it lies; it stays there until the consumer comes
  /// back.
  PromiseBase::FinalAwaiter yield_value(const T& value) noexcept {
    value_ = std::addressof(value);
    return {};
  }

  const T* value() const noexcept { return value_; }
  void clear() noexcept { value_ = nullptr; }

 private:
  const T* value_ = nullptr;
};

}  // namespace detail

/// A coroutine that gives values one after the other with `co_yield` and may await in between (Python's async
/// generator). As a handler's answer it is streamed.
///
///     Generator<std::string_view> count() {
///       co_yield "one";
///       co_await sleep_for(1s);
///       co_yield "two";
///     }
///
/// A yielded value must stay valid until the consumer asks for the next one: literals, and locals of the
/// generator.
template <typename T>
class [[nodiscard]] Generator : public detail::FrameOwner<detail::GeneratorPromise<T>> {
 public:
  using promise_type = detail::GeneratorPromise<T>;
  using value_type = T;

  using detail::FrameOwner<promise_type>::FrameOwner;

  class Next {
   public:
    explicit Next(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
    bool await_ready() const noexcept { return handle_ && handle_.done(); }
    void await_suspend(std::coroutine_handle<> awaiting) const noexcept {
      Strand& strand = Strand::running();
      if (!handle_) {
        strand.park(awaiting);
        strand.stop_outermost({.cause = Stop::Cause::no_memory, .status = 503, .reason = {}});
        return;
      }
      handle_.promise().clear();
      handle_.promise().set_continuation(awaiting);
      strand.switch_to(handle_);
    }
    /// The next value, or null at the end. Throws what the generator threw.
    const T* await_resume() const {
      if (handle_.done()) {
        handle_.promise().rethrow_if_failed();
        return nullptr;
      }
      return handle_.promise().value();
    }

   private:
    std::coroutine_handle<promise_type> handle_;
  };
  /// `const T* value = co_await generator.next();` runs the generator to its next value; null at its end.
  Next next() const noexcept { return Next(this->handle_); }
};

namespace detail {

template <typename T>
Generator<T> GeneratorPromise<T>::get_return_object() noexcept {
  return Generator<T>(std::coroutine_handle<GeneratorPromise>::from_promise(*this));
}
template <typename T>
Generator<T> GeneratorPromise<T>::get_return_object_on_allocation_failure() noexcept {
  return Generator<T>();
}

template <typename T>
inline constexpr bool kIsGenerator = false;
template <typename T>
inline constexpr bool kIsGenerator<Generator<T>> = true;

}  // namespace detail

}  // namespace microdot::inline MICRODOT_ABI
