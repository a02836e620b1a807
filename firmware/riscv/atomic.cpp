// What the compiler calls for atomic operations of a core that has no instructions for them (extension A):
// those of one and four bytes that microdot uses. There is one core, so it is enough that no interrupt comes
// between.
#include <cstdint>

#include "core.hpp"

namespace firmware {
namespace {

class WithoutInterrupts {
 public:
  WithoutInterrupts() noexcept { asm volatile("csrrci %0, mstatus, 8" : "=r"(before_)::"memory"); }
  WithoutInterrupts(const WithoutInterrupts&) = delete;
  ~WithoutInterrupts() { asm volatile("csrs mstatus, %0" ::"r"(before_ & 8) : "memory"); }

 private:
  std::uint32_t before_;
};

template <typename T>
T exchange(volatile void* at, T value) noexcept {
  const WithoutInterrupts guard;
  auto& object = *static_cast<volatile T*>(at);
  const T old = object;
  object = value;
  return old;
}

}  // namespace

extern "C" {

// Named in assembly: for the compiler the names are its own.
[[gnu::used]] std::uint8_t exchange_1(volatile void*, std::uint8_t, int) noexcept asm("__atomic_exchange_1");
[[gnu::used]] std::uint32_t exchange_4(volatile void*, std::uint32_t, int) noexcept
    asm("__atomic_exchange_4");
[[gnu::used]] bool compare_exchange_4(volatile void*, void*, std::uint32_t, int, int) noexcept
    asm("__atomic_compare_exchange_4");

std::uint8_t exchange_1(volatile void* at, std::uint8_t value, int) noexcept { return exchange(at, value); }

std::uint32_t exchange_4(volatile void* at, std::uint32_t value, int) noexcept { return exchange(at, value); }

bool compare_exchange_4(volatile void* at, void* expected, std::uint32_t value, int, int) noexcept {
  const WithoutInterrupts guard;
  auto& object = *static_cast<volatile std::uint32_t*>(at);
  auto& before = *static_cast<std::uint32_t*>(expected);
  const bool same = object == before;
  if (same)
    object = value;
  else
    before = object;
  return same;
}

}  // extern "C"

}  // namespace firmware
