// What the C and C++ libraries would otherwise bring, with a heap, files and signals behind it. Where a
// program can't go on, the board says why and restarts.
#include <cerrno>
#include <cstddef>
#include <utility>

#include "firmware.hpp"

extern "C" {

// NOLINTBEGIN(readability-identifier-naming): the libraries' names
[[noreturn]] void abort() noexcept { firmware::stop("abort"); }

[[noreturn]] void __assert_func(const char* file, int, const char*, const char* condition) noexcept {
  firmware::log_line(file);
  firmware::stop(condition);
}

[[noreturn]] void __cxa_pure_virtual() noexcept { firmware::stop("pure virtual call"); }
// NOLINTEND(readability-identifier-naming)

// main never ends, so neither do objects of static storage.
int atexit(void (*)()) noexcept { return 0; }

}  // extern "C"

#if defined(__cpp_exceptions)

// What is thrown lies on the heap: the RAM that the image leaves.
extern "C" {

extern char heap_begin[], heap_end[];
void* __dso_handle = nullptr;

void* _sbrk(std::ptrdiff_t size) noexcept {
  static char* top = heap_begin;
  if (size > heap_end - top) {
    errno = ENOMEM;
    return reinterpret_cast<void*>(-1);
  }
  return std::exchange(top, top + size);
}

}  // extern "C"

#else

// What the standard library's containers and views call where they would throw.
namespace std {

void __throw_out_of_range_fmt(const char* what, ...) { firmware::stop(what); }
void __throw_out_of_range(const char* what) { firmware::stop(what); }
void __throw_length_error(const char* what) { firmware::stop(what); }
void __throw_logic_error(const char* what) { firmware::stop(what); }
void __throw_bad_alloc() { firmware::stop("no memory"); }
void __throw_bad_array_new_length() { firmware::stop("no memory"); }

}  // namespace std
#endif
