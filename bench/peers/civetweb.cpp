// civetweb: civetweb PORT FILES. A thread serves one connection, so it has as many as the client has
// connections.

#include <civetweb.h>
#include <unistd.h>
#include <string>
#include <string_view>

#include "../workloads.hpp"

namespace {

const std::string plain = bench::pieces();
const std::string piece = bench::some_bytes(bench::kPiece);

int send_text(mg_connection* connection, std::string_view body) {
  std::string answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Length: ";
  answer.append(std::to_string(body.size())).append("\r\nConnection: keep-alive\r\n\r\n").append(body);
  mg_write(connection, answer.data(), answer.size());
  return 200;
}

int hello(mg_connection* connection, void*) {
  if (std::string_view(mg_get_request_info(connection)->local_uri) != "/") return 0;
  return send_text(connection, "Hello, World!");
}

int user(mg_connection* connection, void*) {
  return send_text(connection, std::string_view(mg_get_request_info(connection)->local_uri).substr(7));
}

int echo(mg_connection* connection, void*) {
  std::string body(static_cast<std::size_t>(mg_get_request_info(connection)->content_length), '\0');
  for (std::size_t got = 0; got < body.size();) {
    const int count = mg_read(connection, body.data() + got, body.size() - got);
    if (count <= 0) return 500;
    got += static_cast<std::size_t>(count);
  }
  return send_text(connection, body);
}

int stream(mg_connection* connection, void*) {
  mg_send_http_ok(connection, "text/plain; charset=UTF-8", -1);
  for (std::size_t i = 0; i < bench::kPieces; ++i) {
    mg_send_chunk(connection, piece.data(), static_cast<unsigned>(piece.size()));
  }
  mg_send_chunk(connection, "", 0);
  return 200;
}

int send_plain(mg_connection* connection, void*) { return send_text(connection, plain); }

int file(mg_connection* connection, void* root) {
  const std::string_view uri = mg_get_request_info(connection)->local_uri;
  mg_send_file(connection, (static_cast<const char*>(root) + std::string(uri.substr(7))).c_str());
  return 200;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::string port = std::string("127.0.0.1:") + argv[1];
  const char* options[] = {"listening_ports",
                           port.c_str(),
                           "num_threads",
                           "80",
                           "enable_keep_alive",
                           "yes",
                           "keep_alive_timeout_ms",
                           "60000",
                           "tcp_nodelay",
                           "1",
                           "connection_queue",
                           "128",
                           nullptr};
  mg_callbacks callbacks{};
  mg_context* context = mg_start(&callbacks, nullptr, options);
  if (context == nullptr) return 1;
  mg_set_request_handler(context, "/users/*", user, nullptr);
  mg_set_request_handler(context, "/echo", echo, nullptr);
  mg_set_request_handler(context, "/stream", stream, nullptr);
  mg_set_request_handler(context, "/plain", send_plain, nullptr);
  mg_set_request_handler(context, "/static/**", file, argv[2]);
  mg_set_request_handler(context, "/", hello, nullptr);
  for (;;) pause();
}
