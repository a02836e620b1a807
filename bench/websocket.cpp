/// What an echoed WebSocket message of 64 bytes costs the server: CPU time (user and system) of its process,
/// beside the ceiling, an epoll loop that answers the same bytes without looking at them, and beside npm's ws
/// on Node. All take turns in one run; the servers have one core, the client another.

#include <microdot/ext/websocket.hpp>
#include <microdot/microdot.hpp>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "figures.hpp"
#include "load.hpp"
#include "raw_server.hpp"
#include "system.hpp"

namespace {

constexpr std::size_t kMessage = 64;

struct Options {
  int rounds = 5;
  double seconds = 1;
  std::string node_server;
};

std::string frame_of(std::string payload, bool from_client) {
  using namespace microdot;
  WebSocketFrameHead head{.opcode = WebSocketOpcode::text, .payload_bytes = payload.size()};
  if (from_client) {
    head.mask = WebSocketMask{'\x12', '\x34', '\x56', '\x78'};
    apply_websocket_mask(payload, *head.mask, 0);
  }
  std::array<char, kMaxWebSocketHead> room;
  const std::size_t size = write_websocket_head(head, room);
  return std::string(room.data() + room.size() - size, size) + payload;
}

template <typename Ready>
microdot::Task<int> serve(Ready ready) {
  using namespace microdot;
  Limits limits;
  limits.streams = 128;
  limits.connections_per_client = limits.connections;
  App app{limits};
  app.get("/", with_websocket([](Request&, WebSocket& ws) -> Task<> {
            while (auto message = co_await ws.receive()) co_await ws.send(*message);
          }));
  auto server = create_task(app.start_server({.host = "127.0.0.1", .port = 0}));
  while (!server.done() && !app.running()) co_await yield();
  if (app.running()) ready(app.port());
  co_await server;
  co_return 0;
}

/// A port that nobody has at the moment.
std::uint16_t free_port() {
  const int fd = bench::check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  sockaddr_in address = bench::loopback(0);
  socklen_t size = sizeof address;
  bench::check(bind(fd, reinterpret_cast<sockaddr*>(&address), size), "bind");
  bench::check(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
  close(fd);
  return ntohs(address.sin_port);
}

void wait_for(std::uint16_t port) {
  const sockaddr_in address = bench::loopback(port);
  for (int i = 0; i < 500; ++i) {
    const int fd = bench::check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    const int result = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    close(fd);
    if (result == 0) return;
    usleep(20'000);
  }
  bench::fail("node does not listen");
}

struct Server {
  const char* name;
  const bench::Child* child;
  bool opens;  // with a handshake
};

void run_case(int connections, int at_once, const std::vector<Server>& servers, const Options& options) {
  const std::string opening =
      "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
  const std::string request = frame_of(std::string(kMessage, 'm'), true);
  const bench::Answer answer(frame_of(std::string(kMessage, 'm'), false));
  std::vector<bench::Figures> figures(servers.size() + 1);
  const bench::Child raw("ceiling", [&](auto ready) {
    bench::RawServer(request.size(), answer.bytes(), static_cast<std::size_t>(at_once)).run(ready);
  });
  std::vector<Server> all{{"ceiling", &raw, false}};
  all.insert(all.end(), servers.begin(), servers.end());
  for (int i = -1; i < options.rounds; ++i) {  // the first one to warm up
    for (std::size_t k = 0; k < all.size(); ++k) {
      bench::Load load(all[k].child->port(), request, answer, connections, at_once,
                       all[k].opens ? std::string_view(opening) : std::string_view());
      bench::Figures dropped;
      bench::run_round(*all[k].child, load, options.seconds, i < 0 ? dropped : figures[k]);
    }
  }
  std::printf("%2d connection%s, %2d at once\n", connections, connections == 1 ? " " : "s", at_once);
  const std::size_t ours = 1;
  for (std::size_t k = 0; k < all.size(); ++k) {
    std::vector<double> cpu;
    std::vector<double> rate;
    for (std::size_t i = 0; i < figures[k].cpu.size(); ++i) {
      cpu.push_back(figures[k].cpu[i] / figures[ours].cpu[i]);
      rate.push_back(figures[ours].rate[i] / figures[k].rate[i]);
    }
    std::printf("  %-10s %8.2f µs, of it user %6.2f %12.0f messages/s", all[k].name,
                bench::Figures::median(figures[k].cpu), figures[k].user_micros(),
                bench::Figures::median(figures[k].rate));
    if (k != ours)
      std::printf("   ÷ microdot: CPU %.2f; microdot is %.2f times as fast", bench::Figures::median(cpu),
                  bench::Figures::median(rate));
    std::puts("");
  }
  std::fflush(stdout);
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--smoke") {
      options.rounds = 1;
      options.seconds = 0.1;
    } else if (name == "--rounds" && i + 1 < argc) {
      options.rounds = std::atoi(argv[++i]);
    } else if (name == "--seconds" && i + 1 < argc) {
      options.seconds = std::atof(argv[++i]);
    } else if (name == "--node" && i + 1 < argc) {
      options.node_server = argv[++i];
    } else {
      std::fputs("usage: websocket [--rounds N] [--seconds S] [--node ws_server.mjs] [--smoke]\n", stderr);
      std::exit(2);
    }
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  if (!bench::pin_to_core(1)) std::puts("Server and client share one core: compare nothing but CPU time.");
  const bench::Child ours("microdot", [&](auto ready) { _exit(microdot::run(serve(ready))); });
  std::vector<Server> servers{{"microdot", &ours, true}};
  std::optional<bench::Child> node;
  if (!options.node_server.empty()) {
    const std::uint16_t port = free_port();
    node.emplace("node", [&](auto ready) {
      ready(port);
      execlp("node", "node", options.node_server.c_str(), std::to_string(port).c_str(), nullptr);
    });
    wait_for(port);
    servers.push_back({"ws (Node)", &*node, true});
  }
  std::printf("CPU time for an echoed text of %zu bytes, medians of %d × %g s\n", kMessage, options.rounds,
              options.seconds);
  for (const int connections : {1, 64}) {
    for (const int at_once : {1, 16}) run_case(connections, at_once, servers, options);
  }
  return 0;
}
