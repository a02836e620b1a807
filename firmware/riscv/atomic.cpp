// What the compiler calls for atomic operations of a core that has no instructions for them (extension A).
// There is one core, so it is enough that no interrupt comes between.
#include <cstdint>

#include "core.hpp"

namespace firmware {
namespace {

template <typename T>
T exchange(volatile void* at, T value) noexcept {
  std::uint32_t before;
  asm volatile("csrrci %0, mstatus, 8" : "=r"(before)::"memory");
  auto& object = *static_cast<volatile T*>(at);
  const T old = object;
  object = value;
  asm volatile("csrs mstatus, %0" ::"r"(before & 8) : "memory");
  return old;
}

}  // namespace

// Named in assembly: to the compiler the names are its own.
extern "C" {
[[gnu::used]] std::uint8_t exchange_1(volatile void* at, std::uint8_t value, int) noexcept
    asm("__atomic_exchange_1");
[[gnu::used]] std::uint32_t exchange_4(volatile void* at, std::uint32_t value, int) noexcept
    asm("__atomic_exchange_4");

std::uint8_t exchange_1(volatile void* at, std::uint8_t value, int) noexcept { return exchange(at, value); }
std::uint32_t exchange_4(volatile void* at, std::uint32_t value, int) noexcept { return exchange(at, value); }
}

}  // namespace firmware
