#pragma once
#include <cassert>
#include <coroutine>
#include <exception>
#include <new>
#include <type_traits>
#include <utility>

#include <microdot/async/strand.hpp>
#include <microdot/base/arena.hpp>
#include <microdot/base/result.hpp>

namespace microdot::inline MICRODOT_ABI {

template <typename T = void>
class Task;

namespace detail {

/// What the promises of tasks and generators share: frames from the current arena, failure without
/// exceptions, and who is resumed at the end.
class PromiseBase {
 public:
  static void* operator new(std::size_t size) noexcept { return allocate_frame(size); }
  static void operator delete(void* frame) noexcept { Arena::free(frame); }
  static void operator delete(void* frame, std::size_t) noexcept { Arena::free(frame); }

  std::suspend_always initial_suspend() const noexcept { return {}; }

  /// Returns to the trampoline with the awaiting coroutine, or with nothing: then the strand is finished.
  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    void await_suspend(std::coroutine_handle<Promise> handle) const noexcept {
      // A root names nothing: it is the last thing that its strand has run.
      if (const auto continuation = handle.promise().continuation_) Strand::running().switch_to(continuation);
    }
    void await_resume() const noexcept {}
  };
  FinalAwaiter final_suspend() const noexcept { return {}; }

#if MICRODOT_EXCEPTIONS
  void unhandled_exception() noexcept { exception_ = std::current_exception(); }
  void rethrow_if_failed() {
    if (exception_) std::rethrow_exception(take_exception());
  }
  std::exception_ptr take_exception() noexcept { return std::exchange(exception_, nullptr); }
  const std::exception_ptr& exception() const noexcept { return exception_; }
#else
  void unhandled_exception() noexcept { std::terminate(); }
  void rethrow_if_failed() noexcept {}
#endif

  void set_continuation(std::coroutine_handle<> continuation) noexcept { continuation_ = continuation; }

 protected:
  std::coroutine_handle<> continuation_;
#if MICRODOT_EXCEPTIONS
  std::exception_ptr exception_;
#endif
};

template <typename T>
class TaskPromise : public PromiseBase {
 public:
  TaskPromise() noexcept {}
  TaskPromise(const TaskPromise&) = delete;
  TaskPromise& operator=(const TaskPromise&) = delete;
  ~TaskPromise() {
    if (has_value_) value_.~T();
  }

  Task<T> get_return_object() noexcept;
  static Task<T> get_return_object_on_allocation_failure() noexcept;
  template <typename U = T>
  requires std::is_constructible_v<T, U&&>
  void return_value(U&& value) noexcept(std::is_nothrow_constructible_v<T, U&&>) {
    ::new (static_cast<void*>(&value_)) T(std::forward<U>(value));
    has_value_ = true;
  }
  T take() {
    rethrow_if_failed();
    assert(has_value_);
    return std::move(value_);
  }
  /// The value of a coroutine that returned.
  const T& value() const noexcept {
    assert(has_value_);
    return value_;
  }

 private:
  union {
    T value_;
  };
  bool has_value_ = false;
};

template <>
class TaskPromise<void> : public PromiseBase {
 public:
  Task<void> get_return_object() noexcept;
  static Task<void> get_return_object_on_allocation_failure() noexcept;
  void return_void() const noexcept {}
  void take() { rethrow_if_failed(); }
};

/// Owns a coroutine's frame: what tasks and generators share.
template <typename Promise>
class FrameOwner {
 public:
  FrameOwner() noexcept = default;
  explicit FrameOwner(std::coroutine_handle<Promise> handle) noexcept : handle_(handle) {}
  FrameOwner(FrameOwner&& other) noexcept : handle_(other.release()) {}
  FrameOwner& operator=(FrameOwner&& other) noexcept {
    if (this != &other) {
      destroy();
      handle_ = other.release();
    }
    return *this;
  }
  ~FrameOwner() { destroy(); }

  /// False if the frame found no room, and after a move.
  bool valid() const noexcept { return static_cast<bool>(handle_); }
  std::coroutine_handle<Promise> handle() const noexcept { return handle_; }
  /// Destroys the coroutine now.
  void destroy() noexcept {
    if (handle_) release().destroy();
  }
  /// Gives up the frame, for those who keep it without its type.
  std::coroutine_handle<Promise> release() noexcept { return std::exchange(handle_, nullptr); }

 protected:
  std::coroutine_handle<Promise> handle_;
};

}  // namespace detail

/// A coroutine that starts when it is awaited and gives a `T` (Python's `async def`). Owns its frame:
/// destroying a task that waits ends it, and all its locals are destroyed.
///
/// The frame is taken from the arena of the strand that calls the coroutine function, else from the task
/// pool. When there is no room the task is empty: `valid()` is false, and awaiting it ends the strand (in a
/// handler: 503).
///
/// Parameters of a coroutine taken by reference must outlive it, as everywhere in C++. A lambda with captures
/// that is a coroutine must outlive it too: hand it to `create_task(f, args…)`, which keeps it.
template <typename T>
class [[nodiscard]] Task : public detail::FrameOwner<detail::TaskPromise<T>> {
 public:
  using promise_type = detail::TaskPromise<T>;
  using value_type = T;

  using detail::FrameOwner<promise_type>::FrameOwner;

  bool done() const noexcept { return this->handle_ && this->handle_.done(); }
  /// The result of a task that is done; throws what the coroutine threw.
  T take() { return this->handle_.promise().take(); }

  class Awaiter {
   public:
    explicit Awaiter(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
    bool await_ready() const noexcept { return handle_ && handle_.done(); }
    void await_suspend(std::coroutine_handle<> awaiting) const noexcept {
      Strand& strand = Strand::running();
      if (!handle_) {
        strand.park(awaiting);
        strand.stop_outermost({.cause = Stop::Cause::no_memory, .status = 503, .reason = {}});
        return;
      }
      handle_.promise().set_continuation(awaiting);
      strand.switch_to(handle_);
    }
    T await_resume() const { return handle_.promise().take(); }

   private:
    std::coroutine_handle<promise_type> handle_;
  };
  /// Runs the coroutine to its end; the task must stay alive meanwhile (as a temporary of the full expression
  /// does).
  Awaiter operator co_await() const noexcept { return Awaiter(this->handle_); }
};

namespace detail {

template <typename T>
Task<T> TaskPromise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}
template <typename T>
Task<T> TaskPromise<T>::get_return_object_on_allocation_failure() noexcept {
  return Task<T>();
}
inline Task<void> TaskPromise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}
inline Task<void> TaskPromise<void>::get_return_object_on_allocation_failure() noexcept {
  return Task<void>();
}

/// Makes a `T` in `arena`; null if there is no room.
template <typename T, typename... Args>
T* make_in(Arena& arena, Args&&... args) {
  static_assert(alignof(T) <= Arena::kAlignment);
  struct Memory {
    ~Memory() { Arena::free(pointer); }
    void* pointer;
  } memory{arena.allocate(sizeof(T))};
  if (memory.pointer == nullptr) return nullptr;
  T* made = ::new (memory.pointer) T(std::forward<Args>(args)...);  // may throw
  memory.pointer = nullptr;
  return made;
}

template <typename T>
inline constexpr bool kIsTask = false;
template <typename T>
inline constexpr bool kIsTask<Task<T>> = true;

}  // namespace detail

/// Only says that there is nothing to wait for.
template <typename T>
std::suspend_never operator co_await(const Result<T>&) {
  static_assert(!std::is_same_v<T, T>,
                "a Result is there already, as of try_publish: leave out the co_await");
  return {};
}

}  // namespace microdot::inline MICRODOT_ABI
