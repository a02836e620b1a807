// Whether the library does on another instruction set what its tests say on the host's: a few steps of each
// part, on the simulator. Says what is wrong on the UART, and ends the emulator with the result.
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <string_view>

#include <microdot/ext/rapidjson.hpp>
#include <microdot/http/request_parser.hpp>
#include <microdot/microdot.hpp>
#include <microdot/testing/test_client.hpp>

#include "assets.hpp"  // made of the gallery's page
#include "board_config.hpp"
#include "core.hpp"

using namespace microdot;

// The simulator and its client take from the C library's heap, as on a host.
void* operator new(std::size_t size) {
  void* const memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

int checked;
int failed;

#define CHECK(...) check(__VA_ARGS__, #__VA_ARGS__, __LINE__)
void check(bool right, const char* what, int line) {
  ++checked;
  if (right) return;
  ++failed;
  std::printf("smoke.cpp:%d: %s\n", line, what);
}

// ---- The parser
// ----------------------------------------------------------------------------------------------

/// The status that the head is answered with, 200 if there is nothing wrong with it, 0 if it is not complete.
int parse(std::string_view head) {
  std::array<HeaderField, 4> fields;
  RequestParser parser(fields);
  switch (parser.parse(head)) {
    case ParseStatus::complete: return parser.head_bytes() == head.size() ? 200 : -1;
    case ParseStatus::error: return parser.error_status();
    default: return 0;
  }
}

void check_parser() {
  constexpr std::string_view kHead =
      "POST /a%20b?x=1&y HTTP/1.1\r\nHost: example.org:8080\r\nContent-Length: 4294967296\r\n"
      "Connection: close\r\n\r\n";
  std::array<HeaderField, 4> fields;
  RequestParser parser(fields);
  // However it is cut.
  for (std::size_t size = 0; size < kHead.size(); ++size)
    CHECK(parser.parse(kHead.substr(0, size)) == ParseStatus::need_more);
  CHECK(parser.parse(kHead) == ParseStatus::complete);
  CHECK(parser.method() == Method::post);
  CHECK(parser.path() == "/a%20b");
  CHECK(parser.query() == "x=1&y");
  CHECK(parser.host() == "example.org:8080");
  CHECK(parser.content_length() == 0x100000000);  // wider than a register
  CHECK(!parser.keep_alive());
  CHECK(parser.headers()["connection"] == "close");

  CHECK(parse("GET / HTTP/1.1\r\nHost: a\r\n\r\n") == 200);
  CHECK(parse("GET / HTTP/1.0\r\n\r\n") == 200);
  CHECK(parse("GET / HTTP/1.1\r\nHost: a\r\n\r") == 0);
  CHECK(parse("GET / HTTP/1.1\r\n\r\n") == 400);  // no Host
  CHECK(parse("GET / HTTP/1.1\nHost: a\n\n") == 400);
  CHECK(parse("GET / HTTP/1.1\r\nHost : a\r\n\r\n") == 400);
  CHECK(parse("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n") == 400);
  CHECK(parse("GET /%0 HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
  CHECK(parse("GET / HTTP/2.0\r\nHost: a\r\n\r\n") == 505);
  CHECK(parse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n") == 400);
  CHECK(parse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n") >= 400);
  CHECK(parse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n") ==
        400);
  CHECK(parse("GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n") == 431);
}

// ---- Tasks
// ---------------------------------------------------------------------------------------------------

/// What happened, in its order.
std::string notes;
void note(std::string_view what) { notes.append(notes.empty() ? "" : " ").append(what); }

Task<int> square(int n, Duration time) {
  co_await sleep_for(time);
  note("square");
  co_return n* n;
}

Task<> produce(Queue<int, 2>& queue) {
  for (int i = 1; i <= 4; ++i) co_await queue.put(i);
  note("produced");
}

Task<> consume(Queue<int, 2>& queue, int& sum) {
  for (int i = 1; i <= 4; ++i) {
    const int value = co_await queue.get();
    sum = sum * 10 + value;
  }
}

Task<> hold(Lock& lock, std::string_view name) {
  auto guard = co_await lock.acquire();
  co_await sleep_for(10ms);
  note(name);
}

Generator<int> count_to(int last) {
  for (int i = 1; i <= last; ++i) {
    co_await sleep_for(1ms);
    co_yield i;
  }
}

Task<> wait_a_little() {
  co_await sleep_for(5ms);
  note("waited");
}

Task<> interrupt(Event& event) {
  co_await sleep_for(5ms);
  event.set_from_isr(Loop::current());
}

Task<int> program() {
  auto [nine, sixteen] = co_await gather(square(3, 20ms), square(4, 10ms));
  CHECK(nine == 9 && sixteen == 16);

  Queue<int, 2> queue;
  int sum = 0;
  co_await gather(produce(queue), consume(queue, sum));
  CHECK(sum == 1234);

  Lock lock;
  co_await gather(hold(lock, "a"), hold(lock, "b"), hold(lock, "c"));

  Event event;
  co_await gather(event.wait(), interrupt(event));
  CHECK(event.is_set());

  int total = 0;
  Generator<int> numbers = count_to(4);
  for (;;) {
    const int* const number = co_await numbers.next();
    if (number == nullptr) break;
    total += *number;
  }
  CHECK(total == 10);

  Result<int> late = co_await wait_for(square(5, 1h), 30ms);
  CHECK(!late && late.error() == Error::timeout);

  TaskHandle background = create_task("background", [] { return wait_a_little(); });
  CHECK(co_await background == TaskState::done);
  co_return 7;
}

void check_tasks() {
  SimPort sim;
  const std::size_t before = task_pool().used();
  const TimePoint start = sim.clock().now();
  CHECK(run(program(), sim) == 7);
  CHECK(notes == "square square produced a b c waited");
  CHECK(sim.clock().now() - start == 94ms);
  CHECK(task_pool().used() == before);
}

// ---- The server
// ----------------------------------------------------------------------------------------------

StaticApp<Limits::device()> app;

void add_routes() {
  app.get("/", [](Request&) { return "Hello"; });
  app.get("/numbers/<int:n>",
          [](Request& req, int n) { return req.format("{} {:08x} {:.3f}", n, n, n / 8.0); });
  app.get("/paths/<path:rest>", [](Request&, std::string_view rest) { return rest; });
  app.get("/query", [](Request& req) { return req.args["name"]; });
  app.post("/echo", [](Request& req) { return std::pair(req.body(), 201); });
  app.get("/late", [](Request&) -> Task<std::string_view> {
    co_await sleep_for(5s);
    co_return "late";
  });
  app.get("/fail", [](Request&) { return abort(418, "a teapot"); });
  app.get("/stream", [](Request&) -> Generator<std::string_view> {
    co_yield "one ";
    co_await sleep_for(1s);
    co_yield "two";
  });
  app.errorhandler(404, [](Request& req) { return std::pair(req.format("no {}", req.path), 404); });
  app.after_request([](Request&, Response& res) { res.header("X-After", "1"); });
  app.static_files("/static", assets, {.immutable = true});
  app.post("/json", [](Request& req) -> Response {
    const JsonValue* value = read_json(req);
    if (value == nullptr) return {};
    JsonWriter json(req);
    value->Accept(json);
    return json.response();
  });
}

void check_server(TestClient& client) {
  CHECK(client.started());
  TestResponse res = client.get("/");
  CHECK(res.status_code == 200 && res.text == "Hello" && res.headers["X-After"] == "1");
  CHECK(client.get("/numbers/-2147483648").text == "-2147483648 -80000000 -268435456.000");
  CHECK(client.get("/numbers/2147483648").text == "no /numbers/2147483648");
  CHECK(client.get("/paths/a/b%20c").text == "a/b c");
  CHECK(client.get("/query?name=a%2Bb+c").text == "a+b c");
  const std::string body(app.limits().max_body_length, 'x');  // not all of it has room behind the head
  res = client.post("/echo", body);
  CHECK(res.status_code == 201 && res.text == body);
  CHECK(client.get("/late").text == "late");
  CHECK(client.get("/fail").status_code == 418);
  CHECK(client.get("/stream").text == "one two");
  res = client.get("/missing");
  CHECK(res.status_code == 404 && res.text == "no /missing");
  res = client.post("/");
  CHECK(res.status_code == 405 && res.headers["Allow"] == "GET, HEAD, OPTIONS");
  res = client.head("/");
  CHECK(res.status_code == 200 && res.text.empty() && res.headers["Content-Length"] == "5");
  CHECK(
      client
          .raw("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /fail HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
          .find("HTTP/1.1 418") != std::string::npos);
  CHECK(client.raw("nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
  CHECK(client
            .raw("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                 "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
            .ends_with("\r\n\r\nabcde"));
}

void check_files(TestClient& client) {
  constexpr std::string_view kUrl = assets.url("style.css");
  static_assert(kUrl.starts_with("/static/style.css?v="));
  const EmbeddedFile* const file = assets.find("style.css");
  const EmbeddedFile* const compressed = assets.find("style.css.gz");
  CHECK(file != nullptr && compressed != nullptr);
  TestResponse res = client.get(kUrl);
  CHECK(res.status_code == 200 && res.text == file->content && res.headers["ETag"] == file->etag);
  CHECK(res.headers["Content-Type"].starts_with("text/css"));
  res = client.get(kUrl, {{"Accept-Encoding", "gzip"}});
  CHECK(res.headers["Content-Encoding"] == "gzip" && res.text == compressed->content);
  CHECK(client.get(kUrl, {{"If-None-Match", file->etag}}).status_code == 304);
  res = client.get(kUrl, {{"Range", "bytes=2-5"}});
  CHECK(res.status_code == 206 && res.text == file->content.substr(2, 4));
  CHECK(client.get("/static/missing.css").status_code == 404);
}

void check_json(TestClient& client) {
  const auto echo = [&](std::string_view body) {
    return client.post("/json", body, {{"Content-Type", "application/json"}});
  };
  for (const std::string_view text : {"{\"a\":[1,-2,21.5,true,null],\"b\":{\"c\":\"ä\"}}",
                                      "18446744073709551615", "-9223372036854775808", "0.1", "1e-7"}) {
    const TestResponse res = echo(text);
    CHECK(res.status_code == 200 && res.text == text);
  }
  for (const std::string_view text : {"[1,]", "{\"a\"}", "3.1e309", "\"\\ude00\"", ""})
    CHECK(echo(text).status_code == 400);
}

}  // namespace

int main() {
  // It never comes to the board's own loop, which feeds the watchdog.
  firmware::board::Watchdog::start(firmware::board::kClockHertz, 50);
  check_parser();
  check_tasks();
  add_routes();
  {
    TestClient client(app);
    check_server(client);
    check_files(client);
    check_json(client);
  }
  std::printf("smoke: %d checks, %d failed\n", checked, failed);
  firmware::exit_emulator(failed == 0);
}
