// FormDataIter and with_form_data: what docs/guide/uploads.md says, and what bad clients get.

#include <microdot/ext/multipart.hpp>

#include <array>

#include <microdot/testing/test_client.hpp>

#include "../server/sim_server.hpp"

namespace microdot_test {
namespace {

constexpr std::string_view kType = "multipart/form-data; boundary=XyZ";

std::string part(std::string_view disposition, std::string_view content, std::string_view more = {}) {
  std::string text = "--XyZ\r\nContent-Disposition: form-data; ";
  return text.append(disposition).append("\r\n").append(more).append("\r\n").append(content).append("\r\n");
}
const std::string kEnd = "--XyZ--\r\n";

std::string form_of(std::string_view file) {
  return part("name=\"title\"", "Holidays") +
         part("name=\"photo\"; filename=\"sea.jpg\"", file, "Content-Type: image/jpeg\r\n") +
         part("name=\"title\"", "again") + part("name=\"none\"; filename=\"\"", "") + kEnd;
}

constexpr Limits kLimits{.connections = 8,
                         .exchanges = 4,
                         .arena_bytes = 24 * 1024,
                         .max_content_length = 2 * 1024 * 1024,
                         .max_body_length = 4096};

/// Counts how many of it there are.
struct Counted {
  explicit Counted(int& its_alive) : alive(&its_alive) { ++*alive; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { --*alive; }
  int* alive;
};
int alive;

std::uint64_t hash(std::uint64_t sum, std::string_view bytes) {
  for (const char c : bytes) sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return sum;
}
constexpr std::uint64_t kHashStart = 0xcbf29ce484222325;

/// A sink that is slow: each piece takes this long.
struct SlowSink {
  Duration pause{};
  std::uint64_t sum = kHashStart;
  std::size_t pieces = 0;
  std::size_t bytes = 0;

