// sim --seed N [--log]      lives one world and says how it went, with --log everything that happened in it
// sim --seeds FROM..TO      lives many; the first that goes wrong is told with the end of its log
// sim --hours H [--seed N]  hours of virtual time with clients that come and go; the memory at their end
//
// A seed decides everything: the limits, the faults, the clients. The same seed is the same run.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "long_life.hpp"
#include "world.hpp"

namespace {

int usage() {
  std::fputs("usage: sim --seed N [--log] | --seeds FROM..TO | --hours H [--seed N]\n", stderr);
  return 2;
}

/// The last `count` lines.
std::string_view end_of(std::string_view text, int count) {
  std::size_t at = text.size();
  while (at != 0 && count >= 0) {
    --at;
    if (text[at] == '\n') --count;
  }
  return text.substr(at == 0 ? 0 : at + 1);
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

bool live(std::uint64_t seed, bool logs, bool tells) {
  const sim::Plan plan(seed);
  sim::World world(plan, logs);
  const std::string wrong = world.run();
  if (tells) {
    std::printf("seed %llu\n%s\n", static_cast<unsigned long long>(seed), plan.describe().c_str());
    print(world.log_text());
    std::printf("%u turns, %ld requests handled: %s\n", world.turns(), world.handled(),
                wrong.empty() ? "all is well" : wrong.c_str());
  }
  return wrong.empty();
}

/// Says how a world went wrong that did.
void tell(std::uint64_t seed) {
  const sim::Plan plan(seed);
  sim::World world(plan, true);
  const std::string wrong = world.run();
  std::printf("seed %llu: %s\n%s\n", static_cast<unsigned long long>(seed), wrong.c_str(),
              plan.describe().c_str());
  print(end_of(world.log_text(), 40));
}

int live_all(std::uint64_t from, std::uint64_t to) {
  const auto start = std::chrono::steady_clock::now();
  unsigned long long turns = 0;
  long handled = 0;
  for (std::uint64_t seed = from; seed <= to; ++seed) {
    sim::World world{sim::Plan(seed)};
    if (!world.run().empty()) {
      std::fflush(stdout);
      tell(seed);
      std::printf("again: sim --seed %llu --log\n", static_cast<unsigned long long>(seed));
      return 1;
    }
    turns += world.turns();
    handled += world.handled();
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::printf("seeds %llu..%llu: all is well; %llu turns, %ld requests handled, %.1f s\n",
              static_cast<unsigned long long>(from), static_cast<unsigned long long>(to), turns, handled,
              took.count());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t from = 1;
  std::uint64_t to = 0;
  bool logs = false;
  long hours = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    char* end = nullptr;
    if (argument == "--log") {
      logs = true;
    } else if (argument == "--hours" && i + 1 < argc) {
      hours = std::strtol(argv[++i], &end, 10);
      if (*end != '\0' || hours <= 0) return usage();
    } else if (argument == "--seed" && i + 1 < argc) {
      from = to = std::strtoull(argv[++i], &end, 10);
      if (*end != '\0') return usage();
    } else if (argument == "--seeds" && i + 1 < argc) {
      from = std::strtoull(argv[++i], &end, 10);
      if (std::strncmp(end, "..", 2) != 0) return usage();
      to = std::strtoull(end + 2, &end, 10);
      if (*end != '\0' || to < from) return usage();
      if (from == to) return live_all(from, to);
    } else {
      return usage();
    }
  }
  if (hours != 0) {
    const sim::LongLife report = sim::live_long(from, std::chrono::hours(hours));
    std::printf("%s", report.text.c_str());
    return report.failure.empty() ? 0 : 1;
  }
  if (to == 0) return usage();
  if (from == to) return live(from, logs, true) ? 0 : 1;
  return live_all(from, to);
}
