/// A page with many files, loaded as browsers do, from an App that is smaller than a browser's appetite.

#include <algorithm>
#include <array>

#include "sim_server.hpp"

namespace microdot_test {
namespace {

/// What a program takes that has less RAM than `Limits::device()`.
constexpr Limits kSmall = [] {
  Limits limits = Limits::device();
  limits.connections = limits.connections_per_client = limits.queue_length = 6;
  limits.exchanges = 2;
  limits.streams = 0;
  return limits;
}();
static_assert(kSmall.memory() <= (sizeof(void*) == 8 ? 24 : 17) * 1024);

/// What the page names: files in memory of up to 30 KB, and a value that takes a while.
struct Site {
  static constexpr std::size_t kFiles = 43;

  Site() {
    for (std::size_t i = 0; i < kFiles; ++i) files.push_back(numbered(100 + i * i * 17));
  }
  void add_to(SimServer& server) const {
    for (std::size_t i = 0; i < kFiles; ++i) {
      server.sim.add_file("static/" + std::to_string(i), files[i], 0, true);  // as in flash
    }
  }
  static std::string path_of(std::size_t file) {
    return file == kFiles ? "/value" : "/static/" + std::to_string(file);
  }
  std::string_view content_of(std::size_t file) const {
    return file == kFiles ? std::string_view("21.50") : files[file];
  }

  std::vector<std::string> files;
};

/// A browser's tab: six connections take the page's files between them. What a server closed before it
/// answered is asked for again, as browsers do (RFC 9112 9.3.1).
class Tab {
 public:
  Tab(SimServer& server, const Site& site, std::string_view address, bool keep_alive)
      : server_(server), site_(site), from_(Endpoint::from_address(address)), keep_alive_(keep_alive) {
    for (std::size_t i = 0; i <= Site::kFiles; ++i) todo_.push_back(i);
  }

  bool done() const { return loaded_ == Site::kFiles + 1; }
  const std::string& failures() const { return failures_; }
  /// Requests on fresh connections that were closed before an answer.
  std::size_t unanswered() const { return unanswered_; }

  void step() {
    for (Slot& slot : slots_) {
      if (slot.busy) receive(slot);
      if (slot.busy || todo_.empty()) continue;
      slot.fresh = !slot.open || slot.client.closed();
      if (slot.fresh) slot.client = server_.sim.connect(kPort, from_);
      slot.file = todo_.back();
      todo_.pop_back();
      slot.answer.clear();
      slot.open = slot.busy = true;
      slot.client.send(get(Site::path_of(slot.file), keep_alive_ ? "" : "Connection: close\r\n"));
    }
  }

 private:
  struct Slot {
    SimClient client;
    std::string answer;
    std::size_t file = 0;
    bool open = false;
    bool fresh = false;
    bool busy = false;
  };

  void receive(Slot& slot) {
    slot.answer.append(slot.client.received());
    slot.client.consume(slot.client.received().size());
    const std::string_view content = site_.content_of(slot.file);
    const std::string_view body = body_of(slot.answer);
    if (body.size() == content.size()) {
      if (status_of(slot.answer) != 200 || body != content) fail(slot, "wrong");
      ++loaded_;
      slot.busy = false;
      slot.open = keep_alive_;
    } else if (slot.client.closed()) {
      if (!slot.answer.empty()) fail(slot, "cut");
      if (slot.fresh) ++unanswered_;
      todo_.push_back(slot.file);
      slot.open = slot.busy = false;
    }
  }
  void fail(const Slot& slot, std::string_view what) {
    failures_.append(Site::path_of(slot.file)).append(": ").append(what).append("; ");
  }

  SimServer& server_;
  const Site& site_;
  const Endpoint from_;
  const bool keep_alive_;
  std::array<Slot, 6> slots_;
  std::vector<std::size_t> todo_;
  std::size_t loaded_ = 0;
  std::size_t unanswered_ = 0;
  std::string failures_;
};

void load(std::size_t tabs_at_once, bool keep_alive) {
  static const Site site;
  static StaticApp<kSmall> app;
  static const bool added = [] {
    app.get("/static/<path:name>",
            [](Request&, std::string_view name) { return send_file(name, {.root = "static"}); });
    app.get("/value", [](Request& req) -> Task<std::string_view> {
      co_await sleep_for(5ms);
      co_return req.format("{:.2f}", 21.5);
    });
    return true;
  }();
  EXPECT_TRUE(added);
  SimServer server(app, {.latency = 2ms, .receive_window = 5840, .refers_to_written_bytes = true});
  site.add_to(server);
  for (int round = 0; round < 5; ++round) {
    std::vector<Tab> tabs;
    tabs.reserve(tabs_at_once);
    for (std::size_t i = 0; i < tabs_at_once; ++i) {
      tabs.emplace_back(server, site, "10.0.0." + std::to_string(i + 1), keep_alive);
    }
    const TimePoint end = server.sim.clock().now() + 30s;
    const auto done = [&] {
      return std::all_of(tabs.begin(), tabs.end(), [](const Tab& tab) { return tab.done(); });
    };
    while (!done() && server.sim.clock().now() < end) {
      for (Tab& tab : tabs) tab.step();
      server.loop.turn(1ms);
    }
    EXPECT_TRUE(done()) << "not within half a minute";
    for (const Tab& tab : tabs) {
      EXPECT_EQ(tab.failures(), "");
      EXPECT_EQ(tab.unanswered(), 0U);
    }
  }
  const Stats stats = server.stats();
  EXPECT_EQ(stats.refused, 0U);
  EXPECT_EQ(stats.client_errors + stats.server_errors, 0U);
  EXPECT_EQ(stats.exchanges_high_water, tabs_at_once == 1 ? 1U : 2U) << "one exchange is left to others";
  EXPECT_GT(stats.queue_high_water, 0U) << "nobody had to wait: nothing was tested";
}

TEST(SmallApp, ServesAPageToABrowser) {
  load(1, true);
  load(1, false);
}

TEST(SmallApp, ServesPagesToMoreBrowsersThanItHasConnectionsFor) {
  load(3, true);
  load(3, false);
}

}  // namespace
}  // namespace microdot_test
