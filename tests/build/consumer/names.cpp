// Names that programs use beside routes: they compile and link against what was installed.
#include <microdot/microdot.hpp>
#include <microdot/testing/test_client.hpp>

#include <utility>
#include <vector>

using namespace microdot;

struct Hex {
  unsigned value = 0;
};
template <>
struct microdot::PathType<Hex> {
  static constexpr std::string_view name = "hex";
  static bool parse(std::string_view text, Hex& hex) { return (hex.value = static_cast<unsigned>(text.size())) != 0; }
};

struct User {
  std::string name;
};

Lock lock;
Semaphore semaphore(3);
Event event;
Queue<int, 4> queue;
int ended = 0;

Task<int> one() { co_return 1; }
Task<> nothing() { co_return; }

Task<int> everything(Request& req) {
  auto guard = co_await lock.acquire();
  auto permit = co_await semaphore.acquire();
  if (!lock.locked() || semaphore.locked()) co_return 0;
  event.set();
  co_await event.wait();
  event.clear();
  if (event.is_set()) co_return 0;
  co_await queue.put(3);
  int sum = co_await queue.get();
  queue.try_put(1);
  sum += *queue.try_get();
  auto [a, b] = co_await gather(one(), one());
  Result<int> result = co_await wait_for(one(), 5s);
  TaskGroup group;
  group.create_task(nothing);
  co_await group.join();
  TaskHandle handle = create_task(nothing);
  co_await handle;
  handle.cancel();
  if (!handle.done()) co_return 0;
  co_await sleep_for(1ms);
  co_await sleep_until(Loop::current().now());
  co_await yield();
  const int shielded = co_await shield(one);
  post([] { ++ended; });
  if (exit_requested()) co_return 0;
  req.g_emplace<User>("susan");
  req.on_end([] { ++ended; });
  req.after_request([](Request&, Response& res) { res.header("X-After", "yes"); });
  if (req.g<User>()->name != "susan") co_return 0;
  co_return sum + a + b + *result + shielded;
}

App app{Limits{}};

int main() {
  app.get("/hex/<hex:x>", [](Request&, Hex hex) { return std::to_string(hex.value); });
  app.get(runtime("/runtime"), [](Request&) { return 204; });
  app.get("/pair", [](Request&) { return std::pair{"pair", 201}; });
  app.get("/tuple", [](Request&) {
    return std::tuple{std::string("tuple"), 201, std::vector<std::pair<std::string, std::string>>{{"A", "b"}}};
  });
  app.get("/cookie", [](Request&) {
    Response res("cookie");
    res.set_cookie("a", "b",
                   {.path = "/", .domain = "d", .expires = {}, .max_age = 3, .secure = true, .http_only = true,
                    .partitioned = true});
    res.delete_cookie("c");
    return res;
  });
  app.get("/format", [](Request& req) { return req.format("{} °C", 3.5); });
  app.get("/everything", [](Request& req) -> Task<Response> {
    const int sum = co_await everything(req);
    co_return Response(std::to_string(sum));
  });
  TestClient client(app);
  const bool good = client.get("/hex/ff").text == "2" && client.get("/runtime").status_code == 204 &&
                    client.get("/pair").status_code == 201 && client.get("/tuple").headers["A"] == "b" &&
                    client.get("/cookie").headers.count("Set-Cookie") == 2 &&
                    client.get("/format").text == "3.5 °C" && client.get("/everything").text == "8" && ended == 2;
  return good ? 0 : 1;
}
