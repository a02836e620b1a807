// Boost.Beast with C++20 coroutines, one thread: beast PORT FILES.

#include <utility>  // first: awaitable.hpp of 1.74 needs it

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cstdlib>
#include <string>

#include "../workloads.hpp"

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::use_awaitable;
using asio::ip::tcp;
using Socket = asio::basic_stream_socket<tcp, asio::io_context::executor_type>;

std::string root;
const std::string plain = bench::pieces();
const std::string piece = bench::some_bytes(bench::kPiece);

template <typename Body>
http::response<Body> response_to(const http::request<http::string_body>& request, http::status status) {
  http::response<Body> response{status, request.version()};
  response.set(http::field::content_type, "text/plain; charset=UTF-8");
  response.keep_alive(request.keep_alive());
  return response;
}

asio::awaitable<void> text(Socket& socket, const http::request<http::string_body>& request, std::string body,
                           http::status status = http::status::ok) {
  auto response = response_to<http::string_body>(request, status);
  response.body() = std::move(body);
  response.prepare_payload();
  co_await http::async_write(socket, response, use_awaitable);
}

asio::awaitable<void> file(Socket& socket, const http::request<http::string_body>& request,
                           std::string path) {
  beast::error_code error;
  http::file_body::value_type body;
  body.open(path.c_str(), beast::file_mode::scan, error);
  if (error) {
    co_await text(socket, request, "", http::status::not_found);
    co_return;
  }
  auto response = response_to<http::file_body>(request, http::status::ok);
  response.body() = std::move(body);
  response.prepare_payload();
  co_await http::async_write(socket, response, use_awaitable);
}

asio::awaitable<void> stream(Socket& socket, const http::request<http::string_body>& request) {
  auto response = response_to<http::empty_body>(request, http::status::ok);
  response.chunked(true);
  http::response_serializer<http::empty_body> serializer{response};
  co_await http::async_write_header(socket, serializer, use_awaitable);
  for (std::size_t i = 0; i < bench::kPieces; ++i) {
    const auto chunk = http::make_chunk(asio::buffer(piece));
    co_await asio::async_write(socket, chunk, use_awaitable);
  }
  const auto last = http::make_chunk_last();
  co_await asio::async_write(socket, last, use_awaitable);
}

asio::awaitable<void> session(Socket socket) {
  try {
    socket.set_option(tcp::no_delay(true));
    beast::flat_buffer buffer;
    for (;;) {
      http::request<http::string_body> request;
      co_await http::async_read(socket, buffer, request, use_awaitable);
      const std::string target(request.target());
      if (target == "/") {
        co_await text(socket, request, "Hello, World!");
      } else if (target.starts_with("/users/")) {
        co_await text(socket, request, target.substr(7));
      } else if (target == "/echo") {
        co_await text(socket, request, std::move(request.body()));
      } else if (target.starts_with("/static/") && target.find("..") == std::string::npos) {
        co_await file(socket, request, root + target.substr(7));
      } else if (target == "/stream") {
        co_await stream(socket, request);
      } else if (target == "/plain") {
        co_await text(socket, request, plain);
      } else {
        co_await text(socket, request, "", http::status::not_found);
      }
      if (!request.keep_alive()) break;
    }
  } catch (const boost::system::system_error&) {
    // The client has left.
  }
}

asio::awaitable<void> accept_all(asio::basic_socket_acceptor<tcp, asio::io_context::executor_type> acceptor) {
  for (;;) {
    Socket socket = co_await acceptor.async_accept(use_awaitable);
    auto executor = socket.get_executor();
    asio::co_spawn(executor, session(std::move(socket)), asio::detached);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  root = argv[2];
  asio::io_context context{1};
  asio::basic_socket_acceptor<tcp, asio::io_context::executor_type> acceptor{
      context,
      tcp::endpoint{asio::ip::address_v4::loopback(), static_cast<unsigned short>(std::atoi(argv[1]))}};
  asio::co_spawn(context, accept_all(std::move(acceptor)), asio::detached);
  context.run();
}
