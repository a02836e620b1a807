#pragma once
/// Numbers that one thread changes while others read them, for statistics: each for itself is right, together
/// they may be of different moments. They cost what plain numbers do, and are plain ones where there are no
/// threads.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include <microdot/base/config.hpp>

namespace microdot::inline MICRODOT_ABI::detail {

/// A system without threads has none of it; on hosts of 32 bits numbers of 64 are stored in two halves.
template <typename T>
inline constexpr bool kShared = MICRODOT_HOSTED && sizeof(T) <= sizeof(void*);

/// For the thread that changes it.
template <typename T>
void store_shared(T& to, std::type_identity_t<T> value) noexcept {
  static_assert(std::is_trivially_copyable_v<T>);
  if constexpr (kShared<T>) {
    __atomic_store(&to, &value, __ATOMIC_RELAXED);
  } else {
    to = value;
  }
}
/// For the thread that changes it: adds `by`.
template <typename T>
void count_up(T& counter, std::type_identity_t<T> by) noexcept {
  store_shared(counter, static_cast<T>(counter + by));
}
template <typename T>
MICRODOT_CALLED void count_up(T& counter) noexcept {
  count_up(counter, 1);
}
template <typename T>
void count_down(T& counter) noexcept {
  store_shared(counter, static_cast<T>(counter - 1));
}
/// For the thread that changes it: notes `value` if it is the most so far.
template <typename T>
void raise(T& most, std::type_identity_t<T> value) noexcept {
  if (value > most) store_shared(most, value);
}
/// For any thread.
template <typename T>
T load_shared(const T& from) noexcept {
  if constexpr (kShared<T>) {
    T value;
    __atomic_load(const_cast<T*>(&from), &value, __ATOMIC_RELAXED);
    return value;
  } else {
    return from;
  }
}
/// For the thread that changes it: who loads the value by `load_published` sees all that was written before.
template <typename T>
void publish_shared(T& to, std::type_identity_t<T> value) noexcept {
#if MICRODOT_HOSTED
  __atomic_store(&to, &value, __ATOMIC_RELEASE);
#else
  to = value;
#endif
}
/// For any thread.
template <typename T>
T load_published(const T& from) noexcept {
#if MICRODOT_HOSTED
  T value;
  __atomic_load(const_cast<T*>(&from), &value, __ATOMIC_ACQUIRE);
  return value;
#else
  return from;
#endif
}
/// For any thread: a copy of a whole struct of such numbers.
template <typename T>
T copy_shared(const T& from) noexcept {
  static_assert(std::is_trivially_copyable_v<T>);
#if MICRODOT_HOSTED
  using Word [[gnu::may_alias]] = std::uintptr_t;
  static_assert(sizeof(T) % sizeof(Word) == 0 && alignof(T) >= alignof(Word));
  T copy;
  const auto* words = reinterpret_cast<const Word*>(&from);
  for (std::size_t i = 0; i < sizeof(T) / sizeof(Word); ++i) {
    const std::uintptr_t word = __atomic_load_n(words + i, __ATOMIC_RELAXED);
    std::memcpy(reinterpret_cast<std::byte*>(&copy) + i * sizeof word, &word, sizeof word);
  }
  return copy;
#else
  return from;
#endif
}

/// For the thread that changes it: what `copy_shared` of another one reads meanwhile may be of both.
template <typename T>
void store_words_shared(T& to, const T& from) noexcept {
  static_assert(std::is_trivially_copyable_v<T>);
#if MICRODOT_HOSTED
  using Word [[gnu::may_alias]] = std::uintptr_t;
  static_assert(sizeof(T) % sizeof(Word) == 0 && alignof(T) >= alignof(Word));
  auto* words = reinterpret_cast<Word*>(&to);
  for (std::size_t i = 0; i < sizeof(T) / sizeof(Word); ++i) {
    std::uintptr_t word;
    std::memcpy(&word, reinterpret_cast<const std::byte*>(&from) + i * sizeof word, sizeof word);
    __atomic_store_n(words + i, word, __ATOMIC_RELAXED);
  }
#else
  to = from;
#endif
}

/// A number that several threads change: adds 1.
template <typename T>
void count_up_together(T& counter) noexcept {
#if MICRODOT_HOSTED
  __atomic_fetch_add(&counter, T{1}, __ATOMIC_RELAXED);
#else
  ++counter;
#endif
}
/// The same, unless it is `most` already. Returns whether it was added.
template <typename T>
bool count_up_together(T& counter, T most) noexcept {
#if MICRODOT_HOSTED
  T count = __atomic_load_n(&counter, __ATOMIC_RELAXED);
  do {
    if (count >= most) return false;
  } while (!__atomic_compare_exchange_n(&counter, &count, static_cast<T>(count + 1), true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED));
#else
  if (counter >= most) return false;
  ++counter;
#endif
  return true;
}
template <typename T>
void count_down_together(T& counter) noexcept {
#if MICRODOT_HOSTED
  __atomic_fetch_sub(&counter, T{1}, __ATOMIC_RELAXED);
#else
  --counter;
#endif
}

}  // namespace microdot::inline MICRODOT_ABI::detail
