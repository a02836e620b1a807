#include "requests.hpp"

#include <algorithm>
#include <string>
#include <string_view>

#include "site.hpp"

namespace sim {

using namespace std::chrono_literals;
using std::to_string;

namespace {

std::string url(std::string_view route, std::initializer_list<std::size_t> numbers) {
  std::string text(route);
  for (const std::size_t number : numbers) text.append("/").append(to_string(number));
  return text;
}

/// Builds one request.
class Maker {
 public:
  Maker(Random& random, const Plan& plan, unsigned tag) : random_(random), plan_(plan) {
    asked_.expected.tag = tag;
    if (plan.tight()) asked_.expected.also.push_back(503);
  }

  Asked make() {
    const std::size_t kind = random_.below(100);
    if (kind < 35) {
      plain();
    } else if (kind < 60) {
      coroutine();
    } else if (kind < 72) {
      stream();
    } else if (kind < 90) {
      body();
    } else {
      bad();
    }
    return std::move(asked_);
  }

  void get(const std::string& target, std::string_view body_text, std::string_view fields = {}) {
    const bool head = random_.chance(6);
    const bool old = random_.chance(4);
    asked_.expected.to_head = head;
    asked_.expected.body = body_text;
    write(head ? "HEAD" : "GET", target, fields, old ? "1.0" : "1.1");
  }
  void write(std::string_view method, std::string_view target, std::string_view fields,
             std::string_view version = "1.1") {
    asked_.bytes.append(method).append(" ").append(target).append(" HTTP/").append(version);
    asked_.bytes.append("\r\nHost: a\r\nX-Tag: ").append(to_string(asked_.expected.tag)).append("\r\n");
    asked_.bytes.append(fields).append("\r\n");
  }
  Asked take() { return std::move(asked_); }

 private:
  Expected& expected() { return asked_.expected; }
  /// Its handler may be ended for being slow.
  void may_time_out() {
    if (expected().work + 5ms >= Duration(plan_.limits.handler_timeout)) {
      expected().also.push_back(503);
      expected().may_end_early = true;
    }
  }
  void fails(int status) {
    expected().status = status;
    expected().any_body = true;
  }
  /// Anything that could go wrong with a file did.
  void of_file() {
    if (plan_.file_faults()) {
      expected().also.insert(expected().also.end(), {403, 404, 500, 503});
      expected().may_end_early = true;
    }
    if (plan_.narrow()) expected().also.push_back(500);
  }

