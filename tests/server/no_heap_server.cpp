/// Serves 100,000 requests of every kind on real sockets, and counts what is asked of the heap and of the
/// kernel's memory from the moment the server has started, by anybody in the process. Exits with 0 if that
/// was nothing and every answer was right. The client is another process.

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "heap_counter.hpp"
#include "mixed_client.hpp"
#include "mixed_routes.hpp"

namespace {

using namespace microdot_test;

constexpr int kAnswers = MICRODOT_TEST_ASAN ? 10'000 : 50'000;  // of each App

constexpr Limits kLimits{.connections = MixedClient::kConnections,
                         .connections_per_client = MixedClient::kConnections,
                         .exchanges = MixedClient::kExchanges,
                         .when_full = WhenFull::wait,
                         .head_bytes = 2048,
                         .header_count = 32,
                         .response_bytes = 1460,
                         .arena_bytes = 8192,
                         .handler_bytes = 8192,
                         .max_content_length = 64 * 1024,
                         .max_body_length = 4096,
                         .max_readline = 512,
                         .first_timeout = 1s,
                         .head_timeout = 1s,
                         .body_timeout = 1s,
                         .write_timeout = 1s,
                         .keep_alive_timeout = 2s,
                         .queue_timeout = 200ms,
                         .handler_timeout = 2s};

// Routes of these lie in memory of theirs, too.
StaticApp<kLimits> static_app;
std::byte sub_block[4096];
Router static_sub{sub_block};

/// The files that are served, and what is in them.
class ServedFiles {
 public:
  ServedFiles() {
    char name[] = "/tmp/microdot_no_heap_XXXXXX";
    if (mkdtemp(name) == nullptr) std::abort();
    root = name;
    for (int i = 0; page.size() < 9000; ++i) page += "line " + std::to_string(i) + " of a page\n";
    while (large.size() < 2'000'000) large += page;
    std::filesystem::create_directory(root + "/sub");
    write("small.txt", "small");
    write("page.html", page);
    write("page.html.gz", zipped);
    write("large.bin", large);
    write("index.html", "the index");
    write("sub/index.html", "index of sub");
    write("huge.bin", "");
    std::filesystem::resize_file(root + "/huge.bin", 64 * 1024 * 1024);  // more than sockets hold
  }
  ServedFiles(const ServedFiles&) = delete;
  ServedFiles& operator=(const ServedFiles&) = delete;
  ~ServedFiles() { std::filesystem::remove_all(root); }

  std::string root;
  std::string large;
  std::string page;
  std::string zipped = "as if it were zipped";

 private:
  void write(const std::string& name, const std::string& content) {
    const std::string path = root + "/" + name;
    std::ofstream(path) << content;
    const timespec times[2] = {{1'600'000'000, 0}, {1'600'000'000, 0}};
    utimensat(AT_FDCWD, path.c_str(), times, 0);
  }
};

struct Counts {
  std::size_t heap = SIZE_MAX;
  std::size_t address_space = SIZE_MAX;
};

/// The client: asks for everything, then for the end.
int ask(int port_pipe, const ServedFiles& files) {
  alarm(100);
  std::uint16_t port = 0;
  if (read(port_pipe, &port, sizeof port) != sizeof port) return 1;
  MixedClient client(port, files.large, files.page, files.zipped);
  const bool ok = client.play(kAnswers);
  std::fprintf(stderr, "%d answers\n", client.answered());
  MixedSocket last(port);
  return ok && last.ask("GET /end HTTP/1.1\r\nHost: a\r\n\r\n").status == 200 ? 0 : 1;
}

/// Serves `app` until the client has had enough; counts from after the start to after the end.
Counts serve(App& app, const ServedFiles& files, bool debug) {
  int port_pipe[2];
  if (pipe(port_pipe) != 0) return {};
  const pid_t parent = getpid();
  const pid_t client = fork();
  if (client == 0) {
    close(port_pipe[1]);
    const int code = ask(port_pipe[0], files);
    if (code != 0) kill(parent, SIGTERM);
    _exit(code);
  }
  // The log goes where it costs nothing.
  const int errors = dup(2);
  const int nowhere = open("/dev/null", O_WRONLY);
  dup2(nowhere, 2);
  Counts before;
  const auto program = [&]() -> Task<> {
    auto server = create_task(app.start_server({.host = "127.0.0.1", .port = 0, .debug = debug}));
    while (!app.running()) co_await sleep_for(1ms);
    const std::uint16_t port = app.port();
    before = {heap_requests, address_space()};
    if (write(port_pipe[1], &port, sizeof port) != sizeof port) app.shutdown();
    co_await server;
  };
  const int result = microdot::run(program());
  const Counts after{heap_requests, address_space()};
  dup2(errors, 2);
  for (const int fd : {errors, nowhere, port_pipe[0], port_pipe[1]}) close(fd);
  int status = 0;
  waitpid(client, &status, 0);
  if (result != 0 || status != 0) return {};
  return {after.heap - before.heap, after.address_space - before.address_space};
}

/// That what counts does count.
bool counter_works() {
  const std::size_t before = heap_requests;
  void* volatile memory[] = {std::malloc(1),
                             std::calloc(1, 1),
                             std::realloc(nullptr, 1),
                             reallocarray(nullptr, 1, 1),
                             std::aligned_alloc(64, 64),
                             strdup("text"),
                             ::operator new(1),
                             ::operator new(1, std::nothrow),
                             ::operator new (64, std::align_val_t{64}, std::nothrow)};
  munmap(mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
  const bool counted = heap_requests == before + std::size(memory) + 1;
  for (std::size_t i = 0; i < 6; ++i) std::free(memory[i]);
  for (std::size_t i = 6; i < 8; ++i) ::operator delete(memory[i]);
  ::operator delete (memory[8], std::align_val_t{64});
  return counted;
}

void add_end(App& app) {
  app.get("/end", [](Request& req) {
    req.app.shutdown();
    return "end";
  });
}

}  // namespace

int main() {
  if (!counter_works()) {
    std::printf("what counts does not count\n");
    return 2;
  }
  const ServedFiles files;
  App app(kLimits);
  Router sub;
  add_mixed_routes(app, sub, files.root);
  add_end(app);
  const Counts on_host = serve(app, files, true);

  const std::size_t before = heap_requests;
  add_mixed_routes(static_app, static_sub, files.root);
  add_end(static_app);
  const std::size_t registering = heap_requests - before;
  const Counts on_device = serve(static_app, files, false);

  std::printf("asked of the heap while serving: App %zu, StaticApp %zu; by StaticApp's routes: %zu\n",
              on_host.heap, on_device.heap, registering);
  std::printf("bytes of the address space: App %zu, StaticApp %zu\n", on_host.address_space,
              on_device.address_space);
  return on_host.heap + on_host.address_space + on_device.heap + on_device.address_space + registering == 0
             ? 0
             : 1;
}
