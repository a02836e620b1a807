// The files of a folder, served as a microcontroller would: from memory, by an App of a device's size, over
// lwIP on a tap device. For tests/lwip/run.
//
//   gallery_on_tap FOLDER [LOST REPEATED DELAYED SEED]      frames of a thousand; delayed by up to 5 ms

#include <lwip/stats.h>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include <microdot/microdot.hpp>

#include "tap.hpp"

namespace {

using namespace microdot;

constexpr Limits kLimits = Limits::device();
constexpr std::uint16_t kPort = 80;

std::map<std::string, std::string, std::less<>> files;

void read_files(const std::filesystem::path& folder) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    files[entry.path().lexically_relative(folder).string()].assign(std::istreambuf_iterator<char>(in), {});
  }
}

Task<int> serve(App& app) {
  auto server = create_task("server", app.start_server({.host = microdot_test::kLwipAddress, .port = kPort}));
  while (!app.running() && !server.done()) co_await yield();
  if (app.running()) {
    std::puts("listening");
    std::fflush(stdout);
  }
  co_await server;
  co_return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 6) {
    std::fputs("gallery_on_tap FOLDER [LOST REPEATED DELAYED SEED]\n", stderr);
    return 2;
  }
  read_files(argv[1]);
  static microdot_test::TapBoard board;
  if (!board.ready()) {
    std::fputs("no tap device\n", stderr);
    return 77;
  }
  static LwipPort port(board);
  board.start();
  if (argc == 6) {
    const auto number = [&](int at) { return static_cast<unsigned>(std::atoi(argv[at])); };
    board.set_faults({.lost = number(2),
                      .repeated = number(3),
                      .delayed = number(4),
                      .delay = std::chrono::milliseconds(5)},
                     number(5));
  }

  static StaticApp<kLimits> app;
  app.get("/files/<path:name>", [](Request&, std::string_view name) -> Response {
    const auto file = files.find(name);
    if (file == files.end()) return abort(404);
    return Response(std::string_view(file->second));
  });
  app.post("/echo", [](Request& req) { return Response(req.body()); });
  // What it took at most.
  app.get("/stats", [](Request& req) {
    const auto most = [](memp_t pool) { return lwip_stats.memp[pool]->max; };
    const Stats stats = req.app.stats();
    return Response(req.format(
        "heap {} of {}, frames {} of {}, segments {} of {}, references {} of {}, connections {} of {}, "
        "requests {}, refused {}, evicted {}, frames lost {}\n",
        lwip_stats.mem.max, lwip_stats.mem.avail, most(MEMP_PBUF_POOL), PBUF_POOL_SIZE, most(MEMP_TCP_SEG),
        MEMP_NUM_TCP_SEG, most(MEMP_PBUF), MEMP_NUM_PBUF, most(MEMP_TCP_PCB), MEMP_NUM_TCP_PCB,
        stats.requests, stats.refused, stats.evicted, board.lost()));
  });
  return run(serve(app), port);
}
