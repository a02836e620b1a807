/// What a request costs the server: CPU time (user and system) of its process, beside the ceiling, which is
/// an epoll loop that answers the same bytes without parsing. Both take turns in one run; the servers have
/// one core, the client another.

#include <microdot/microdot.hpp>

#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "figures.hpp"
#include "load.hpp"
#include "raw_server.hpp"
#include "routes.hpp"
#include "system.hpp"
#include "workloads.hpp"

namespace {

struct Options {
  int rounds = 5;
  double seconds = 1;
  int connections = 64;
  std::string only;
};

template <typename Ready>
microdot::Task<int> serve(std::string_view root, Ready ready) {
  using namespace microdot;
  App app;
  bench::add_routes(app, root);
  co_await bench::serve_here(app, ready);
  co_return 0;
}

void run_case(const bench::Case& test, const bench::Child& ours, const Options& options) {
  const bench::Answer answer = bench::fetch(ours.port(), test.request, test.body);
  const bench::Child raw("ceiling", [&](auto ready) {
    bench::RawServer(test.request.size(), answer.bytes(), static_cast<std::size_t>(test.at_once)).run(ready);
  });
  bench::Load raw_load(raw.port(), test.request, answer, options.connections, test.at_once);
  bench::Load our_load(ours.port(), test.request, answer, options.connections, test.at_once);
  raw_load.run(options.seconds / 10);
  our_load.run(options.seconds / 10);
  bench::Figures ceiling;
  bench::Figures figures;
  for (int i = 0; i < options.rounds; ++i) {
    bench::run_round(raw, raw_load, options.seconds, ceiling);
    bench::run_round(ours, our_load, options.seconds, figures);
  }
  // Of each pair of rounds, so that what disturbs both (another load, a slower clock) cancels out.
  std::vector<double> ratios;
  for (std::size_t i = 0; i < figures.cpu.size(); ++i) ratios.push_back(ceiling.cpu[i] / figures.cpu[i]);
  const double ratio = bench::Figures::median(ratios);
  std::printf("%-28s %8.2f %8.2f %6.2f", test.name.c_str(), bench::Figures::median(ceiling.cpu),
              bench::Figures::median(figures.cpu), ratio);
  if (test.goal > 0) {
    std::printf("  %.2f %s", test.goal, ratio >= test.goal ? "✓" : "✗");
  } else {
    std::printf("        ");
  }
  std::printf(" %8.2f %8.2f %10.0f %10.0f\n", ceiling.user_micros(), figures.user_micros(),
              bench::Figures::median(ceiling.rate), bench::Figures::median(figures.rate));
  std::fflush(stdout);
}

[[noreturn]] void usage() {
  std::fputs(
      "usage: serving [--rounds N] [--seconds S] [--connections N] [--only TEXT] [--smoke]\n"
      "  --rounds N       of each server for each line (5)\n"
      "  --seconds S      of each round (1)\n"
      "  --connections N  at the same time (64)\n"
      "  --only TEXT      lines whose name contains it\n"
      "  --smoke          one short round: shows that everything works, measures nothing\n",
      stderr);
  std::exit(2);
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    const auto value = [&] { return i + 1 < argc ? argv[++i] : (usage(), ""); };
    if (name == "--smoke") {
      options.rounds = 1;
      options.seconds = 0.1;
    } else if (name == "--rounds") {
      options.rounds = std::atoi(value());
    } else if (name == "--seconds") {
      options.seconds = std::atof(value());
    } else if (name == "--connections") {
      options.connections = std::atoi(value());
    } else if (name == "--only") {
      options.only = value();
    } else {
      usage();
    }
  }
  if (options.rounds < 1 || !(options.seconds > 0) || options.connections < 1) usage();
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  const bool two_cores = bench::pin_to_core(1);
  const bench::Directory directory;
  const bench::Child ours(
      "microdot", [&](auto ready) { _exit(microdot::run(serve(directory.path(), ready)) == 0 ? 0 : 1); });
  if (!two_cores) std::puts("Server and client share one core: compare nothing but CPU time.");
  std::printf("CPU time for a request, medians of %d × %g s; %d connections\n", options.rounds,
              options.seconds, options.connections);
  std::printf("%-28s %8s %8s %6s  %-6s %8s %8s %10s %10s\n", "", "ceiling", "microdot", "", "", "ceiling",
              "microdot", "ceiling", "microdot");
  std::printf("%-28s %8s %8s %6s  %-6s %8s %8s %10s %10s\n", "", "µs", "µs", "ratio", "goal", "user µs",
              "user µs", "req/s", "req/s");
  bool found = false;
  for (const bench::Case& test : bench::all_cases()) {
    if (test.name.find(options.only) == std::string::npos) continue;
    found = true;
    run_case(test, ours, options);
  }
  if (!found) usage();
  return 0;
}