  Task<Result<void>> operator()(std::string_view piece) {
    sum = hash(sum, piece);
    ++pieces;
    bytes += piece.size();
    if (pause != Duration{}) co_await sleep_for(pause);
    co_return Result<void>{};
  }
};
SlowSink* slow_sink;

void add_form_routes(App& app) {
  // Everything that comes, in order.
  app.post("/list", [](Request& req) -> Task<Response> {
    std::string text;
    FormDataIter form(req);
    while (FormPart* next = co_await form.next()) {
      text.append(next->name).append("=");
      const Result<std::string_view> value = co_await next->value(8000);
      if (!value) co_return form.refusal();
      text.append(*value);
      if (FileUpload* file = next->file())
        text.append("(").append(file->filename).append(",").append(file->content_type).append(")");
      text.append(";");
    }
    co_return Response(std::move(text));
  });
  app.post("/names", [](Request& req) -> Task<Response> {  // reads no content
    std::string text;
    FormDataIter form(req, {.head_bytes = 128, .parts = 5});
    while (FormPart* next = co_await form.next()) text.append(next->name).append(";");
    co_return Response(std::move(text));
  });
  app.post("/try", [](Request& req) -> Task<Response> {
    const Counted counted(alive);
    FormDataIter form(req);
    int parts = 0;
    for (;;) {
      Result<FormPart*> next = co_await form.try_next();
      if (!next) {
        const Result<FormPart*> again = co_await form.try_next();
        co_return Response(req.format("{}: {} {}, after {}; {}", to_string(next.error()), form.error_status(),
                                      form.error_reason(), parts, again ? "" : to_string(again.error())),
                           299);
      }
      if (*next == nullptr) break;
      ++parts;
    }
    const Result<FormPart*> none = co_await form.try_next();
    co_return Response(req.format("{} parts {}", parts, none && *none == nullptr));
  });
  app.post("/read/<int:size>", [](Request& req, std::size_t size) -> Task<Response> {
    const Counted counted(alive);
    FormDataIter form(req);
    std::array<char, 64> buffer;
    std::string text;
    while (FormPart* next = co_await form.next()) {
      if (next->file() == nullptr) continue;
      for (;;) {
        const Result<std::size_t> got = co_await next->read({buffer.data(), size});
        if (!got) co_return form.refusal();
        text.append(buffer.data(), *got);
        if (*got != size) break;  // full but at the end
      }
      const Result<std::size_t> nothing = co_await next->read({buffer.data(), size});
      EXPECT_TRUE(nothing && *nothing == 0);
    }
    co_return Response(std::move(text));
  });
  app.post("/slow", [](Request& req) -> Task<Response> {
    const Counted counted(alive);
    FormDataIter form(req);
    while (FormPart* next = co_await form.next()) {
      if (next->file() == nullptr) continue;
      const Result<std::uint64_t> size = co_await next->copy(*slow_sink);
      if (!size) co_return form.refusal();
      EXPECT_EQ(*size, next->file()->filename.empty() ? 0 : slow_sink->bytes);
    }
    co_return Response(req.format("{}", slow_sink->bytes));
  });
  app.post("/form", with_form_data([](Request& req, FormData& form) {
             std::string text;
             for (const auto& [name, value] : form.fields)
               text.append(name).append("=").append(value).append(";");
             for (FileUpload& file : form.files)
               text.append(file.name)
                   .append(":")
                   .append(file.filename)
                   .append(",")
                   .append(file.content_type)
                   .append(";");
             text.append(form["title"])
                 .append(" ")
                 .append(req.form() != nullptr ? (*req.form())["title"] : "none");
             return text.append(form.files["photo"] != nullptr ? " photo" : " no photo");
           }));
  app.put("/form/<int:id>/<name>",
          with_form_data([](Request& req, FormData& form, int id, std::string_view name) -> Task<Response> {
            const Counted counted(alive);
            co_await sleep_for(1s);
            FileUpload* const file = form.files["photo"];
            if (file == nullptr) co_return abort(400, "a photo, please");
            const Result<std::string_view> content = co_await file->value();
            const Result<std::string_view> again = co_await file->next();
            EXPECT_TRUE(again && again->empty());
            co_return Response(
                req.format("{} {} {} {}", id, name, form["title"], content ? *content : "too large"));
          }));
  app.post("/nothing", with_form_data([](Request&, FormData&) {}));
}

TestResponse submit(TestClient& client, std::string_view url, std::string_view body,
                    std::string_view type = kType) {
  return client.post(url, body, {{"Content-Type", type}});
}

/// The bytes of such a request.
std::string request_of(std::string_view url, std::string_view body) {
  return post(url, body, "Content-Type: " + std::string(kType) + "\r\n");
}

// ---- Forms as they come ----

TEST(FormDataIter, GivesFieldsAndFilesInTheOrderSent) {
  App app(kLimits);
  add_form_routes(app);
  TestClient client(app);
  for (const std::size_t size : {0U, 1U, 900U, 7000U}) {  // in memory before the handler runs, and not
    const std::string file = numbered(size);
    EXPECT_EQ(submit(client, "/list", form_of(file)).text,
              "title=Holidays;photo=" + file + "(sea.jpg,image/jpeg);title=again;none=(,);")
        << size;
  }
  EXPECT_EQ(submit(client, "/list", kEnd).text, "");
}

TEST(FormDataIter, SkipsWhatIsNotRead) {
  App app(kLimits);
  add_form_routes(app);
  TestClient client(app);
  EXPECT_EQ(submit(client, "/names", form_of(numbered(1'000'000))).text, "title;photo;title;none;");
  EXPECT_EQ(submit(client, "/try", form_of(numbered(1'000'000))).text, "4 parts true");
}

TEST(FormDataIter, OtherTypesHaveNoParts) {  // as in Microdot
  App app(kLimits);
  add_form_routes(app);
  TestClient client(app);
  EXPECT_EQ(submit(client, "/names", "a=b", "application/x-www-form-urlencoded").status_code, 200);
  EXPECT_EQ(submit(client, "/names", form_of("x"), "multipart/mixed; boundary=XyZ").text, "");
  EXPECT_EQ(client.post("/try", form_of("x")).text, "0 parts true");
}

TEST(FormDataIter, ReadFillsItsBuffer) {
  App app(kLimits);
  add_form_routes(app);
  TestClient client(app);
  for (const std::size_t size : {0U, 1U, 63U, 64U, 65U, 1024U, 5000U}) {
    const std::string file = numbered(size);
    for (const char* url : {"/read/64", "/read/1", "/read/7"})
      EXPECT_EQ(submit(client, url, form_of(file)).text, file) << size << url;
  }
}

TEST(FormDataIter, HoweverTheBytesCome) {
  App app(kLimits);
  add_form_routes(app);
  const std::string file = "\r\n--XyZ" + numbered(3000) + "\r\n--Xy\r\r\n--";
  const std::string body = part("name=f; filename=x", file.substr(7)) + kEnd;
  for (const std::size_t size : {1U, 2U, 3U, 7U, 100U}) {
    SimServer server(app);
    SimClient client = server.sim.connect(kPort);
    client.set_segment_size(size);
    client.send(request_of("/read/64", body));
    server.settle();
    for (int i = 0; i < 100 && answers_in(client.received()) == 0; ++i) server.settle();
    EXPECT_EQ(body_of(client.received()), file.substr(7)) << size;
  }
}

TEST(FormDataIter, ChunkedBodiesAreFormsToo) {
  App app(kLimits);
  add_form_routes(app);
  TestClient client(app);
  const std::string body = form_of(numbered(3000));
  std::string chunks;
  for (std::size_t at = 0; at < body.size(); at += 100) {
    const std::string piece = body.substr(at, 100);
    char size[8];
    std::snprintf(size, sizeof size, "%zx", piece.size());
    chunks.append(size).append("\r\n").append(piece).append("\r\n");
  }
  const std::string answer = client.raw(
      "POST /names HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Type: " + std::string(kType) +
      "\r\nConnection: close\r\n\r\n" + chunks + "0\r\n\r\n");
  EXPECT_EQ(body_of(answer), "title;photo;title;none;");
}

TEST(FormDataIter, TheConnectionGoesOn) {
  App app(kLimits);
  add_form_routes(app);
  SimServer server(app);
  SimClient client = server.send(request_of("/names", form_of(numbered(9000)) + "an epilogue\r\n") +
                                 request_of("/names", form_of("x")));
  EXPECT_EQ(answers_in(client.received()), 2);
  EXPECT_FALSE(client.closed());
}

TEST(FormDataIter, ASlowSinkHoldsTheClientBack) {
  App app(kLimits);
  add_form_routes(app);
  SlowSink sink{.pause = 1s};
  slow_sink = &sink;
  SimServer server(app);
  const std::string file = numbered(100'000);
  SimClient client = server.sim.connect(kPort);
  client.set_segment_size(1460);
  client.send(request_of("/slow", form_of(file)));
  server.settle();
  std::size_t least_unread = client.unread();
  EXPECT_GT(least_unread, 90'000U) << "it is not read ahead";
  while (sink.bytes < file.size()) {
    const std::size_t bytes = sink.bytes;
    server.run_for(1s);
    ASSERT_GT(sink.bytes, bytes) << "it does go on";
    ASSERT_LE(sink.bytes - bytes, 2 * 4112U) << "one window at a time";
  }
  server.run_for(2s);
  EXPECT_EQ(body_of(client.received()), "100000");
  EXPECT_EQ(sink.sum, hash(kHashStart, file));
}

TEST(FormDataIter, SinksOfEveryKind) {
  App app(kLimits);
  static std::size_t bytes;
  app.post("/<kind>", [](Request& req, std::string_view kind) -> Task<Response> {
    FormDataIter form(req);
    FormPart* const file = co_await form.next();
    bytes = 0;
    Result<std::uint64_t> size = Error::invalid;
    if (kind == "void") {
      size = co_await file->copy([](std::string_view piece) { bytes += piece.size(); });
    } else if (kind == "result") {
      size = co_await file->copy([](std::string_view piece) -> Result<void> {
        bytes += piece.size();
        if (bytes > 5000) return Error::io;
        return {};
      });
    } else if (kind == "task") {
      size = co_await file->copy([](std::string_view piece) -> Task<> {
        co_await sleep_for(1ms);
        bytes += piece.size();
      });
    } else {
      auto failing = [](std::string_view) -> Task<Result<void>> {
        co_await sleep_for(1ms);
        co_return Error::no_memory;
      };
      size = co_await file->copy(failing);
    }
    if (!size) {
      // The form is none the worse for a sink that failed.
      EXPECT_EQ(form.error_status(), 0);
      EXPECT_EQ(form.refusal().status_code(), 500);
      FormPart* const next = co_await form.next();
      co_return Response(req.format("{} {}", to_string(size.error()), next->name), 299);
    }
    EXPECT_EQ(*size, bytes);
    co_return Response(req.format("{}", bytes));
  });
  TestClient client(app);
  const auto copied = [&](std::string_view kind, std::size_t size) {
    const std::string body = part("name=f; filename=x", numbered(size)) + part("name=last", "x") + kEnd;
    return submit(client, "/" + std::string(kind), body).text;
  };
  EXPECT_EQ(copied("void", 10'000), "10000");
  EXPECT_EQ(copied("result", 5000), "5000");
  EXPECT_EQ(copied("result", 10'000), std::string(to_string(Error::io)) + " last");
  EXPECT_EQ(copied("task", 10'000), "10000");
  EXPECT_EQ(copied("fails", 10'000), std::string(to_string(Error::no_memory)) + " last");
}

TEST(FormDataIter, ValuesAreBounded) {
  App app(kLimits);
  app.post("/", [](Request& req) -> Task<Response> {
    FormDataIter form(req);
    FormPart* const field = co_await form.next();
    const Result<std::string_view> value = co_await field->value(10);
    if (value) co_return Response(*value);
    // Who goes on all the same ends here.
    co_await form.next();
    co_return Response("not reached");
  });
  TestClient client(app);
  EXPECT_EQ(submit(client, "/", part("name=a", "0123456789") + kEnd).text, "0123456789");
  const TestResponse res = submit(client, "/", part("name=a", "0123456789x") + kEnd);
  EXPECT_EQ(res.status_code, 413);
  EXPECT_EQ(res.text, "body or field too large");
}

// ---- What is wrong with a form ----

struct Bad {
  const char* what;
  std::string type;
  std::string body;
  int status;
  const char* reason;
  int parts;  // that come before
};

std::vector<Bad> bad_forms() {
  const std::string type(kType);
  const std::string good = part("name=a", "x");
  std::string many;
  for (int i = 0; i < 65; ++i) many += good;
  return {
      {"no boundary", "multipart/form-data", good + kEnd, 400, "invalid boundary", 0},
      {"an empty one", "multipart/form-data; boundary=", good + kEnd, 400, "invalid boundary", 0},
      {"too long", "multipart/form-data; boundary=" + std::string(71, 'x'), good + kEnd, 400,
       "invalid boundary", 0},
      {"another boundary", "multipart/form-data; boundary=XyY", good + kEnd, 400, "no delimiter", 0},
      {"nothing at all", type, "", 400, "no delimiter", 0},
      {"no last delimiter", type, good + good, 400, "missing last delimiter", 2},
      {"cut in its head", type, good + "--XyZ\r\nContent-Dispo", 400, "missing last delimiter", 1},
      {"too many parts", type, many + kEnd, 413, "too many parts", 64},
      {"too long a head", type, good + part("name=a; filename=\"" + std::string(600, 'x') + "\"", "x") + kEnd,
       413, "head of a part too large", 1},
      {"no name", type, good + part("x=y", "x") + kEnd, 400, "part without a name", 1},
      {"base64", type, good + part("name=a", "eA==", "Content-Transfer-Encoding: base64\r\n") + kEnd, 400,
       "unsupported Content-Transfer-Encoding", 1},
      {"bare LF", type, "--XyZ\nContent-Disposition: form-data; name=a\n\nx\n--XyZ--\n", 400,
       "invalid delimiter", 0},
  };
}

TEST(FormDataErrors, EndTheRequestWithAReason) {
  App app(kLimits);
  add_form_routes(app);
  TestClient client(app);
  for (const Bad& bad : bad_forms()) {
    for (const char* url : {"/list", "/read/64", "/form"}) {
      const TestResponse res = submit(client, url, bad.body, bad.type);
      EXPECT_EQ(res.status_code, bad.status) << bad.what << " " << url;
      EXPECT_EQ(res.text, bad.reason) << bad.what << " " << url;
    }
    // The same in the middle of a stream.
    const std::string large = part("name=f; filename=x", numbered(5000));
    const std::string late = bad.body.starts_with("--XyZ\r\n") ? large + bad.body : bad.body;
    const TestResponse res = submit(client, "/read/64", late, bad.type);
    EXPECT_EQ(res.status_code, bad.status) << bad.what << " late";
    EXPECT_EQ(res.text, bad.reason) << bad.what << " late";
    EXPECT_EQ(alive, 0);
  }
}

TEST(FormDataErrors, AreTheHandlersIfItAsks) {
  App app(kLimits);
  add_form_routes(app);
  TestClient client(app);
  for (const Bad& bad : bad_forms()) {
    const TestResponse res = submit(client, "/try", bad.body, bad.type);
    const std::string error(to_string(bad.status == 413 ? Error::too_large : Error::invalid));
    EXPECT_EQ(res.status_code, 299) << bad.what;
    EXPECT_EQ(res.text, error + ": " + std::to_string(bad.status) + " " + bad.reason + ", after " +
                            std::to_string(bad.parts) + "; " + error);
  }
}

TEST(FormDataErrors, WhatIsLargerThanItMayBe) {
  App app(kLimits);
  add_form_routes(app);
  TestClient client(app);
  EXPECT_EQ(submit(client, "/names", form_of(numbered(2'200'000))).status_code, 413);
  const TestResponse res = submit(client, "/form", form_of(numbered(4096)));  // not kept
  EXPECT_EQ(res.status_code, 413);
  EXPECT_EQ(res.text, "form too large");
  // Chunked: nobody knows before.
  std::string chunked =
      "POST /try HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Type: " + std::string(kType) +
      "\r\n\r\n";
  const std::string body = form_of(numbered(2'200'000));
  chunked.append("100000\r\n").append(body, 0, 0x100000).append("\r\n100001\r\n");
  EXPECT_EQ(body_of(client.raw(chunked)).substr(0, 14), "too large: 413");
}

TEST(FormDataErrors, AClientThatLeavesInMidFile) {
  App app(kLimits);
  add_form_routes(app);
  SlowSink sink;
  slow_sink = &sink;
  SimServer server(app);
  const std::string request = request_of("/slow", form_of(numbered(100'000))).substr(0, 50'000);
  {
    SimClient half = server.send(request);
    EXPECT_EQ(alive, 1);
    half.shutdown_write();
    server.settle();
    EXPECT_EQ(status_of(half.received()), 400);
    EXPECT_EQ(body_of(half.received()), "the body ends early");
    EXPECT_EQ(alive, 0);
  }
  {
    SimClient gone = server.send(request);
    EXPECT_EQ(alive, 1);
    gone.reset();
    server.settle();
    EXPECT_EQ(alive, 0);
  }
  sink.pause = 1h;  // it leaves while the sink is slow
  {
    SimClient gone = server.send(request);
    EXPECT_EQ(alive, 1);
    gone.reset();
    server.settle();
    EXPECT_EQ(alive, 0);
  }
  SimClient silent = server.send(request.substr(0, 200));
  server.run_for(31s);
  EXPECT_EQ(status_of(silent.received()), 408);
  EXPECT_EQ(alive, 0);
  server.run_for(10s);
  silent.close();
  server.settle();
  server.expect_clean("after all that");
}

TEST(FormDataIter, MemoryDoesNotDependOnTheFile) {
  const auto high_water = [](std::size_t size) {
    App app(kLimits);
    add_form_routes(app);
    SlowSink sink;
    slow_sink = &sink;
    SimServer server(app);
    SimClient client = server.send(request_of("/slow", form_of(numbered(size))));
    EXPECT_EQ(body_of(client.received()), std::to_string(size));
    return app.stats().arena_high_water;
  };
  const auto small = high_water(3000);
  EXPECT_EQ(high_water(2'000'000), small);
  EXPECT_LE(small, 3000U) << "of the arena, on 64 bits";
}

TEST(FormDataErrors, WithoutMemoryItIs503) {
  App app(kLimits);
  add_form_routes(app);
  SlowSink sink;
  slow_sink = &sink;
  Arena* arena = nullptr;
  app.before_request([&arena](Request& req) -> std::optional<Response> {
    arena = &req.arena();
    return {};
  });
  TestClient client(app);
  const std::string body = form_of("some bytes");
  for (const char* url : {"/list", "/slow", "/read/7", "/form", "/try"}) {
    sink = {};
    const TestResponse right = submit(client, url, body);
    ASSERT_EQ(right.status_code, 200) << url;
    int refused = 0;
    std::uint16_t n = 0;
    for (;; ++n) {
      sink = {};
      const std::uint32_t failures = arena->failures();
      arena->fail_after(n);
      const TestResponse res = submit(client, url, body);
      arena->fail_after(0, 0);
      if (arena->failures() == failures) break;
      const bool is_right = res.text == right.text || res.status_code == 299;
      const bool is_refused = res.status_code == 503 || res.status_code == 413 || res.status_code == 500;
      refused += is_refused ? 1 : 0;
      EXPECT_TRUE(is_right || is_refused) << url << " " << n << ": " << res.status_code << res.text;
      EXPECT_EQ(alive, 0) << url << " " << n;
      sink = {};
      EXPECT_EQ(submit(client, url, body).text, right.text) << url << " " << n;
    }
    EXPECT_GE(refused, 2) << url;
  }
}

// ---- Forms in memory ----

TEST(WithFormData, GivesTheWholeForm) {
  App app(kLimits);
  add_form_routes(app);
  TestClient client(app);
  EXPECT_EQ(submit(client, "/form", form_of("bytes")).text,
            "title=Holidays;title=again;photo:sea.jpg,image/jpeg;none:,;Holidays Holidays photo");
  EXPECT_EQ(submit(client, "/form", kEnd).text, "  no photo");
  EXPECT_EQ(submit(client, "/nothing", form_of("x")).status_code, 204);
  EXPECT_EQ(client.put("/form/7/a%20b", form_of("--XyY\r\n--Xy"), {{"Content-Type", kType}}).text,
            "7 a b Holidays --XyY\r\n--Xy");
  EXPECT_EQ(client.put("/form/7/x", kEnd, {{"Content-Type", kType}}).text, "a photo, please");
  EXPECT_EQ(client.put("/form/7/x", "rubbish", {{"Content-Type", kType}}).text, "no delimiter");
  EXPECT_EQ(alive, 0);
}

TEST(WithFormData, TakesTheOtherTypeOfFormsToo) {
  App app(kLimits);
  add_form_routes(app);
  TestClient client(app);
  EXPECT_EQ(submit(client, "/form", "title=a+b&x=y", "application/x-www-form-urlencoded").text,
            "title=a b;x=y;a b a b no photo");
  EXPECT_EQ(submit(client, "/form", "{}", "application/json").text, " none no photo");
}

TEST(WithFormData, LastsAsLongAsTheRequest) {
  App app(kLimits);
  add_form_routes(app);
  SimServer server(app);
  std::string request = request_of("/form/1/x", form_of("mine"));
  request.replace(0, 4, "PUT");
  SimClient client = server.send(request);
  std::string other = request_of("/form/2/y", form_of("theirs"));
  other.replace(0, 4, "PUT");
  SimClient beside = server.send(other);
  server.run_for(2s);
  EXPECT_EQ(body_of(client.received()), "1 x Holidays mine");
  EXPECT_EQ(body_of(beside.received()), "2 y Holidays theirs");
}

// ---- On a device ----

TEST(FormDataIter, StreamsThroughADevicesMemory) {
  constexpr Limits kDevice = [] {
    Limits limits = Limits::device();
    limits.max_content_length = 4 * 1024 * 1024;
    limits.streams = 0;
    limits.arena_bytes = 3072;  // on 64 bits frames are twice as large
    return limits;
  }();
  static_assert(kDevice.memory() <= 40 * 1024);
  static StaticApp<kDevice> app;
  add_form_routes(app);
  SlowSink sink{.pause = 200ms};
  slow_sink = &sink;
  SimServer server(app);
  const std::string file = numbered(200'000);
  SimClient client = server.sim.connect(kPort);
  client.set_segment_size(1460);
  client.send(request_of("/slow", form_of(file)));
  server.run_for(300s);
  EXPECT_EQ(body_of(client.received()), "200000");
  EXPECT_EQ(sink.sum, hash(kHashStart, file));
}

}  // namespace
}  // namespace microdot_test
