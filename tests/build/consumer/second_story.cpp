// The server beside other work, as the documentation prints it.

#include <microdot/microdot.hpp>
using namespace microdot;

App app;

struct Client {
  int published = 0;
} client;

bool exit_flag = false;

Task<> publish_readings(Client& to) {
  while (to.published < 3) {
    co_await sleep_for(1s);
    ++to.published;
  }
  exit_flag = true;
}

Task<> main_task() {                                  // the second story
  auto server = create_task(app.start_server({.port = 5000}));
  auto mqtt   = create_task(publish_readings, std::ref(client));
  while (!exit_flag) co_await sleep_for(100ms);
  app.shutdown();
  co_await server;
}
int main() { return microdot::run(main_task()); }
