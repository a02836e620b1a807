#pragma once
/// Replaces all that a program can ask memory from: the malloc family (and with it operator new, strdup and
/// what else the C and C++ libraries take), and mmap, mremap, brk and sbrk. Each call is counted; any can be
/// made to fail. For one source of a program.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define MICRODOT_TEST_ASAN 1
#define MICRODOT_REAL(name) __interceptor_##name
#else
#define MICRODOT_TEST_ASAN 0
#define MICRODOT_REAL(name) __libc_##name
#endif

namespace microdot_test {

inline std::size_t heap_requests = 0;        ///< So far.
inline std::size_t heap_failing = SIZE_MAX;  ///< The number of the request that fails; see `heap_requests`.

inline bool heap_fails() {
#if MICRODOT_TEST_ASAN
  // What is served is counted by the sanitizer, which has ways of its own to it.
  if (heap_requests != heap_failing) return false;
#endif
  return heap_requests++ == heap_failing;
}

/// Bytes of address space that the kernel has given to the process, asked without a heap. Sees also what the
/// C library takes by calls of its own that can't be replaced.
inline std::size_t address_space() {
  char text[128] = {};
  const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  const ssize_t size = read(fd, text, sizeof text - 1);
  close(fd);
  return size > 0 ? std::strtoul(text, nullptr, 10) * 4096 : 0;
}

}  // namespace microdot_test

extern "C" {
void* MICRODOT_REAL(malloc)(std::size_t);
void* MICRODOT_REAL(calloc)(std::size_t, std::size_t);
void* MICRODOT_REAL(realloc)(void*, std::size_t);
void* MICRODOT_REAL(memalign)(std::size_t, std::size_t);
void* __sbrk(std::intptr_t);

void* malloc(std::size_t size) { return microdot_test::heap_fails() ? nullptr : MICRODOT_REAL(malloc)(size); }
void* calloc(std::size_t count, std::size_t size) {
  return microdot_test::heap_fails() ? nullptr : MICRODOT_REAL(calloc)(count, size);
}
void* realloc(void* old, std::size_t size) {
  return microdot_test::heap_fails() ? nullptr : MICRODOT_REAL(realloc)(old, size);
}
void* reallocarray(void* old, std::size_t count, std::size_t size) {
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(count, size, &bytes)) return nullptr;
  return realloc(old, bytes);
}
void* memalign(std::size_t alignment, std::size_t size) {
  return microdot_test::heap_fails() ? nullptr : MICRODOT_REAL(memalign)(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) { return memalign(alignment, size); }
int posix_memalign(void** to, std::size_t alignment, std::size_t size) {
  *to = memalign(alignment, size);
  return *to != nullptr ? 0 : ENOMEM;
}
void* valloc(std::size_t size) { return memalign(4096, size); }
void* pvalloc(std::size_t size) { return memalign(4096, (size + 4095) & ~std::size_t{4095}); }

void* mmap(void* at, std::size_t size, int protection, int flags, int fd, off_t offset) noexcept {
  ++microdot_test::heap_requests;
  return reinterpret_cast<void*>(syscall(SYS_mmap, at, size, protection, flags, fd, offset));
}
void* mmap64(void* at, std::size_t size, int protection, int flags, int fd, off64_t offset) noexcept {
  return mmap(at, size, protection, flags, fd, offset);
}
void* mremap(void* old, std::size_t old_size, std::size_t size, int flags, ...) noexcept {
  ++microdot_test::heap_requests;
  va_list rest;
  va_start(rest, flags);
  void* const to = (flags & MREMAP_FIXED) != 0 ? va_arg(rest, void*) : nullptr;
  va_end(rest);
  return reinterpret_cast<void*>(syscall(SYS_mremap, old, old_size, size, flags, to));
}
void* sbrk(std::intptr_t by) noexcept {
  ++microdot_test::heap_requests;
  return __sbrk(by);
}
int brk(void* end) noexcept {
  const auto now = reinterpret_cast<std::intptr_t>(sbrk(0));
  return sbrk(reinterpret_cast<std::intptr_t>(end) - now) == reinterpret_cast<void*>(-1) ? -1 : 0;
}
}

#if MICRODOT_TEST_ASAN
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void*, std::size_t),
                                                         void (*)(const volatile void*));
[[maybe_unused]] inline const int heap_counter_installed = __sanitizer_install_malloc_and_free_hooks(
    [](const volatile void*, std::size_t) { ++microdot_test::heap_requests; }, [](const volatile void*) {});

// The sanitizer's own do not come from malloc, and can't fail.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return std::malloc(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return std::malloc(size); }
void* operator new(std::size_t size) {
  void* memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  return memory;
}
void* operator new[](std::size_t size) { return ::operator new(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
#endif
