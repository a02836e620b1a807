// What the C and C++ libraries would otherwise bring, with a heap, files and signals behind it. Where a program can't go
// on, the board says why and restarts.
#include <cstddef>

#include "firmware.hpp"

extern "C" {

[[noreturn]] void abort() noexcept { firmware::stop("abort"); }

[[noreturn]] void __assert_func(const char* file, int, const char*, const char* condition) noexcept {
  firmware::log_line(file);
  firmware::stop(condition);
}

[[noreturn]] void __cxa_pure_virtual() noexcept { firmware::stop("pure virtual call"); }

// main never ends, so neither do objects of static storage.
int atexit(void (*)()) noexcept { return 0; }

}  // extern "C"

#if !defined(__cpp_exceptions)
// What the standard library's containers and views call where they would throw.
namespace std {

[[noreturn]] void __throw_out_of_range_fmt(const char* what, ...) { firmware::stop(what); }
[[noreturn]] void __throw_out_of_range(const char* what) { firmware::stop(what); }
[[noreturn]] void __throw_length_error(const char* what) { firmware::stop(what); }
[[noreturn]] void __throw_logic_error(const char* what) { firmware::stop(what); }

}  // namespace std
#endif
