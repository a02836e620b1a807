// The whole server in a crowd: the first bytes choose small limits, a network and its faults; the others are
// what several clients of different addresses do, and how time passes. After every turn of the loop the
// server's books are right (`App::check`) and its limits are kept; every byte that it sends belongs to a
// correct message; and when all have gone nothing of them is left, and it serves as before.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include <microdot/microdot.hpp>
#include <microdot/testing/sim_port.hpp>

#include "../corpus/replies.hpp"
#include "../server/server_run.hpp"
#include "fuzz.hpp"

namespace {

using namespace microdot;
using namespace std::chrono_literals;

constexpr std::uint16_t kPort = 80;
constexpr std::size_t kClients = 8;
constexpr int kMostTurns = 20'000;  // of a time that passes; far more than any takes
constexpr int kMostSteps = 100;     // of a script; longer ones find nothing that shorter ones don't

[[noreturn]] void fail(std::string_view why, std::string_view received = {}) {
  std::fprintf(stderr, "admission_fuzzer: %.*s\n  received %s\n", static_cast<int>(why.size()), why.data(),
               corpus::show(received, 2000).c_str());
  std::abort();
}

Milliseconds any_time(fuzz::Input& input) {
  constexpr std::chrono::milliseconds kTimes[] = {1ms, 20ms, 100ms, 250ms, 1s, 3s, 10s, 20s};
  return input.pick(kTimes);
}

Limits any_limits(fuzz::Input& input) {
  Limits limits;
  limits.connections = input.pick({1U, 2U, 3U, 4U, 6U});
  limits.connections_per_client = std::min(limits.connections, input.pick({0U, 1U, 2U, 6U}));
  limits.exchanges = input.pick({1U, 2U, 3U});
  limits.streams = 0;
  limits.queue_length = input.pick({0U, 1U, 2U, 6U});
  limits.when_full = input.pick({WhenFull::refuse, WhenFull::wait});
  limits.head_bytes = input.pick({256U, 512U, 2048U});
  limits.header_count = input.pick({4U, 16U});
  limits.response_bytes = input.pick({256U, 512U, 1460U});
  limits.arena_bytes = input.pick({16384U, 4096U, 2048U, 1024U});
  limits.max_content_length = input.pick({64U, 1000U, 20'000U});
  limits.max_body_length =
      std::min(static_cast<std::uint32_t>(limits.max_content_length), input.pick({0U, 16U, 1024U}));
  limits.max_readline = input.pick({64U, 256U, 1024U});
  limits.first_timeout = any_time(input);
  limits.head_timeout = any_time(input);
  limits.body_timeout = any_time(input);
  limits.write_timeout = any_time(input);
  limits.body_rate = input.pick({0U, 1U, 240U, 100'000U});
  limits.write_rate = input.pick({0U, 1U, 240U, 100'000U});
  limits.slow_grace = any_time(input);
  limits.keep_alive_timeout = any_time(input);
  limits.queue_timeout = any_time(input);
  limits.handler_timeout = any_time(input);
  limits.linger_timeout = any_time(input);
  limits.shutdown_timeout = any_time(input);
  limits.linger_bytes = input.pick({0U, 64U, 65536U});
  return limits;
}

/// What the network does wrong until it is told to be good.
class Faults final : public SimFaults {
 public:
  explicit Faults(fuzz::Input& input)
      : read_(input.byte()), write_(input.byte()), accept_(input.byte()), state_(input.byte() + 1U) {}

  void stop() { read_ = write_ = accept_ = 0; }

  std::size_t read_limit(unsigned, std::size_t available) noexcept override {
    return strikes(read_) ? 1 + random() % available : available;
  }
  std::size_t write_limit(unsigned, std::size_t offered) noexcept override {
    return strikes(write_) ? random() % (offered + 1) : offered;
  }
  Error on_accept(unsigned) noexcept override {
    constexpr Error kErrors[] = {Error::closed, Error::no_descriptors, Error::no_memory, Error::permission};
    return strikes(accept_) ? kErrors[random() % 4] : Error::none;
  }

 private:
  // Half of them never strike.
  bool strikes(std::uint8_t rate) noexcept { return rate > 127 && random() % 128 < rate - 127U; }
  std::uint32_t random() noexcept {  // xorshift32
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    return state_ ^= state_ << 5;
  }

  std::uint8_t read_;
  std::uint8_t write_;
  std::uint8_t accept_;
  std::uint32_t state_;
};

struct Counts {
  int requests = 0;  ///< Begun and not ended.
  int frames = 0;    ///< Coroutines that are somewhere in their bodies.
};

class Counted {
 public:
  explicit Counted(int& count) : count_(count) { ++count_; }
  Counted(const Counted&) = delete;
  ~Counted() { --count_; }

 private:
  int& count_;
};

/// Text that differs at every place, and is more than any window or buffer here.
std::string_view large_text() {
  static const std::string text = [] {
    std::string made = "large";
    for (int i = 0; made.size() < 40'000; ++i) made.append(" ").append(std::to_string(i));
    return made;
  }();
  return text;
}
std::string_view file_text() { return large_text().substr(7, 9000); }

class Site {
 public:
  explicit Site(const Limits& limits) : app(limits) {
    app.before_request([this](Request& req) -> std::optional<Response> {
      ++counts.requests;
      if (!req.on_end([this] { --counts.requests; })) --counts.requests;
      return {};
    });
    // Answers to HEAD say so: without that nobody could tell where they end.
    const auto mark = [](Request& req, Response& res) {
      if (req.method == "HEAD") res.header("X-Head", "1");
    };
    app.after_request(mark);
    app.after_error_request(mark);
    app.get("/", [](Request&) { return "hello"; });
    app.get("/large", [](Request&) { return Response(large_text()); });
    app.get("/nap/<int:ms>", [this](Request&, int ms) -> Task<Response> {
      const Counted frame(counts.frames);
      co_await sleep_for(std::chrono::milliseconds(ms));
      co_return Response("awake");
    });
    app.get("/pieces", [this](Request&) { return pieces(counts); });
    app.get("/fails", [](Request&) { return microdot::abort(418, "teapot"); });
    app.get("/files/<path:name>",
            [](Request&, std::string_view name) { return send_file(name, {.root = "static"}); });
    app.post("/echo", [](Request& req) {
      Response echo(req.body());
      echo.header("X-Echo", "1");
      return echo;
    });
    app.post("/stream", [this](Request& req) -> Task<Response> {
      const Counted frame(counts.frames);
      std::size_t sum = 0;
      for (;;) {
        const Result<std::string_view> part = co_await req.stream().next();
        if (!part) co_return Response("cut", part.error() == Error::too_large ? 413 : 400);
        if (part->empty()) break;
        sum += part->size();
      }
      co_return Response(req.format("{}", sum));
    });
    app.post("/ignores", [](Request&) { return 204; });
  }

  static Generator<std::string_view> pieces(Counts& counts) {
    const Counted frame(counts.frames);
    for (int i = 0; i < 4; ++i) {
      co_yield "a piece ";
      co_await sleep_for(20ms);
    }
  }

  Counts counts;
  App app;
};

// What clients say, besides what the input spells out.
constexpr std::string_view kSays[] = {
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /large HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /nap/50 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /nap/5000 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /pieces HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /fails HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\n",
    "0123456789",
    "POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "POST /ignores HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n",
    "POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\nExpect: 100-continue\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /nap/1 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: "
    "a\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "HEAD /large HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET / HT",
    "\r\n",
    "bad\r\n\r\n",
    "GET /files/a.txt HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /files/flash.txt HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /files/a.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=100-8000\r\n\r\n",
    "HEAD /files/a.txt HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n",
};

/// What the site answers to those who are not refused.
bool is_right(const corpus::Message& message) {
  if (!corpus::detail::values_of(message, "X-Echo").empty()) return true;
  if (message.status == 206) return file_text().find(message.body) != std::string_view::npos;
  if (message.status != 200) return true;
  for (const std::string_view body : {std::string_view("hello"), std::string_view("awake"), large_text(),
                                      file_text(), std::string_view("a piece a piece a piece a piece ")}) {
    if (message.body == body) return true;
  }
  return message.body.find_first_not_of("0123456789") == std::string::npos;  // of /stream; of HEAD nothing
}

class Crowd {
 public:
  explicit Crowd(fuzz::Input& input)
      : limits_(any_limits(input)),
        faults_(input),
        site_(limits_),
        pool_used_(task_pool().used()),
        port_(port_options(input, faults_)),
        loop_(port_) {
    constexpr std::string_view kProxies[] = {"", "10.0.0.0/31", "10.0.0.0/8, 2001:db8::/32"};
    port_.add_file("static/a.txt", file_text());
    port_.add_file("static/flash.txt", file_text(), 1'000'000, true);
    server_ = std::make_unique<microdot_test::ServerRun>(
        site_.app, loop_, ServerOptions{.host = "", .port = kPort, .trusted_proxies = input.pick(kProxies)});
    settle();
  }

  bool started() const { return site_.app.running(); }

  /// One thing that happens.
  void act(fuzz::Input& input) {
    const std::uint8_t what = input.byte();
    Client& client = clients_[what % kClients];
    switch (what / kClients % 16) {
      case 0: return come(client, input.byte());
      case 1:
      case 2:
      case 3: {
        const std::string_view says = kSays[input.byte() % std::size(kSays)];
        if (!client.connected) come(client, static_cast<std::uint8_t>(what % kClients));
        return client.socket.send(says);
      }
      case 4: {
        const std::string_view says = input.bytes(input.byte());
        if (client.connected) client.socket.send(says);
        return;
      }
      case 5:
        if (client.connected) client.socket.set_receive_window(input.byte() * std::size_t{16});
        return;
      case 6: return read(client, input.byte());
      case 7:
        if (client.connected) client.socket.shutdown_write();
        return;
      case 8: return leave(client, input.flag());
      case 9: return turn(Duration::zero());
      case 10: return settle();
      case 11:
      case 12: return pass(Duration(any_time(input)));
      case 13: return port_.set_pressure(input.pick({Pressure::none, Pressure::some, Pressure::high}));
      case 14: return port_.set_network(input.flag());
      default:
        if (!ending_ && input.byte() == 0xed) end();
    }
  }

  void pass(Duration time) {
    const TimePoint until = port_.clock().now() + time;
    for (int i = 0; port_.clock().now() < until; ++i) {
      if (i == kMostTurns) fail("the loop spins");
      turn(until - port_.clock().now());
    }
  }

  /// All leave; nothing of them remains, and whoever comes then is served.
  void finish() {
    faults_.stop();
    port_.set_network(true);
    port_.set_pressure(Pressure::none);
    for (Client& client : clients_) leave(client, false);
    // Some may still wait to be accepted, and will be before long.
    for (int i = 0, quiet = 0; quiet < 2; ++i) {
      if (i == 60) fail("with all clients gone there are still connections or tasks");
      const std::uint64_t accepted = site_.app.stats().accepted;
      pass(10s);
      const Stats stats = site_.app.stats();
      quiet = stats.connections == 0 && stats.accepted == accepted && loop_.tasks().empty() ? quiet + 1 : 0;
    }
    check_nothing_left();
    if (!ending_) {
      if (site_.app.stats().tier != Tier::normal) fail("degraded though nobody is there", port_.log_text());
      ask_plainly();
      end();
    }
    for (int i = 0; !server_->done(); ++i) {
      if (i == 60) fail("the server does not end");
      pass(10s);
    }
    if (!server_->result()) fail("the shutdown gives an error");
    server_.reset();
    check_nothing_left();
    if (!loop_.timers().empty()) fail("a timer is armed though nothing runs");
    if (task_pool().used() != pool_used_) fail("memory of the task pool is left");
  }

 private:
  struct Client {
    SimClient socket;
    bool connected = false;
    std::string received;
  };

  static SimOptions port_options(fuzz::Input& input, Faults& faults) {
    SimOptions options;
    options.latency = input.pick({Duration(0ms), Duration(1ms), Duration(30ms)});
    options.refers_to_written_bytes = input.flag();
    options.faults = &faults;
    return options;
  }

  void turn(Duration most) {
    loop_.turn(most);
    if (server_->done()) return;
    if (const char* wrong = site_.app.check()) fail(wrong);
    const Stats stats = site_.app.stats();
    if (port_.open_transports() != stats.connections) fail("transports and connections differ in number");
    if (stats.connections > detail::connection_slots(limits_)) fail("more connections than there may be");
    if (stats.exchanges > limits_.exchanges) fail("more exchanges than there are");
    if (stats.queued > limits_.queue_length) fail("a longer queue than there may be");
    if (stats.arena_high_water > limits_.arena_bytes) fail("more of an arena was used than there is");
    if (site_.counts.requests < 0 || site_.counts.requests > static_cast<int>(stats.exchanges))
      fail("more or fewer requests than exchanges");
  }

  void settle() {
    for (int quiet = 0, i = 0; quiet < 4 && i < 64; ++i) {
      quiet = port_.idle() && loop_.ready().empty() ? quiet + 1 : 0;
      turn(Duration::zero());
    }
  }

  void come(Client& client, std::uint8_t who) {
    constexpr std::string_view kAddresses[] = {"10.0.0.1", "10.0.0.2", "2001:db8::1", "10.0.0.3"};
    leave(client, false);
    client.socket = port_.connect(kPort, Endpoint::from_address(kAddresses[who % std::size(kAddresses)]));
    client.connected = true;
  }

  void read(Client& client, std::size_t most) {
    if (!client.connected) return;
    const std::string_view bytes = client.socket.received();
    const std::size_t size = most == 255 ? bytes.size() : std::min(most, bytes.size());
    client.received += bytes.substr(0, size);
    client.socket.consume(size);
  }

  void leave(Client& client, bool resets) {
    if (!client.connected) return;
    read(client, 255);
    judge(client.received, client.socket.ended());
    if (resets) client.socket.reset();
    client = {};
  }

  // Whole messages, and perhaps the beginning of one.
  static void judge(std::string_view received, bool ended) {
    bool says_close = false;
    for (std::string_view rest = received; !rest.empty();) {
      if (says_close) fail("an answer behind Connection: close", received);
      corpus::Parsed parsed = corpus::parse_response(rest, true, false);
      if (parsed.message && corpus::detail::values_of(*parsed.message, "X-Head").empty())
        parsed = corpus::parse_response(rest, false, ended);
      if (!parsed.message && parsed.error.starts_with("the connection ended inside")) return;
      if (!parsed.error.empty()) fail(parsed.error, received);
      if (!parsed.message) return;
      if (!is_right(*parsed.message)) fail("not what was asked for", received);
      rest.remove_prefix(parsed.message->used);
      says_close = corpus::says_close(*parsed.message);
    }
  }

  void check_nothing_left() {
    const Stats stats = site_.app.stats();
    if (stats.connections != 0 || stats.exchanges != 0 || stats.queued != 0)
      fail("connections or exchanges are left");
    if (port_.open_transports() != 0) fail("transports are left");
    if (port_.open_files() != 0) fail("files are left open");
    if (site_.counts.requests != 0) fail("a request has not ended");
    if (site_.counts.frames != 0) fail("a coroutine is left");
  }

  void ask_plainly() {
    SimClient client = port_.connect(kPort);
    client.send(kSays[0]);
    for (int i = 0; client.received().find("hello") == std::string_view::npos; ++i) {
      // The smallest arenas and the shortest times are too small for anything.
      const bool tight = limits_.arena_bytes < 2048 || limits_.max_readline < 256;
      if (client.closed() && (tight || !generous())) return;
      if (client.closed() || i == 100) fail("a plain request is not answered", client.received());
      pass(10ms);
    }
  }
  bool generous() const {
    return std::min({limits_.first_timeout.count, limits_.head_timeout.count, limits_.write_timeout.count,
                     limits_.handler_timeout.count}) >= 1000;
  }

  void end() {
    ending_ = true;
    site_.app.shutdown();
  }

  Limits limits_;
  Faults faults_;
  Site site_;
  std::size_t pool_used_;
  SimPort port_;
  Loop loop_;
  std::unique_ptr<microdot_test::ServerRun> server_;
  std::array<Client, kClients> clients_;
  bool ending_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  Crowd crowd(input);
  if (!crowd.started()) fail("the server does not start");
  for (int i = 0; !input.empty() && i < kMostSteps; ++i) crowd.act(input);
  crowd.finish();
  return 0;
}
