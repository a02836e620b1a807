// cpp-httplib: cpp_httplib PORT FILES. A thread serves one connection, so it has as many as the client has
// connections.

#include <httplib.h>
#include <cstdlib>
#include <string>

#include "../workloads.hpp"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  static const std::string piece = bench::some_bytes(bench::kPiece);
  static const std::string plain = bench::pieces();
  const char* text = "application/octet-stream";  // text would be compressed where a browser asks
  httplib::Server server;
  server.new_task_queue = [] { return new httplib::ThreadPool(80); };
  server.set_keep_alive_max_count(1'000'000'000);
  server.set_keep_alive_timeout(60);
  server.set_tcp_nodelay(true);
  server.Get(
      "/", [=](const httplib::Request&, httplib::Response& res) { res.set_content("Hello, World!", text); });
  server.Get(R"(/users/(\d+))", [=](const httplib::Request& req, httplib::Response& res) {
    res.set_content(req.matches[1].str(), text);
  });
  server.Post("/echo",
              [=](const httplib::Request& req, httplib::Response& res) { res.set_content(req.body, text); });
  server.Get("/stream", [=](const httplib::Request&, httplib::Response& res) {
    res.set_chunked_content_provider(text, [](std::size_t, httplib::DataSink& sink) {
      for (std::size_t i = 0; i < bench::kPieces; ++i) sink.write(piece.data(), piece.size());
      sink.done();
      return true;
    });
  });
  server.Get("/plain",
             [=](const httplib::Request&, httplib::Response& res) { res.set_content(plain, text); });
  server.set_mount_point("/static", argv[2]);
  return server.listen("127.0.0.1", std::atoi(argv[1])) ? 0 : 1;
}
