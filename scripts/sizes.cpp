// Prints what an App's block holds, and what of that one connection, exchange or stream has.
#include <cstddef>
#include <cstdio>

#include <microdot/microdot.hpp>

using microdot::Limits;

namespace {

void print(const char* name, const Limits& limits) {
  std::printf("  %-26s %10zu %12zu %12zu %12zu\n", name, limits.memory(), Limits::connection_memory(),
              limits.exchange_memory(), limits.stream_memory());
}

}  // namespace

int main() {
  std::printf("Memory of an App (bytes)\n  %-26s %10s %12s %12s %12s\n", "", "block", "a connection",
              "an exchange", "a stream");
  print("Limits::host()", Limits::host());
  print("Limits{}", Limits{});
  print("12 connections, 3 at work", Limits{.connections = 12, .exchanges = 3});
  print("Limits::device()", Limits::device());
}
