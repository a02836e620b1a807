#include "heap.hpp"

#include <malloc.h>

#include <atomic>

#ifndef __has_feature
#define __has_feature(feature) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)

extern "C" std::size_t __sanitizer_get_current_allocated_bytes();
std::size_t sim::heap_bytes() noexcept { return __sanitizer_get_current_allocated_bytes(); }

#else

namespace {

std::atomic<std::size_t> bytes{0};

void* count(void* memory) noexcept {
  bytes += malloc_usable_size(memory);
  return memory;
}

}  // namespace

std::size_t sim::heap_bytes() noexcept { return bytes; }

// glibc's own, under names that are not replaced here.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);

void* malloc(std::size_t size) { return count(__libc_malloc(size)); }
void* calloc(std::size_t items, std::size_t size) { return count(__libc_calloc(items, size)); }
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  return count(__libc_memalign(alignment, size));
}
void* realloc(void* old, std::size_t size) {
  bytes -= malloc_usable_size(old);
  return count(__libc_realloc(old, size));
}
void free(void* memory) {
  bytes -= malloc_usable_size(memory);
  __libc_free(memory);
}
}

#endif
