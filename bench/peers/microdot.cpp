// microdot, as scripts/bench measures it: microdot PORT FILES. Every peer in this folder has the same routes.

#include <microdot/microdot.hpp>

#include <cstdlib>
#include <string_view>

#include "../routes.hpp"

namespace {

microdot::Task<int> serve(std::uint16_t port, std::string_view root) {
  using namespace microdot;
  static const std::string piece = bench::some_bytes(bench::kPiece);
  static const std::string pieces = bench::pieces();
  // All connections come from here, and stand for clients of their own.
  Limits limits = Limits::host();
  limits.connections = 12000;
  limits.connections_per_client = 12000;
  limits.queue_length = 12000;
  App app(limits);
  bench::add_routes(app, root);
  app.get("/stream", [](Request&) -> Generator<std::string_view> {
    for (std::size_t i = 0; i < bench::kPieces; ++i) co_yield std::string_view(piece);
  });
  app.get("/plain", [](Request&) { return Response(std::string_view(pieces)); });
  co_await app.start_server({.host = "127.0.0.1", .port = port, .trusted_proxies = "127.0.0.1"});
  co_return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  return microdot::run(serve(static_cast<std::uint16_t>(std::atoi(argv[1])), argv[2]));
}
