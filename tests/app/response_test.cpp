// How responses reach the client: head, fields, cookies, content type, connection.

#include <algorithm>
#include <array>
#include <random>
#include <vector>

#include "support.hpp"

namespace {

std::string_view head_of(std::string_view answer) { return answer.substr(0, answer.find("\r\n\r\n") + 4); }

}  // namespace

TEST(ResponseHead, IsCompleteAndDated) {
  App app;
  app.get("/", [](Request&) { return "foo"; });
  TestClient client(app);
  const std::string answer = client.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  // The simulator's clock begins at 1,700,000,000 seconds.
  EXPECT_EQ(head_of(answer),
            "HTTP/1.1 200 OK\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\n"
            "Content-Type: text/plain; charset=UTF-8\r\nContent-Length: 3\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(answer.substr(answer.size() - 3), "foo");
}

TEST(ResponseHead, TheDateGoesOn) {
  App app;
  app.get("/", [](Request&) { return ""; });
  TestClient client(app);
  client.get("/");
  client.run_for(1s * 86'400);
  EXPECT_EQ(client.get("/").headers["Date"], "Wed, 15 Nov 2023 22:13:20 GMT");
}

TEST(ResponseHead, ContentTypes) {
  App app;
  app.get("/default", [](Request&) { return "x"; });
  app.get("/own", [](Request&) { return Response("x", 200, {{"content-type", "text/html"}}); });
  app.get("/set", [](Request&) { return std::move(Response("x").header("Content-Type", "image/png")); });
  app.get("/none", [](Request&) { return 200; });
  TestClient client(app);
  EXPECT_EQ(client.get("/default").headers["Content-Type"], "text/plain; charset=UTF-8");
  auto res = client.get("/own");
  EXPECT_EQ(res.headers["Content-Type"], "text/html");
  EXPECT_EQ(res.headers.count("Content-Type"), 1U);
  EXPECT_EQ(client.get("/set").headers["Content-Type"], "image/png");
  EXPECT_FALSE(client.get("/none").headers.contains("Content-Type"));
}

TEST(ResponseHead, TheDefaultContentTypeCanBeAnother) {
  App app;
  app.get("/", [](Request&) { return "x"; });
  app.default_content_type = "text/html";
  TestClient client(app);
  EXPECT_EQ(client.get("/").headers["Content-Type"], "text/html; charset=UTF-8");
  EXPECT_EQ(client.get("/missing").headers["Content-Type"], "text/html; charset=UTF-8");
  app.default_content_type = "text/html; charset=ISO-8859-1";
  EXPECT_EQ(client.get("/").headers["Content-Type"], "text/html; charset=ISO-8859-1");
  std::string own = "text/css";  // whose bytes change where they are
  app.default_content_type = own;
  EXPECT_EQ(client.get("/").headers["Content-Type"], "text/css; charset=UTF-8");
  own = "text/csv";
  EXPECT_EQ(client.get("/").headers["Content-Type"], "text/csv; charset=UTF-8");
  const std::string parts = "text/x-" + std::string(200, 'x');  // longer than what is kept
  app.default_content_type = parts;
  EXPECT_EQ(client.get("/").headers["Content-Type"], parts + "; charset=UTF-8");
  EXPECT_EQ(client.get("/").headers["Content-Type"], parts + "; charset=UTF-8");
  app.default_content_type = "";
  EXPECT_EQ(client.get("/").headers["Content-Type"], "; charset=UTF-8");
}

TEST(ResponseHead, FieldsAreReplacedAddedAndNumbers) {
  App app;
  app.get("/", [](Request&) {
    Response res("x", 200, {{"X-A", "1"}});
    res.header("x-a", "2").header("X-Number", -17).header("X-B", "b");
    res.add_header("X-Many", "1").add_header("X-Many", "2");
    EXPECT_EQ(res.headers()["X-NUMBER"], "-17");
    res.headers().remove("x-b");
    return res;
  });
  TestClient client(app);
  auto res = client.get("/");
  EXPECT_EQ(res.headers.getlist("X-A"), std::vector<std::string>{"2"});
  EXPECT_EQ(res.headers["X-Number"], "-17");
  EXPECT_EQ(res.headers.count("X-Many"), 2U);
  EXPECT_FALSE(res.headers.contains("X-B"));
}

// Against a model, with other things taken from the arena in between, and values that are views of fields.
TEST(ResponseHead, FieldsAreAListThatCanBeChanged) {
  const std::vector<std::pair<std::string, std::string>> names = {
      {"A", "a"}, {"ETag", "etag"}, {"Content-Type", "CONTENT-TYPE"}, {"X-Long", "X-Long"}};
  for (unsigned seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    ResponseHeaders headers;
    std::vector<std::pair<std::string, std::string>> model;
    std::vector<void*> others;
    const auto erase = [&model](const std::string& name, std::size_t count) {
      const auto end = model.begin() + static_cast<long>(count);
      model.erase(std::remove_if(model.begin(), end, [&](auto& field) { return field.first == name; }), end);
    };
    for (int step = 0; step < 500; ++step) {
      const auto& names_of_one = names[random() % names.size()];
      const std::string& name = names_of_one.first;
      const std::string& asked = names_of_one.second;  // in other letters
      std::string value(random() % 30, static_cast<char>('a' + random() % 26));
      std::string_view given = value;
      if (random() % 3 == 0) value = given = headers["ETag"];
      switch (random() % 6) {
        case 0:
          headers.remove(asked);
          erase(name, model.size());
          break;
        case 1: {
          headers.set(name, given);
          model.emplace_back(name, value);
          erase(name, model.size() - 1);
          break;
        }
        case 2: others.push_back(current_arena().allocate(random() % 100)); break;
        default:
          headers.add(name, given);
          model.emplace_back(name, value);
          break;
      }
      if (others.size() == 10) {
        for (void* other : others) Arena::free(other);
        others.clear();
      }
      std::vector<std::pair<std::string, std::string>> fields;
      headers.for_each([&](const Header& field) { fields.emplace_back(field.name, field.value); });
      ASSERT_EQ(fields, model);
      ASSERT_EQ(headers.empty(), model.empty());
      const auto first = std::find_if(model.begin(), model.end(), [&](auto& f) { return f.first == name; });
      ASSERT_EQ(headers.contains(asked), first != model.end());
      ASSERT_EQ(headers[asked], first != model.end() ? first->second : "");
    }
    for (void* other : others) Arena::free(other);
    headers.clear();
    EXPECT_TRUE(headers.empty());
    EXPECT_EQ(task_pool().used(), 0U);
  }
}

TEST(ResponseHead, AFieldCanBeChangedByItsOwnName) {
  const auto make = [](ResponseHeaders& headers, std::string_view wanted) {
    for (const char* name : {"A", "B", "a", "C"}) headers.add(name, "1");
    std::string_view found;
    headers.for_each([&](const Header& field) { found = field.name == wanted ? field.name : found; });
    return found;  // a view of the field
  };
  const auto text = [](const ResponseHeaders& headers) {
    std::string all;
    headers.for_each([&](const Header& field) { all.append(field.name).append(field.value).append(" "); });
    return all;
  };
  for (const char* wanted : {"A", "a"}) {
    ResponseHeaders removed;
    removed.remove(make(removed, wanted));
    EXPECT_EQ(text(removed), "B1 C1 ");
    ResponseHeaders set;
    const std::string_view name = make(set, wanted);
    void* behind = current_arena().allocate(1);  // so that they move
    set.set(name, "2");
    EXPECT_EQ(text(set), std::string("B1 C1 ") + wanted + "2 ");
    Arena::free(behind);
  }
}

TEST(ResponseHead, TheFramingIsTheServers) {
  App app;
  app.get("/", [](Request&) {
    return Response("foo", 200,
                    {{"Content-Length", "2"},
                     {"X-Between", "1"},
                     {"DATE", "yesterday"},
                     {"Transfer-Encoding", "chunked"},
                     {"Connection", "X-Between"},
                     {"X-After", "2"}});
  });
  TestClient client(app);
  auto res = client.get("/");
  EXPECT_EQ(res.headers.getlist("Content-Length"), std::vector<std::string>{"3"});
  EXPECT_FALSE(res.headers.contains("Transfer-Encoding"));
  EXPECT_EQ(res.headers.getlist("Date"), std::vector<std::string>{"Tue, 14 Nov 2023 22:13:20 GMT"});
  EXPECT_FALSE(res.headers.contains("Connection"));
  EXPECT_EQ(res.headers["X-Between"], "1");
  EXPECT_EQ(res.headers["X-After"], "2");
  EXPECT_EQ(res.text, "foo");
}

TEST(ResponseHead, TheDefaultTypeStandsForOneThatWasRemoved) {
  App app;
  app.get("/", [](Request&) { return Response("foo", 200, {{"X-A", "1"}, {"Content-Type", "text/html"}}); });
  app.after_request([](Request& req, Response& res) {
    if (req.args["remove"] == "1") res.headers().remove("content-type");
    if (req.args["remove"] == "all") res.headers().clear();
  });
  TestClient client(app);
  EXPECT_EQ(client.get("/").headers["Content-Type"], "text/html");
  auto res = client.get("/?remove=1");
  EXPECT_EQ(res.headers["Content-Type"], "text/plain; charset=UTF-8");
  EXPECT_EQ(res.headers["X-A"], "1");
  res = client.get("/?remove=all");
  EXPECT_EQ(res.headers["Content-Type"], "text/plain; charset=UTF-8");
  EXPECT_FALSE(res.headers.contains("X-A"));
}

TEST(ResponseHead, InjectionIsRefused) {
  App app;
  int handled = 0;
  app.errorhandler(500, [&handled](Request&) {
    ++handled;
    return Response("refused", 500);
  });
  app.get("/header", [](Request& req) { return Response("x", 200, {{"X-Name", req.args["v"]}}); });
  app.get("/name", [](Request& req) { return Response("x", 200, {{req.args["v"], "x"}}); });
  app.get("/location", [](Request& req) { return redirect(req.args["v"]); });
  app.get("/cookie", [](Request& req) { return std::move(Response("x").set_cookie("c", req.args["v"])); });
  app.get("/path", [](Request& req) {
    return std::move(Response("x").set_cookie("c", "v", {.path = req.args["v"]}));
  });
  app.get("/after", [](Request& req) {
    req.after_request([](Request& r, Response& res) { res.header("X-Late", r.args["v"]); });
    return "x";
  });
  TestClient client(app);
  int expected = 0;
  for (const std::string route : {"/header", "/name", "/location", "/cookie", "/path", "/after"}) {
    for (const char* evil : {"a%0d%0aSet-Cookie:%20evil=1", "a%0aevil", "a%0devil"}) {
      client.sim().clear_log();
      auto res = client.get(route + "?v=" + evil);
      EXPECT_EQ(res.status_code, 500) << route << evil;
      EXPECT_EQ(res.text, "refused") << route << evil;
      EXPECT_FALSE(res.headers.contains("Set-Cookie"));
      EXPECT_TRUE(logged(client, "not valid")) << route << evil;
      EXPECT_EQ(handled, ++expected);
    }
  }
  for (const char* route :
       {"/cookie?v=a;%20Domain=evil", "/path?v=/;%20Domain=evil", "/name?v=a%20b", "/name?v="}) {
    EXPECT_EQ(client.get(route).status_code, 500) << route;
  }
  EXPECT_EQ(client.get("/header?v=harmless").headers["X-Name"], "harmless");
}

TEST(ResponseHead, LargerThanItsBufferIsAnErrorOfTheServer) {
  App app{Limits{.response_bytes = 512}};
  app.get("/", [](Request&) { return Response("x", 200, {{"X-Large", std::string(600, 'x')}}); });
  TestClient client(app);
  EXPECT_EQ(client.get("/").status_code, 500);
  EXPECT_TRUE(logged(client, "Limits::response_bytes"));
}

TEST(ResponseCookies, HaveMicrodotsAttributes) {
  App app;
  app.get("/", [](Request&) {
    Response res("x");
    res.set_cookie("foo1", "bar1");
    res.set_cookie("foo2", "bar2", {.path = "/", .partitioned = true});
    res.set_cookie("foo3", "bar3", {.domain = "example.com:1234"});
    res.set_cookie("foo4", "bar4", {.expires = "Tue, 05 Nov 2019 02:23:54 GMT"});
    res.set_cookie("foo5", "bar5", {.expires = std::int64_t{1572920634}, .max_age = 123});
    res.set_cookie("foo6", "bar6", {.secure = true, .http_only = true});
    res.delete_cookie("foo7", {.path = "/foo"});
    return res;
  });
  TestClient client(app);
  auto res = client.get("/");
  const std::vector<std::string> fields = res.headers.getlist("Set-Cookie");
  ASSERT_EQ(fields.size(), 7U);
  EXPECT_EQ(fields[0], "foo1=bar1");
  EXPECT_NE(fields[1].find("; Path=/"), std::string::npos);
  EXPECT_NE(fields[1].find("; Partitioned"), std::string::npos);
  EXPECT_NE(fields[2].find("; Domain=example.com:1234"), std::string::npos);
  EXPECT_NE(fields[3].find("; Expires=Tue, 05 Nov 2019 02:23:54 GMT"), std::string::npos);
  EXPECT_NE(fields[4].find("; Expires=Tue, 05 Nov 2019 02:23:54 GMT"), std::string::npos);
  EXPECT_NE(fields[4].find("; Max-Age=123"), std::string::npos);
  EXPECT_NE(fields[5].find("; Secure"), std::string::npos);
  EXPECT_NE(fields[5].find("; HttpOnly"), std::string::npos);
  EXPECT_NE(fields[6].find("; Path=/foo"), std::string::npos);
  EXPECT_NE(fields[6].find("; Expires=Thu, 01 Jan 1970 00:00:00 GMT"), std::string::npos);
  EXPECT_NE(fields[6].find("; Max-Age=0"), std::string::npos);
}

TEST(ResponseCookies, ComeBackWithTheNextRequest) {
  App app;
  app.get("/", [](Request& req) {
    Response res(req.cookies()["one"]);
    res.set_cookie("one", "1").set_cookie("two", "2").delete_cookie("three");
    return res;
  });
  TestClient client(app);
  client.cookies = {{"three", "3"}, {"four", "4"}};
  EXPECT_EQ(client.get("/").text, "");
  EXPECT_EQ(client.get("/").text, "1");
  using Jar = std::vector<std::pair<std::string, std::string>>;
  Jar jar = client.cookies;
  std::sort(jar.begin(), jar.end());
  EXPECT_EQ(jar, (Jar{{"four", "4"}, {"one", "1"}, {"two", "2"}}));
}

TEST(ResponseRedirect, NamesItsTarget) {
  App app;
  app.get("/a", [](Request&) { return redirect("/foo"); });
  app.get("/b", [](Request& req) { return redirect(req.format("/users/{}", 7), 301); });
  TestClient client(app);
  auto res = client.get("/a");
  EXPECT_EQ(res.status_code, 302);
  EXPECT_EQ(res.headers["Location"], "/foo");
  res = client.get("/b");
  EXPECT_EQ(res.status_code, 301);
  EXPECT_EQ(res.headers["Location"], "/users/7");
}

TEST(ResponseFile, IsSentWithItsTypeAndCaching) {
  App app;
  app.get("/<path:p>",
          [](Request&, std::string_view p) { return send_file(p, {.root = "static", .max_age = 123}); });
  app.get("/typed", [](Request&) {
    return send_file("static/a.html", {.content_type = "text/x", .status_code = 201});
  });
  TestClient client(app);
  client.sim().add_file("static/a.html", "<p>a</p>");
  auto res = client.get("/a.html");
  EXPECT_EQ(res.status_code, 200);
  EXPECT_EQ(res.text, "<p>a</p>");
  EXPECT_EQ(res.headers["Content-Type"].substr(0, 9), "text/html");
  EXPECT_EQ(res.headers["Cache-Control"], "max-age=123");
  EXPECT_EQ(client.get("/missing").status_code, 404);
  EXPECT_EQ(client.get("/%2e%2e/secret").status_code, 404);
  EXPECT_EQ(client.sim().open_files(), 0U);
}

TEST(ResponseConnection, IsKeptUnlessSomebodyWantsItClosed) {
  App app;
  app.get("/", [](Request&) { return "x"; });
  app.get("/close", [](Request&) { return Response("x", 200, {{"Connection", "close"}}); });
  TestClient client(app);
  auto res = client.get("/");
  EXPECT_FALSE(res.connection_closed);
  EXPECT_FALSE(res.headers.contains("Connection"));
  res = client.get("/", {{"Connection", "close"}});
  EXPECT_TRUE(res.connection_closed);
  EXPECT_EQ(res.headers["Connection"], "close");
  res = client.get("/close");
  EXPECT_TRUE(res.connection_closed);
  EXPECT_EQ(res.headers.getlist("Connection"), std::vector<std::string>{"close"});
}

TEST(ResponseConnection, HTTP10IsClosedUnlessKeptOnDemand) {
  App app;
  app.get("/", [](Request&) { return "x"; });
  TestClient client(app);
  SimClient old = connect(client);
  old.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  client.run_for(1s);
  EXPECT_NE(old.received().find("Connection: keep-alive\r\n"), std::string_view::npos);
  EXPECT_FALSE(old.closed());
  old.consume(old.received().size());
  old.send("GET / HTTP/1.0\r\n\r\n");
  client.run_for(1s);
  EXPECT_EQ(old.received().substr(0, 15), "HTTP/1.1 200 OK");
  EXPECT_NE(old.received().find("Connection: close\r\n"), std::string_view::npos);
  EXPECT_TRUE(old.ended());
}

TEST(ResponseConnection, PipelinedRequestsAreAnsweredInOrder) {
  App app;
  app.get("/<int:n>", [](Request&, int n) -> Task<std::string> {
    co_await sleep_for(1s * (10 - n));
    co_return "<" + std::to_string(n) + ">";
  });
  TestClient client(app);
  std::string all;
  for (int n = 0; n < 10; ++n) all += get("/" + std::to_string(n));
  SimClient other = connect(client);
  other.send(all);
  client.run_for(1h);
  std::string bodies;
  std::string_view rest = other.received();
  for (std::size_t at = rest.find('<'); at != std::string_view::npos; at = rest.find('<', at + 1)) {
    bodies += rest.substr(at, 3);
  }
  EXPECT_EQ(bodies, "<0><1><2><3><4><5><6><7><8><9>");
}

TEST(ResponseFields, TheDateIsTheServers) {
  App app;
  app.get("/", [](Request&) { return Response("x", 200, {{"Date", "Thu, 01 Jan 1970 00:00:00 GMT"}}); });
  TestClient client(app);
  auto res = client.get("/");
  EXPECT_EQ(res.headers.count("Date"), 1u);
  EXPECT_EQ(res.headers["Date"], "Tue, 14 Nov 2023 22:13:20 GMT");  // the simulator's clock
}