  void plain() {
    const std::size_t offset = random_.below(9000);
    const std::size_t size = random_.any_size(20'000);
    switch (random_.below(10)) {
      case 0: return get("/hello", "Hello");
      case 1: return get("/late", "late");
      case 2:
      case 3: return get(url("/view", {offset, size}), text_at(offset, size));
      case 4: return get(url("/owned", {offset, size}), text_at(offset, size));
      case 5: {
        const std::size_t some = random_.any_size(5000);
        if (some + 1500 > plan_.limits.arena_bytes) expected().also.push_back(503);
        return get(url("/format", {offset, some}), "<" + std::string(text_at(offset, some)) + ">");
      }
      case 6: {
        if (!plan_.jumps()) return get("/hello", "Hello");
        const std::size_t ms = random_.below(1000);
        return get(url("/block", {ms}), "blocked");
      }
      default: return file();
    }
  }

  void file() {
    const std::size_t i = random_.below(std::size(kFiles));
    const SiteFile& file = kFiles[i];
    const std::string_view content = text_at(file.offset, file.size);
    of_file();
    if (file.size < 2 || random_.chance(60)) return get(url("/file", {i}), content);
    const std::size_t first = random_.below(file.size);
    const std::size_t last = first + random_.below(file.size - first);
    expected().status = 206;
    expected().body = content.substr(first, last - first + 1);
    write("GET", url("/file", {i}), "Range: bytes=" + to_string(first) + "-" + to_string(last) + "\r\n");
  }

  void coroutine() {
    const std::size_t ms = random_.pick({0u, 1u, 3u, 20u, 120u, 700u});
    expected().work = std::chrono::milliseconds(ms);
    switch (random_.below(12)) {
      case 0:
      case 1: may_time_out(); return get(url("/sleep", {ms}), "slept " + to_string(ms));
      case 2: {
        const std::size_t depth = random_.below(20);
        expected().work = 1ms;
        return get(url("/deep", {depth}), "depth " + to_string(depth));
      }
      case 3: may_time_out(); return get(url("/gather", {ms}), "2 and " + to_string(ms));
      case 4: fails(409); return get(url("/abort_below", {409}), "");
      case 5: may_time_out(); return get(url("/timeout", {ms}), "timeout");
      case 6:
        expected().work = plan_.limits.handler_timeout;  // others hold it first
        may_time_out();
        return get(url("/locked", {ms}), "locked");
      case 7:
        expected().work = plan_.limits.handler_timeout;
        fails(503);
        return get(random_.chance(50) ? "/never" : "/busy", "");
      case 8:
      case 9: return get(url("/task", {ms}), "made");
      case 10:
        may_time_out();
        expected().shields = true;
        return get(url("/shield", {ms}), "saved " + to_string(ms));
      default: fails(418); return get("/abort/418", "");
    }
  }

  void stream() {
    expected().streamed = true;
    expected().may_end_early = plan_.tight();
    if (random_.chance(25)) {
      const std::size_t count = random_.below(4);
      const std::size_t how = random_.below(2);
      if (count == 0) {
        fails(500 + static_cast<int>(how));
        if (MICRODOT_EXCEPTIONS != 0 && how == 1) fails(500);
      } else {
        expected().may_end_early = true;
      }
      std::string whole;
      for (std::size_t i = 0; i < count; ++i) whole += "piece";
      get(url("/cut", {count, how}), whole);
      if (expected().to_head) expected().status = 200;  // nobody asks the stream for anything
      return;
    }
    const std::size_t count = random_.below(8);
    const std::size_t size = random_.any_size(2000);
    const std::size_t ms = random_.pick({0u, 0u, 1u, 30u, 200u});
    std::string whole;
    for (std::size_t i = 0; i < count; ++i) whole += text_at(i * size, size);
    expected().work = std::chrono::milliseconds(ms);
    may_time_out();
    get(url("/pieces", {count, size, ms}), whole);
  }

  void body() {
    const auto most = static_cast<std::size_t>(plan_.limits.max_content_length);
    const std::size_t size = random_.any_size(most + most / 4);
    const std::string_view content = text_at(random_.below(20'000), size);
    const bool chunked = random_.chance(40);
    expected().has_continue = random_.chance(15);
    const std::string fields = expected().has_continue ? "Expect: 100-continue\r\n" : "";
    switch (random_.below(3)) {
      case 0: echo(content, chunked); return write_body("/echo", content, chunked, fields);
      case 1:
        expected().body = digest(content);
        if (size > most) fails(413);
        return write_body("/stream", content, chunked, fields);
      default:
        expected().body = "enough";
        if (size > most) {
          if (chunked) {
            expected().also.push_back(413);
            expected().any_body = true;
          } else {
            fails(413);
          }
        }
        return write_body("/some", content, chunked, fields);
    }
  }

  void echo(std::string_view content, bool chunked) {
    const microdot::Limits& limits = plan_.limits;
    if (content.size() <= limits.max_body_length) {
      expected().body = content;
    } else if (content.size() > limits.max_content_length) {
      // A chunked one is found to be too large when it comes to that, if anybody reads so far.
      if (chunked) {
        expected().also.push_back(413);
      } else {
        fails(413);
      }
    }
  }

  void write_body(std::string_view target, std::string_view content, bool chunked, std::string fields) {
    if (!chunked) {
      fields.append("Content-Length: ").append(to_string(content.size())).append("\r\n");
      write("POST", target, fields);
      asked_.bytes.append(content);
      return;
    }
    write("POST", target, fields + "Transfer-Encoding: chunked\r\n");
    const std::size_t most = 1 + random_.any_size(4000);
    while (!content.empty()) {
      const std::string_view part = content.substr(0, 1 + random_.below(most));
      char head[20];
      std::snprintf(head, sizeof head, "%zx\r\n", part.size());
      asked_.bytes.append(head).append(part).append("\r\n");
      content.remove_prefix(part.size());
    }
    asked_.bytes.append("0\r\n\r\n");
  }

  void bad() {
    switch (random_.below(8)) {
      case 0: fails(404); return get("/nothing", "");
      case 1: fails(405); return write("POST", "/hello", "Content-Length: 0\r\n");
      case 2: fails(400); return write("GET", "/hello", "Bad Field: x\r\n");
      case 3:
        fails(414);
        expected().also.push_back(431);  // the head has no room for such a line
        return write("GET", "/hello?" + std::string(plan_.limits.max_readline, 'q'), "");
      case 4:
        fails(431);
        return write("GET", "/hello", "X-Long: " + std::string(plan_.limits.head_bytes, 'x') + "\r\n");
      case 5: fails(505); return write("GET", "/hello", "", "2.0");
      case 6: fails(501); return write("BREW", "/hello", "");
      default:
#if MICRODOT_EXCEPTIONS
        fails(500);
        return get(random_.chance(50) ? "/throw" : "/throw_later", "");
#else
        fails(404);
        return get("/nothing", "");
#endif
    }
  }

  Random& random_;
  const Plan& plan_;
  Asked asked_;
};

}  // namespace

bool Expected::allows(int other) const {
  return other == status || std::find(also.begin(), also.end(), other) != also.end();
}

Asked any_request(Random& random, const Plan& plan, unsigned tag) { return Maker(random, plan, tag).make(); }

Asked plain_request(unsigned tag) {
  Asked asked;
  asked.expected.tag = tag;
  asked.expected.body = "Hello";
  asked.bytes = "GET /hello HTTP/1.1\r\nHost: a\r\nX-Tag: " + to_string(tag) + "\r\n\r\n";
  return asked;
}

}  // namespace sim
