#pragma once
/// The routes that answer what `workloads.hpp` asks, and the file.

#include <unistd.h>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>

#include <microdot/microdot.hpp>

#include "system.hpp"
#include "workloads.hpp"

namespace bench {

/// A directory with the file to be served.
class Directory {
 public:
  Directory() {
    if (mkdtemp(path_) == nullptr) fail("mkdtemp");
    std::ofstream(file()) << some_bytes(kFileSize);
    // The Linux port keeps no file in memory that has just changed; most files have not.
    std::this_thread::sleep_for(std::chrono::seconds(3));
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  ~Directory() {
    unlink(file().c_str());
    rmdir(path_);
  }
  std::string_view path() const { return path_; }

 private:
  std::string file() const { return std::string(path_) + "/file.txt"; }

  char path_[32] = "/tmp/microdot-bench-XXXXXX";
};

/// The routes that all of it needs; `root` is the directory, which must outlive `app`.
inline void add_routes(microdot::App& app, std::string_view root) {
  using namespace microdot;
  app.get("/", [](Request&) { return "Hello, World!"; });
  app.get("/users/<int:id>", [](Request&, int id) { return std::to_string(id); });
  app.post("/echo", [](Request& req) { return Response(req.body()); });
  app.get("/static/<path:path>", [root](Request&, std::string_view path) -> Response {
    return send_file(path, {.root = root, .max_age = 86400});
  });
}

/// Serves `app` on a free port of the loopback, which `ready` is told. All connections come from there, and
/// stand for clients of their own.
template <typename Ready>
microdot::Task<> serve_here(microdot::App& app, Ready ready) {
  auto server = microdot::create_task(
      app.start_server({.host = "127.0.0.1", .port = 0, .trusted_proxies = "127.0.0.1"}));
  while (!server.done() && !app.running()) co_await microdot::yield();
  if (app.running()) ready(app.port());
  co_await server;
}

}  // namespace bench
