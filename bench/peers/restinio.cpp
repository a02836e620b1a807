// restinio, one thread: restinio PORT FILES.

#include <cstdlib>
#include <restinio/all.hpp>
#include <string>

#include "../workloads.hpp"

namespace {

using Router = restinio::router::express_router_t<>;

struct Traits : restinio::default_single_thread_traits_t {
  using request_handler_t = Router;
};

template <typename Request>
restinio::request_handling_status_t send_text(const Request& request, std::string body) {
  return request->create_response()
      .append_header(restinio::http_field::content_type, "text/plain; charset=UTF-8")
      .set_body(std::move(body))
      .done();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::string root = argv[2];
  static const std::string plain = bench::pieces();
  static const std::string piece = bench::some_bytes(bench::kPiece);
  auto router = std::make_unique<Router>();
  router->http_get("/", [](auto request, auto) { return send_text(request, "Hello, World!"); });
  router->http_get(R"(/users/:id(\d+))", [](auto request, auto parameters) {
    return send_text(request, restinio::cast_to<std::string>(parameters["id"]));
  });
  router->http_post("/echo", [](auto request, auto) { return send_text(request, request->body()); });
  router->http_get("/plain", [](auto request, auto) { return send_text(request, plain); });
  router->http_get("/stream", [](auto request, auto) {
    auto response = request->template create_response<restinio::chunked_output_t>();
    response.append_header(restinio::http_field::content_type, "text/plain; charset=UTF-8");
    for (std::size_t i = 0; i < bench::kPieces; ++i) response.append_chunk(piece);
    return response.done();
  });
  router->http_get(R"(/static/:name([A-Za-z0-9.]+))", [root](auto request, auto parameters) {
    const std::string path = root + "/" + restinio::cast_to<std::string>(parameters["name"]);
    return request->create_response()
        .append_header(restinio::http_field::content_type, "text/plain; charset=UTF-8")
        .set_body(restinio::sendfile(path))
        .done();
  });
  restinio::run(
      restinio::on_this_thread<Traits>()
          .address("127.0.0.1")
          .port(static_cast<std::uint16_t>(std::atoi(argv[1])))
          .request_handler(std::move(router))
          .max_pipelined_requests(16)
          .socket_options_setter([](auto& options) { options.set_option(asio::ip::tcp::no_delay{true}); })
          .read_next_http_message_timelimit(std::chrono::minutes(10)));
}
