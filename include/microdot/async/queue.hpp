#pragma once
#include <cstddef>
#include <new>
#include <optional>
#include <utility>

#include <microdot/async/semaphore.hpp>

namespace microdot::inline MICRODOT_ABI {

/// At most `N` values on their way from tasks to tasks, first in, first out. A task that is ended while it
/// waits takes no value with it.
///
///     Queue<Reading, 8> readings;
///     co_await readings.put(reading);
///     Reading next = co_await readings.get();
template <typename T, std::size_t N>
class Queue {
  static_assert(N > 0, "Queue: at least one place");

 public:
  Queue() noexcept : places_(N), items_(0) {}
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
  ~Queue() {
    for (std::size_t i = 0; i < size_; ++i) at(i)->~T();
  }

  class Put : public Semaphore::Permit {
   public:
    Put(Queue& queue, T value) : Permit(queue.places_), queue_(&queue), value_(std::move(value)) {}
    void await_resume() {
      Permit::await_resume();
      queue_->push(value_);
    }

   private:
    Queue* queue_;
    T value_;
  };
  class Get : public Semaphore::Permit {
   public:
    explicit Get(Queue& queue) noexcept : Permit(queue.items_), queue_(&queue) {}
    T await_resume() {
      Permit::await_resume();
      return queue_->pop();
    }

   private:
    Queue* queue_;
  };

  /// Waits for a place, then appends `value`.
  [[nodiscard]] Put put(T value) { return Put(*this, std::move(value)); }
  /// Waits for a value and takes the oldest.
  [[nodiscard]] Get get() noexcept { return Get(*this); }
  /// Appends `value` unless the queue is full.
  bool try_put(T value) {
    if (!places_.try_take()) return false;
    push(value);
    return true;
  }
  /// Takes the oldest value that nobody waits for already; none if empty.
  std::optional<T> try_get() {
    if (!items_.try_take()) return std::nullopt;
    return pop();
  }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  bool full() const noexcept { return size_ == N; }
  static constexpr std::size_t capacity() noexcept { return N; }

 private:
  class Returned {
   public:
    explicit Returned(Semaphore& semaphore) noexcept : semaphore_(&semaphore) {}
    Returned(const Returned&) = delete;
    Returned& operator=(const Returned&) = delete;
    ~Returned() {
      if (semaphore_ != nullptr) semaphore_->release();
    }
    void keep() noexcept { semaphore_ = nullptr; }

   private:
    Semaphore* semaphore_;
  };

  T* at(std::size_t i) noexcept { return std::launder(reinterpret_cast<T*>(storage_) + (first_ + i) % N); }
  // Moves of `T` may throw: then the place, or the value, is there for the next who asks.
  void push(T& value) {
    Returned place(places_);
    ::new (static_cast<void*>(storage_ + (first_ + size_) % N * sizeof(T))) T(std::move(value));
    place.keep();
    ++size_;
    items_.release();
  }
  T pop() {
    Returned item(items_);
    T* oldest = at(0);
    T value = std::move(*oldest);
    item.keep();
    oldest->~T();
    first_ = (first_ + 1) % N;
    --size_;
    places_.release();
    return value;
  }

  Semaphore places_;  // free places
  Semaphore items_;   // values that no `get` was promised yet
  std::size_t first_ = 0;
  std::size_t size_ = 0;
  alignas(T) std::byte storage_[N * sizeof(T)];
};

}  // namespace microdot::inline MICRODOT_ABI
