#pragma once
/// An App with a handler of each kind, for tests that ask for all of them. Nothing in it takes memory from
/// the heap.

#include <array>
#include <functional>
#include <string>
#include <tuple>

#include <microdot/ext/monitor.hpp>
#include <microdot/ext/multipart.hpp>
#include <microdot/microdot.hpp>

namespace microdot_test {

using namespace microdot;
using namespace std::chrono_literals;

inline Task<int> one_later(int n) {
  co_await sleep_for(Duration{10});
  co_return n + 1;
}
inline Task<> members_only() {
  co_await yield();
  co_await abort(403, std::string_view("members only"));
}

inline void add_texts(Router& app) {
  app.get("/", [](Request&) { return "Hello"; });
  app.get("/status", [](Request&) { return 204; });
  app.get("/numbers", status_data);
  app.get("/numbers/page", status_page);
  app.get("/metrics", metrics);
  app.get("/tuple", [](Request&) { return std::tuple("made", 201, std::array{Header{"X-Made", "here"}}); });
  app.get("/owned", [](Request&) { return std::string("short"); });  // lies in the string itself
  app.get("/users/<int:id>", [](Request& req, int id) {
    return req.format("user {} of page {}", id, req.args.get<int>("page", 1));
  });
  app.get("/names/<name>", [](Request&, std::string_view name) { return Response(name); });
  app.get("/paths/<path:rest>", [](Request& req, std::string_view rest) { return req.copy(rest); });
  app.get("/cookies", [](Request& req) {
    Response res(req.cookies()["in"]);
    res.set_cookie("out", "new", {.path = "/", .max_age = 60, .http_only = true}).delete_cookie("in");
    return res;
  });
  app.post("/echo", [](Request& req) { return Response(req.body()); });
  app.post("/form", [](Request& req) { return Response((*req.form())["name"]); });
  app.get("/redirect", [](Request&) { return redirect("/"); });
  app.get("/abort", [](Request&) { return abort(410, "gone for good"); });
  app.get("/teapot", [](Request&) { return abort(418); });
  app.errorhandler(418, [](Request& req) { return Response(req.format("{} is a teapot", req.path), 418); });
  app.get("/g", [](Request& req) -> Response {
    int* count = req.g_emplace<int>(1);
    if (count == nullptr) return abort(503);
    req.after_request([](Request& r, Response& res) { res.header("X-Count", *r.g<int>()); });
    req.on_end([count] { *count = 0; });
    return req.format("{}", *count);
  });
}

inline void add_coroutines(Router& app) {
  app.get("/later", [](Request&) -> Task<Response> {
    co_await sleep_for(Duration{10});
    co_return Response("later");
  });
  app.get("/members", [](Request&) -> Task<Response> {
    co_await members_only();
    co_return Response("in");
  });
  app.get("/gather", [](Request& req) -> Task<Response> {
    auto [a, b] = co_await gather(one_later(1), one_later(2));
    co_return Response(req.format("{}", a + b));
  });
  app.get("/wait_for", [](Request& req) -> Task<Response> {
    const Result<int> n = co_await wait_for(one_later(1), 10s);
    const Result<void> late = co_await wait_for(sleep_for(1h), 10us);
    co_return Response(req.format("{} {}", n ? *n : -1, late ? "in time" : "late"));
  });
  app.get("/sync", [](Request& req) -> Task<Response> {
    static Lock lock;
    Queue<int, 2> queue;
    Event event;
    auto guard = co_await lock.acquire();
    TaskGroup group;
    group.create_task(
        [](Queue<int, 2>& to, Event& done) -> Task<> {
          for (int i = 1; i <= 3; ++i) co_await to.put(i);
          done.set();
        },
        std::ref(queue), std::ref(event));
    int sum = 0;
    for (int i = 0; i < 3; ++i) sum += co_await queue.get();
    co_await event.wait();
    co_await group.join();
    co_return Response(req.format("{}", sum));
  });
  app.get("/background", [](Request& req) -> Task<Response> {
    TaskHandle task = create_task(
        "background", [](int n) -> Task<> { static_cast<void>(co_await one_later(n)); }, 1);
    const TaskState state = co_await task;
    const int n = co_await shield([](int m) -> Task<int> { co_return co_await one_later(m); }, 6);
    co_return Response(req.format("{} {}", state == TaskState::done ? "done" : "failed", n));
  });
  app.get("/pieces", [](Request&) -> Generator<std::string_view> {
    co_yield "one";
    co_await yield();
    co_yield "two";
  });
  app.post("/read", [](Request& req) -> Task<Response> {
    std::size_t size = 0;
    for (;;) {
      const Result<std::string_view> part = co_await req.stream().next();
      if (!part || part->empty()) break;
      size += part->size();
    }
    co_return Response(req.format("{}", size));
  });
  app.get("/slow", [](Request&) -> Task<Response> {
    co_await sleep_for(1s);
    co_return Response("slow");
  });
  app.get("/stuck", [](Request&) -> Task<Response> {
    co_await sleep_for(1h);
    co_return Response("not reached");
  });
}

inline void add_uploads(Router& app) {
  app.post("/upload", [](Request& req) -> Task<Response> {
    std::uint64_t bytes = 0;
    std::string_view title;
    FormDataIter form(req);
    while (FormPart* part = co_await form.next()) {
      if (part->file() == nullptr) {
        const Result<std::string_view> value = co_await part->value();
        if (!value) co_return form.refusal();
        title = *value;
      } else {
        const Result<std::uint64_t> size =
            co_await part->copy([](std::string_view) -> Task<> { co_await yield(); });
        if (!size) co_return form.refusal();
        bytes += *size;
      }
    }
    co_return Response(req.format("{} {}", title, bytes));
  });
  app.post("/form_data", with_form_data([](Request& req, FormData& form) {
             const FileUpload* const file = form.files["file"];
             return req.format("{} {}", form["title"], file != nullptr ? file->filename : "none");
           }));
}

/// `files`: a directory. `sub` is mounted and has to live as long.
inline void add_mixed_routes(App& app, Router& sub, std::string_view files) {
  app.before_request([](Request& req) -> std::optional<Response> {
    if (req.path == "/forbidden") return Response("by a hook", 403);
    return {};
  });
  app.get("/forbidden", [](Request&) { return "not reached"; });
  app.after_request([](Request&, Response& res) { res.header("X-After", "yes"); });
  app.after_error_request([](Request&, Response& res) { res.header("X-Error", "yes"); });
  add_texts(app);
  add_coroutines(app);
  add_uploads(app);
  app.static_files("/static", files, {.max_age = 60});
  app.get("/download", [files](Request&) { return send_file("large.bin", {.root = files}); });
  app.errorhandler(404, [](Request&) { return Response("no such page", 404); });

  sub.before_request([](Request& req) -> Task<> {
    if (req.path == "/sub/") co_await sleep_for(Duration{10});
  });
  sub.after_request([](Request&, Response& res) -> Task<> {
    co_await yield();
    res.header("X-Sub", "yes");
  });
  sub.get("/", [](Request& req) { return Response(req.url_prefix); });
  sub.get("/abort", [](Request&) { return abort(409); });
  sub.errorhandler(409, [](Request&) -> Task<Response> {
    co_await yield();
    co_return Response("mounted", 409);
  });
  app.mount(sub, "/sub", {.local = true});
}

}  // namespace microdot_test
