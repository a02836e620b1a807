#include "site.hpp"

#include <functional>
#include <stdexcept>
#include <utility>

namespace sim {

using namespace microdot;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kTextBytes = 64 * 1024;

/// Counts itself while it lives.
class Counted {
 public:
  explicit Counted(int& count) noexcept : count_(&count) { ++*count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { --*count_; }

 private:
  int* count_;
};

Site* reported_to = nullptr;  // background tasks have no other way to say it

Task<int> dive(Counts& counts, int depth) {
  const Counted frame(counts.frames);
  if (depth == 0) {
    co_await sleep_for(1ms);
    co_return 0;
  }
  const int below = co_await dive(counts, depth - 1);
  co_return below + 1;
}

Task<int> nap(Counts& counts, int ms) {
  const Counted frame(counts.frames);
  co_await sleep_for(std::chrono::milliseconds(ms));
  co_return ms;
}

Task<int> abort_below(Counts& counts, int status) {
  const Counted frame(counts.frames);
  co_await sleep_for(1ms);
  co_await microdot::abort(status, "from below");
  co_return 0;
}

Task<Result<void>> doomed(Counts& counts, int ms) {
  const Counted frame(counts.frames);
  co_await sleep_for(std::chrono::milliseconds(ms));
#if MICRODOT_EXCEPTIONS
  if (ms % 2 != 0) throw std::runtime_error("doomed");
#endif
  co_return Error::io;
}

Task<int> save(Counts& counts, int ms) {
  ++counts.saves;
  const Counted frame(counts.frames);
  co_await sleep_for(std::chrono::milliseconds(ms));
  --counts.saves;
  co_return ms;
}

Task<Response> read_all(Counts& counts, Request& req) {
  const Counted frame(counts.frames);
  std::size_t size = 0;
  std::uint64_t sum = hash({});
  for (;;) {
    const Result<std::string_view> part = co_await req.stream().next();
    if (!part) co_return Response("cut", part.error() == Error::too_large ? 413 : 400);
    if (part->empty()) break;
    size += part->size();
    sum = hash(*part, sum);
  }
  co_return Response(req.format("{} {}", size, sum));
}

Task<Response> read_some(Counts& counts, Request& req) {
  const Counted frame(counts.frames);
  char part[40];
  const Result<std::size_t> size = co_await req.stream().read(part);
  if (!size) co_return Response("cut", size.error() == Error::too_large ? 413 : 400);
  co_return Response("enough");
}

Generator<std::string_view> pieces(Counts& counts, int count, int size, int ms) {
  const Counted frame(counts.frames);
  for (int i = 0; i < count; ++i) {
    if (ms != 0) co_await sleep_for(std::chrono::milliseconds(ms));
    co_yield text_at(static_cast<std::size_t>(i * size), static_cast<std::size_t>(size));
  }
}

Generator<std::string_view> cut_short(Counts& counts, int count, int how) {
  const Counted frame(counts.frames);
  for (int i = 0; i < count; ++i) co_yield "piece";
  co_await sleep_for(1ms);
#if MICRODOT_EXCEPTIONS
  if (how % 2 != 0) throw std::runtime_error("cut short");
#endif
  co_await microdot::abort(500 + how % 2);
}

}  // namespace

std::string_view text_at(std::size_t offset, std::size_t size) {
  static const std::string text = [] {
    std::string made;
    for (unsigned i = 0; made.size() < kTextBytes; ++i) made.append(std::to_string(i)).append(" ");
    return made;
  }();
  return std::string_view(text).substr(offset, size);
}

std::uint64_t hash(std::string_view bytes, std::uint64_t sum) noexcept {
  for (const char c : bytes) sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return sum;
}

std::string digest(std::string_view body) {
  return std::to_string(body.size()) + " " + std::to_string(hash(body));
}

std::string Counts::check() const {
  const auto say = [](int count, const char* what) { return std::to_string(count) + what; };
  if (requests != 0) return say(requests, " requests did not run their on_end");
  if (objects != 0) return say(objects, " objects of requests are left");
  if (frames != 0) return say(frames, " coroutines did not end");
  if (!wrong.empty()) return wrong;
  if (doomed != 0) return say(doomed, " failed tasks were not reported");
  if (saves != 0) return say(saves, " shielded tasks were not finished");
  return {};
}

Site::Site(const Plan& plan) : app(plan.limits) {
  reported_to = this;
  on_task_error([](const TaskError& error) {
    Site& site = *reported_to;
    if (error.reason.find("Limits::background_tasks") != std::string_view::npos) {
      ++site.counts.refused_tasks;
      if (site.app.stats().tasks_of_requests != site.app.limits().background_tasks)
        site.counts.wrong = "a task is refused though there are not too many";
    } else if (error.name == "doomed") {
      --site.counts.doomed;
    }
  });
  watch(plan);
  const auto tag = [](Request& req, Response& res) {
    if (const std::string_view value = req.headers["X-Tag"]; !value.empty()) res.header("X-Tag", value);
  };
  app.after_request(tag);
  app.after_error_request(tag);
  add_plain();
  add_coroutines();
  add_streams();
}

void Site::watch(const Plan& plan) {
  app.before_request([this, &plan](Request& req) {
    ++counts.handled;
    // Requests in hand have exchanges: no address may have them all.
    const std::uint8_t who = req.client_addr.address[3];
    if (req.on_end([this, who] {
          --counts.requests;
          --in_hand_[who];
        })) {
      ++counts.requests;
      const std::uint32_t most = plan.limits.exchanges;
      if (++in_hand_[who] == most && most != 1 && !plan.trusts(req.client_addr))
        counts.wrong = "one address has every exchange";
    }
    req.g_emplace<Counted>(counts.objects);
  });
  app.on_network_lost([this] { ++counts.lost; });
  app.on_network_up([this] { ++counts.up; });
}

Site::~Site() {
  on_task_error(nullptr);
  reported_to = nullptr;
}

void Site::attach(SimPort& port) {
  port_ = &port;
  for (const SiteFile& file : kFiles)
    port.add_file(file.name, text_at(file.offset, file.size), 1'600'000'000, file.in_place);
}

void Site::add_plain() {
  app.get("/hello", [](Request&) { return "Hello"; });
  app.get("/view/<int:offset>/<int:size>", [](Request&, int offset, int size) {
    return text_at(static_cast<std::size_t>(offset), static_cast<std::size_t>(size));
  });
  app.get("/owned/<int:offset>/<int:size>", [](Request&, int offset, int size) {
    return std::string(text_at(static_cast<std::size_t>(offset), static_cast<std::size_t>(size)));
  });
  app.get("/format/<int:offset>/<int:size>", [](Request& req, int offset, int size) {
    return req.format("<{}>", text_at(static_cast<std::size_t>(offset), static_cast<std::size_t>(size)));
  });
  app.get("/late", [](Request& req) {
    req.after_request([](Request&, Response& res) { res.header("X-Late", "yes"); });
    return "late";
  });
  app.get("/file/<int:i>",
          [](Request&, int i) -> Response { return send_file(kFiles[static_cast<std::size_t>(i)].name); });
  app.get("/abort/<int:status>",
          [](Request&, int status) -> Response { return microdot::abort(status, "no"); });
  app.get("/block/<int:ms>", [this](Request&, int ms) {
    blocked_ += std::chrono::milliseconds(ms);
    port_->advance(std::chrono::milliseconds(ms));
    return "blocked";
  });
  app.post("/echo", [](Request& req) { return Response(req.body()); });
#if MICRODOT_EXCEPTIONS
  app.get("/throw", [](Request&) -> Response { throw std::runtime_error("thrown"); });
  app.get("/throw_later", [this](Request&) -> Task<Response> {
    co_await nap(counts, 1);
    throw std::runtime_error("thrown later");
  });
#endif
}

void Site::add_coroutines() {
  app.get("/sleep/<int:ms>", [this](Request& req, int ms) -> Task<Response> {
    const Counted frame(counts.frames);
    co_await sleep_for(std::chrono::milliseconds(ms));
    co_return Response(req.format("slept {}", ms));
  });
  app.get("/deep/<int:depth>", [this](Request& req, int depth) -> Task<Response> {
    const int reached = co_await dive(counts, depth);
    co_return Response(req.format("depth {}", reached));
  });
  app.get("/gather/<int:ms>", [this](Request& req, int ms) -> Task<Response> {
    const auto [depth, slept] = co_await gather(dive(counts, 2), nap(counts, ms));
    co_return Response(req.format("{} and {}", depth, slept));
  });
  app.get("/abort_below/<int:status>", [this](Request&, int status) -> Task<Response> {
    co_await gather(nap(counts, 1000), abort_below(counts, status));
    co_return Response("not reached");
  });
  app.get("/timeout/<int:ms>", [this](Request&, int ms) -> Task<Response> {
    const auto slept = co_await wait_for(nap(counts, 3'600'000), std::chrono::milliseconds(ms));
    co_return Response(slept ? "slept" : "timeout");
  });
  app.get("/locked/<int:ms>", [this](Request&, int ms) -> Task<Response> {
    const Counted frame(counts.frames);
    const auto guard = co_await permits_.acquire();
    co_await sleep_for(std::chrono::milliseconds(ms));
    co_return Response("locked");
  });
  app.get("/never", [this](Request&) -> Task<Response> {
    const Counted frame(counts.frames);
    co_await never_.wait();
    co_return Response("not reached");
  });
  app.get("/busy", [this](Request&) -> Task<Response> {
    const Counted frame(counts.frames);
    for (;;) co_await sleep_for(5ms);
  });
  app.get("/task/<int:ms>", [this](Request&, int ms) {
    if (create_task("doomed", doomed, std::ref(counts), ms).state() == TaskState::running) ++counts.doomed;
    return "made";
  });
  app.get("/shield/<int:ms>", [this](Request& req, int ms) -> Task<Response> {
    const int slept = co_await shield(save, std::ref(counts), ms);
    co_return Response(req.format("saved {}", slept));
  });
}

void Site::add_streams() {
  app.post("/stream", [this](Request& req) { return read_all(counts, req); });
  app.post("/some", [this](Request& req) { return read_some(counts, req); });
  app.get("/pieces/<int:count>/<int:size>/<int:ms>",
          [this](Request&, int count, int size, int ms) { return pieces(counts, count, size, ms); });
  app.get("/cut/<int:count>/<int:how>",
          [this](Request&, int count, int how) { return cut_short(counts, count, how); });
}

}  // namespace sim
