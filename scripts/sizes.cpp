// Prints what an App's block holds: the memory that one more connection, exchange or stream costs.
#include <cstddef>
#include <cstdio>

#include <microdot/microdot.hpp>

using microdot::Limits;

namespace {

void print(const char* name, const Limits& limits) {
  const std::size_t all = limits.memory();
  Limits connection = limits;
  ++connection.connections;
  Limits exchange = limits;
  ++exchange.exchanges;
  Limits stream = limits;
  ++stream.streams;
  std::printf("  %-26s %10zu %12zu %12zu %12zu\n", name, all, connection.memory() - all,
              exchange.memory() - all, stream.memory() - all);
}

}  // namespace

int main() {
  std::printf("Memory of an App (bytes)\n  %-26s %10s %12s %12s %12s\n", "", "block", "+connection",
              "+exchange", "+stream");
  print("Limits::host()", Limits::host());
  print("Limits{}", Limits{});
  print("12 connections, 3 at work", Limits{.connections = 12, .exchanges = 3});
  print("Limits::device()", Limits::device());
}
