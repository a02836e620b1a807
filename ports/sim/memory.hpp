#pragma once
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

#include <microdot/base/config.hpp>

namespace microdot::inline MICRODOT_ABI {

/// Memory of the simulator. A test that runs out of it ends here: faults of the program's memory are
/// elsewhere.
inline void* sim_allocate(std::size_t size) noexcept {
  void* memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  return memory;
}

/// Bytes that come in at the end and go out at the front.
class SimBuffer {
 public:
  SimBuffer() noexcept = default;
  SimBuffer(const SimBuffer&) = delete;
  ~SimBuffer() { std::free(data_); }

  std::size_t size() const noexcept { return end_ - begin_; }
  std::string_view view() const noexcept { return {data_ + begin_, size()}; }
  void clear() noexcept { begin_ = end_ = 0; }
  void append(const char* data, std::size_t size) noexcept {
    if (size == 0) return;
    if (capacity_ - end_ < size) make_room(size);
    std::memcpy(data_ + end_, data, size);
    end_ += size;
  }
  void consume(std::size_t size) noexcept {
    begin_ += size;
    if (begin_ == end_) clear();
  }

 private:
  void make_room(std::size_t size) noexcept {
    const std::size_t used = this->size();
    if (begin_ < used + size || capacity_ < used + size) {
      std::size_t capacity = capacity_ == 0 ? 1024 : capacity_;
      while (capacity < 2 * used + size) capacity *= 2;
      auto* data = static_cast<char*>(sim_allocate(capacity));
      if (used != 0) std::memcpy(data, data_ + begin_, used);
      std::free(data_);
      data_ = data;
      capacity_ = capacity;
    } else {
      std::memmove(data_, data_ + begin_, used);
    }
    begin_ = 0;
    end_ = used;
  }

  char* data_ = nullptr;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t capacity_ = 0;
};

/// A doubly linked list through members of its elements, which stay where they are.
template <typename T, T* T::*Previous, T* T::*Next>
class SimList {
 public:
  T* front() const noexcept { return front_; }
  T* back() const noexcept { return back_; }
  bool empty() const noexcept { return front_ == nullptr; }
  void push_back(T& item) noexcept { insert_after(back_, item); }
  /// `at` null: at the front.
  void insert_after(T* at, T& item) noexcept {
    T* next = at != nullptr ? at->*Next : front_;
    item.*Previous = at;
    item.*Next = next;
    (at != nullptr ? at->*Next : front_) = &item;
    (next != nullptr ? next->*Previous : back_) = &item;
  }
  void remove(T& item) noexcept {
    T* previous = item.*Previous;
    T* next = item.*Next;
    (previous != nullptr ? previous->*Next : front_) = next;
    (next != nullptr ? next->*Previous : back_) = previous;
    item.*Previous = item.*Next = nullptr;
  }

 private:
  T* front_ = nullptr;
  T* back_ = nullptr;
};

}  // namespace microdot::inline MICRODOT_ABI
