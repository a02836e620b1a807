#pragma once
/// A client on real sockets that asks for everything of mixed_routes.hpp and checks each answer. It runs in a
/// process of its own, and takes what memory it likes.

#include <poll.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mixed_socket.hpp"

namespace microdot_test {

/// What a request is answered.
struct Want {
  int status;
  std::optional<std::string> body = {};
  std::string field = {};  ///< A piece of the head.
};
struct Exchanged {
  std::string request;
  std::vector<Want> answers;  ///< In order; more than one for pipelined requests.
};

class MixedClient {
 public:
  /// `large`: what /download gives; `page` and `zipped`: /static/page.html and its variant.
  MixedClient(std::uint16_t port, std::string large, std::string page, std::string zipped)
      : port_(port), large_(std::move(large)), page_(std::move(page)), zipped_(std::move(zipped)) {
    make_mix();
  }

  /// Plays until `answers` were right; false at the first that is not.
  bool play(int answers) {
    learn_validators();
    if (!time_outs() || !queue()) return false;
    for (int round = 0; answered_ < answers; ++round) {
      for (const Exchanged& at : mix_) {
        if (!exchange(at)) return false;
      }
      if (round % 8 == 0 && !(refusals() && expectations() && leavers())) return false;
      if (round % 64 == 0 && !evict()) return false;
    }
    return true;
  }
  int answered() const { return answered_; }

 private:
  static std::string get(std::string_view url, std::string_view fields = {}) {
    return "GET " + std::string(url) + " HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n";
  }
  static std::string post(std::string_view url, std::string_view body, std::string_view fields = {}) {
    return "POST " + std::string(url) +
           " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
           std::string(fields) + "\r\n" + std::string(body);
  }

  /// A form with a field and a file of that many bytes.
  static std::string form(std::string_view url, std::size_t bytes) {
    return post(url,
                "--b\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\na title\r\n"
                "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n" +
                    std::string(bytes, '\r') + "\r\n--b--\r\n",
                "Content-Type: multipart/form-data; boundary=b\r\n");
  }

  void make_mix() {
    const std::string chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    mix_ = {
        {get("/"), {{200, "Hello", "X-After: yes\r\n"}}},
        {get("/status"), {{204}}},
        {get("/numbers"), {{200, {}, "Content-Type: application/json\r\n"}}},
        {get("/numbers/page"), {{200, {}, "Content-Encoding: gzip\r\n"}}},
        {get("/metrics"), {{200, {}, "Content-Type: text/plain; version=0.0.4"}}},
        {get("/tuple"), {{201, "made", "X-Made: here\r\n"}}},
        {get("/owned"), {{200, "short"}}},
        {get("/users/42?q=1&page=2"), {{200, "user 42 of page 2"}}},
        {get("/users/x"), {{404, "no such page", "X-Error: yes\r\n"}}},
        {get("/names/a%20name"), {{200, "a name"}}},
        {get("/paths/one/two%2Fthree"), {{200, "one/two/three"}}},
        {get("/cookies", "Cookie: a=b; in=value\r\n"), {{200, "value", "Set-Cookie: out=new; "}}},
        {post("/echo", "12345"), {{200, "12345"}}},
        {post("/echo", std::string(3000, 'x')), {{200, std::string(3000, 'x')}}},
        {chunked + "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nTrailer: t\r\n\r\n", {{200, "abcdefg"}}},
        {post("/form", "name=a+long%21&b=c", "Content-Type: application/x-www-form-urlencoded\r\n"),
         {{200, "a long!"}}},
        {post("/read", std::string(9000, 'r')), {{200, "9000"}}},
        {form("/upload", 20'000), {{200, "a title 20000"}}},
        {form("/upload", 100), {{200, "a title 100"}}},
        {form("/form_data", 1000), {{200, "a title a.bin"}}},
        {form("/form_data", 5000), {{413, "form too large", "Connection: close\r\n"}}},
        {get("/redirect"), {{302, "", "Location: /\r\n"}}},
        {get("/abort"), {{410, "gone for good"}}},
        {get("/teapot"), {{418, "/teapot is a teapot"}}},
        {get("/forbidden"), {{403, "by a hook"}}},
        {get("/g"), {{200, "1", "X-Count: 1\r\n"}}},
        {get("/later"), {{200, "later"}}},
        {get("/members"), {{403, "members only"}}},
        {get("/gather"), {{200, "5"}}},
        {get("/wait_for"), {{200, "2 late"}}},
        {get("/sync"), {{200, "6"}}},
        {get("/background"), {{200, "done 7"}}},
        {get("/pieces"), {{200, "onetwo", "Transfer-Encoding: chunked\r\n"}}},
        {get("/sub/"), {{200, "/sub", "X-Sub: yes\r\n"}}},
        {get("/sub/abort"), {{409, "mounted"}}},
        {get("/none"), {{404, "no such page"}}},
        {"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", {{405, "Method not allowed", "Allow: "}}},
        {"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", {{200, "", "Content-Length: 5\r\n"}}},
        {"OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n", {{200, "", "Allow: GET, HEAD, OPTIONS\r\n"}}},
        {"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", {{501}}},
        {get("/") + get("/none") + get("/later") + post("/echo", "abc") + get("/pieces") + get("/tuple"),
         {{200, "Hello"}, {404}, {200, "later"}, {200, "abc"}, {200, "onetwo"}, {201, "made"}}},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", {{200, "Hello", "Connection: keep-alive\r\n"}}},
        {get("/", "Connection: close\r\n"), {{200, "Hello", "Connection: close\r\n"}}},
        // Files.
        {get("/static/small.txt"), {{200, "small", "Cache-Control: max-age=60\r\n"}}},
        {get("/static/page.html"), {{200, page_, "Vary: Accept-Encoding\r\n"}}},
        {get("/static/page.html", "Accept-Encoding: br;q=0.5, gzip\r\n"),
         {{200, zipped_, "Content-Encoding: gzip\r\n"}}},
        {"HEAD /static/page.html HTTP/1.1\r\nHost: a\r\n\r\n", {{200, "", "Accept-Ranges: bytes\r\n"}}},
        {get("/static/page.html", "Range: bytes=10-19\r\n"), {{206, page_.substr(10, 10)}}},
        {get("/static/page.html", "Range: bytes=-5\r\n"), {{206, page_.substr(page_.size() - 5)}}},
        {get("/static/page.html", "Range: bytes=1-2,5000-5001,-1\r\n"),
         {{206, {}, "Content-Type: multipart/byteranges; boundary="}}},
        {get("/static/page.html", "Range: bytes=999999-\r\n"), {{416, "Range not satisfiable"}}},
        {get("/static/page.html", "If-Match: \"other\"\r\n"), {{412, "Precondition failed"}}},
        {get("/static/"), {{200, "the index"}}},
        {get("/static"), {{301, "", "Location: /static/\r\n"}}},
        {get("/static/sub"), {{301, "", "Location: /static/sub/\r\n"}}},
        {get("/static/sub/"), {{200, "index of sub"}}},
        {get("/static/none"), {{404, "no such page"}}},
        {get("/static/../etc/passwd"), {{404, "no such page"}}},
        {get("/static/%ff"), {{404, "no such page"}}},
    };
  }

  void learn_validators() {
    MixedSocket socket(port_);
    const Answer page = socket.ask(get("/static/page.html"));
    mix_.push_back({get("/static/page.html", "If-None-Match: " + page.value("ETag") + "\r\n"), {{304}}});
    mix_.push_back(
        {get("/static/page.html", "If-Modified-Since: " + page.value("Last-Modified") + "\r\n"), {{304}}});
    mix_.push_back({get("/static/page.html", "Range: bytes=0-3\r\nIf-Range: " + page.value("ETag") + "\r\n"),
                    {{206, page_.substr(0, 4)}}});
  }

  bool fail(std::string_view request, const Answer& got, std::string_view why) {
    std::fprintf(stderr, "%.*s\n%.*s: after %d answers:\n%s\n%.200s\n",
                 static_cast<int>(std::min<std::size_t>(request.size(), 300)), request.data(),
                 static_cast<int>(why.size()), why.data(), answered_, got.head.c_str(), got.body.c_str());
    return false;
  }
  bool check(std::string_view request, const Answer& got, const Want& want) {
    if (got.status != want.status) return fail(request, got, "wrong status");
    if (want.body && got.body != *want.body) return fail(request, got, "wrong body");
    if (!got.has(want.field)) return fail(request, got, "missing: " + want.field);
    ++answered_;
    return true;
  }

  bool exchange(const Exchanged& at) {
    if (!open_) open_.emplace(port_);
    open_->send(at.request);
    bool close = false;
    for (const Want& want : at.answers) {
      const Answer got = open_->receive(at.request.starts_with("HEAD"));
      if (!check(at.request, got, want)) return false;
      close = got.has("Connection: close\r\n");
    }
    if (!close) return true;
    const bool ended = open_->ended();
    open_.reset();
    return ended || fail(at.request, {}, "the connection was not closed");
  }

  /// Requests that end their connection.
  bool refusals() {
    const std::string long_line = "GET /" + std::string(600, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n";
    std::string many;
    for (int i = 0; i < 40; ++i) many += "X-Field: value\r\n";
    const Exchanged kRefused[] = {
        {"GET / HTTP/1.1\r\n\r\n", {{400}}},
        {"GET / HTTP/1.1\r\nHost: a\r\nbad field: x\r\n\r\n", {{400}}},
        {"nonsense\r\n\r\n", {{400}}},
        {"GET / HTTP/3.0\r\nHost: a\r\n\r\n", {{505}}},
        {get("/static/%00"), {{400}}},
        {long_line, {{414}}},
        {get("/", "X: " + std::string(600, 'x') + "\r\n"), {{431}}},
        {get("/", many), {{431}}},
        {"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", {{501}}},
        {post("/echo", std::string(100'000, 'x')), {{413}}},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n40000\r\n" +
             std::string(0x40000, 'x') + "\r\n0\r\n\r\n",
         {{413}}},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", {{400}}},
        {"GET / HTTP/1.0\r\n\r\n", {{200, "Hello"}}},
        {"GET /pieces HTTP/1.0\r\n\r\n", {{200, "onetwo"}}},
    };
    open_.reset();
    for (const Exchanged& at : kRefused) {
      if (!exchange(at)) return false;
      open_.reset();
    }
    return true;
  }

  bool expectations() {
    const std::string head = "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: ";
    MixedSocket socket(port_);
    Answer got = socket.ask(head + "4\r\n\r\n");
    if (!check(head, got, {100})) return false;
    got = socket.ask("body");
    if (!check(head, got, {200, "body"})) return false;
    got = socket.ask(head + "100000\r\n\r\n");
    if (!check(head, got, {413})) return false;
    MixedSocket other(port_);
    got = other.ask("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: cake\r\nContent-Length: 4\r\n\r\nbody");
    return check("Expect: cake", got, {417});
  }

  /// Clients that leave: in the head, in the body, while the handler works (which only a reset ends), in the
  /// middle of the answer.
  bool leavers() {
    for (const bool reset : {false, true}) {
      for (const std::string& request :
           {std::string("GET / HT"),
            std::string("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123"),
            get(reset ? "/stuck" : "/later"), get("/pieces") + get("/pieces"), get("/download")}) {
        MixedSocket socket(port_, 4096);
        socket.send(request);
        poll(nullptr, 0, 1);
        if (reset) socket.reset();
      }
    }
    // And one that stays, after them.
    MixedSocket socket(port_);
    const Answer got = socket.ask(get("/download"));
    return check("/download", got, {200, large_});
  }

  /// More connections than there are: the one that was idle longest goes.
  bool evict() {
    open_.reset();
    std::vector<MixedSocket> idle;
    for (int i = 0; i < kConnections; ++i) {
      idle.emplace_back(port_);
      if (!check("idle", idle.back().ask(get("/")), {200, "Hello"})) return false;
    }
    MixedSocket newcomer(port_);
    if (!check("newcomer", newcomer.ask(get("/")), {200, "Hello"})) return false;
    return idle.front().ended() || fail("idle", {}, "the longest idle connection was not closed");
  }

  /// All exchanges are taken: who waits too long for one is told.
  bool queue() {
    std::vector<MixedSocket> slow;
    for (int i = 0; i < kExchanges; ++i) {
      slow.emplace_back(port_);
      slow.back().send(get("/slow"));
      poll(nullptr, 0, 5);
    }
    std::vector<MixedSocket> waiting;
    for (int i = 0; i < 4; ++i) {
      waiting.emplace_back(port_);
      waiting.back().send(get("/"));
    }
    for (MixedSocket& socket : waiting) {
      if (!check("queued", socket.receive(), {503, "", "Retry-After: "})) return false;
    }
    for (MixedSocket& socket : slow) {
      if (!check("/slow", socket.receive(), {200, "slow"})) return false;
    }
    return true;
  }

  /// Each kind of time-out, all at once.
  bool time_outs() {
    MixedSocket idle(port_);
    if (!check("idle", idle.ask(get("/")), {200, "Hello"})) return false;
    MixedSocket silent(port_);
    MixedSocket head(port_);
    head.send("GET / HTTP/1.1\r\nHo");
    MixedSocket body(port_);
    body.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123");
    MixedSocket handler(port_);
    handler.send(get("/stuck"));
    MixedSocket reader(port_, 4096);
    reader.send(get("/static/huge.bin"));
    if (!check("head", head.receive(), {408})) return false;
    if (!check("body", body.receive(), {408})) return false;
    if (!check("handler", handler.receive(), {503, "handler timed out"})) return false;
    if (!idle.ended() || !silent.ended()) return fail("idle", {}, "was not closed");
    poll(nullptr, 0, 300);
    if (reader.receive().status != 0)
      return fail("/static/huge.bin", {}, "a client that does not read was waited for");
    return true;
  }

 public:
  // Of the server.
  static constexpr int kConnections = 24;
  static constexpr int kExchanges = 4;

 private:
  std::uint16_t port_;
  std::string large_, page_, zipped_;
  std::vector<Exchanged> mix_;
  std::optional<MixedSocket> open_;
  int answered_ = 0;
};

}  // namespace microdot_test
