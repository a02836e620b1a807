/// The client of scripts/bench: measures a server that runs already, by its processes' clocks, and prints
/// one line of JSON. Every byte of every answer is compared; a wrong one ends it with the reason.

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "load.hpp"
#include "processes.hpp"
#include "raw_server.hpp"
#include "system.hpp"
#include "transfer.hpp"
#include "workloads.hpp"

namespace {

struct Options {
  std::string what;
  std::string workload = "hello";
  std::string files;
  std::uint16_t port = 0;
  std::uint16_t like = 0;
  std::vector<pid_t> pids;
  double seconds = 0.3;
  int connections = 64;
  double rate = 0;
};

bench::Case find_case(const std::string& key) {
  for (const bench::Case& test : bench::all_cases()) {
    if (test.key == key) return test;
  }
  bench::fail("no workload is called " + key);
}

/// The ceiling for one workload, whose answers are those of the server at `like`.
[[noreturn]] void serve_ceiling(const Options& options) {
  const bench::Case test = find_case(options.workload);
  const bench::Answer answer = bench::fetch(options.like, test.request, test.body);
  bench::RawServer(test.request.size(), answer.bytes(), static_cast<std::size_t>(test.at_once))
      .run([](std::uint16_t port) {
        std::printf("%d\n", port);
        std::fflush(stdout);
      });
  std::exit(0);
}

/// Requests as fast as they are answered.
void closed_loop(const Options& options) {
  const bench::Case test = find_case(options.workload);
  const bench::Answer answer = bench::fetch(options.port, test.request, test.body);
  bench::Load load(options.port, test.request, answer, options.connections, test.at_once);
  load.run(options.seconds / 10);
  const bench::Usage before = bench::usage(options.pids);
  const double began = bench::seconds();
  const long requests = load.run(options.seconds);
  const double took = bench::seconds() - began;
  const bench::Usage used = bench::usage(options.pids) - before;
  std::printf("{\"requests\": %ld, \"seconds\": %.6f, \"cpu\": %.9f, \"user\": %.3f, \"rss\": %ld}\n",
              requests, took, used.cpu, used.user, bench::resident(options.pids));
}

/// Answers too large to be kept, or in chunks: the body is compared as it comes.
void transfers(const Options& options) {
  const std::string& name = options.workload;
  std::string line = "GET /" + name;
  std::string file = options.files + "/pieces.txt";
  if (name != "stream" && name != "plain") {
    line = "GET /static/" + name + ".txt";
    file = options.files + "/" + name + ".txt";
  }
  const bench::Mapping body(file);
  const long before_memory = bench::resident(options.pids);
  bench::Transfers load(options.port, bench::request_to(line), body.bytes(), options.connections);
  load.run(0);
  const bench::Usage before = bench::usage(options.pids);
  const double began = bench::seconds();
  const long answers = load.run(options.seconds);
  const double took = bench::seconds() - began;
  const bench::Usage used = bench::usage(options.pids) - before;
  std::printf(
      "{\"requests\": %ld, \"seconds\": %.6f, \"cpu\": %.9f, \"user\": %.3f, \"bytes\": %.0f, \"rss\": %ld, "
      "\"rss_before\": %ld}\n",
      answers, took, used.cpu, used.user,
      static_cast<double>(answers) * static_cast<double>(body.bytes().size()), bench::resident(options.pids),
      before_memory);
}

/// Connections that have had one answer each, and then say nothing.
void idle(const Options& options) {
  const bench::Case test = find_case("hello");
  const bench::Answer answer = bench::fetch(options.port, test.request, test.body);
  const long before = bench::resident(options.pids);
  long with = 0;
  bench::Usage used;
  {
    bench::Load load(options.port, test.request, answer, options.connections, 1);
    load.run(0);
    usleep(200'000);
    with = bench::resident(options.pids);
    const bench::Usage began = bench::usage(options.pids);
    usleep(static_cast<useconds_t>(options.seconds * 1e6));
    used = bench::usage(options.pids) - began;
  }
  long after = 0;
  for (int i = 0; i < 10; ++i) {  // what is given back may take a moment
    usleep(200'000);
    after = bench::resident(options.pids);
  }
  std::printf(
      "{\"connections\": %d, \"rss_before\": %ld, \"rss_with\": %ld, \"rss_after\": %ld, \"idle_cpu\": "
      "%.6f}\n",
      options.connections, before, with, after, used.cpu / options.seconds);
}

/// Requests at set times, whether answers come or not: a time counts from when its request was due, so a
/// server that stops for a while pays for all who would have asked meanwhile.
void open_loop(const Options& options) {
  const bench::Case test = find_case("hello");
  const bench::Answer answer = bench::fetch(options.port, test.request, test.body);
  struct Connection {
    int fd = -1;
    double due = 0;
    std::size_t got = 0;
    std::vector<char> bytes;
  };
  std::vector<Connection> connections(static_cast<std::size_t>(options.connections));
  const int epoll = bench::check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  std::deque<Connection*> idle;  // the one that waited longest is next, so all take part
  for (Connection& connection : connections) {
    connection.fd = bench::connect_to(options.port);
    connection.bytes.resize(answer.size() + 1);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &connection;
    bench::check(epoll_ctl(epoll, EPOLL_CTL_ADD, connection.fd, &event), "epoll_ctl");
    idle.push_back(&connection);
  }
  std::vector<float> times;
  const double warm_up = std::min(0.2, options.seconds / 5);
  const auto all = static_cast<long>((options.seconds + warm_up) * options.rate);
  times.reserve(static_cast<std::size_t>(all));
  const double began = bench::seconds() + 0.01;
  const double end = began + options.seconds + warm_up + 5;
  double latest = 0;  // how far behind its own times the client was while connections were free
  for (long sent = 0, answered = 0; answered < all;) {
    double now = bench::seconds();
    if (now > end) bench::fail("answers are missing 5 s after the end");
    for (int burst = 0; sent < all && !idle.empty() && burst < 16; ++burst) {
      const double due = began + static_cast<double>(sent) / options.rate;
      if (due > now) break;
      Connection& connection = *idle.front();
      idle.pop_front();
      connection.due = due;
      connection.got = 0;
      latest = std::max(latest, now - due);
      const ssize_t count = send(connection.fd, test.request.data(), test.request.size(), MSG_NOSIGNAL);
      if (count != static_cast<ssize_t>(test.request.size())) bench::fail("send");
      ++sent;
    }
    epoll_event events[64];
    const int count = epoll_wait(epoll, events, 64, 0);
    for (int i = 0; i < count; ++i) {
      Connection& connection = *static_cast<Connection*>(events[i].data.ptr);
      const ssize_t got = recv(connection.fd, connection.bytes.data() + connection.got,
                               connection.bytes.size() - connection.got, MSG_DONTWAIT);
      if (got < 0 && errno == EAGAIN) continue;
      if (got <= 0) bench::fail("the server closed a connection");
      connection.got += static_cast<std::size_t>(got);
      if (connection.got < answer.size()) continue;
      errno = 0;
      if (connection.got != answer.size() || !answer.matches(connection.bytes.data()))
        bench::fail("wrong answer");
      now = bench::seconds();
      if (connection.due >= began + warm_up) times.push_back(static_cast<float>(now - connection.due));
      ++answered;
      idle.push_back(&connection);
    }
  }
  std::sort(times.begin(), times.end());
  const auto at = [&](double share) {
    return times.empty()
               ? 0.0
               : static_cast<double>(times[std::min(
                     times.size() - 1, static_cast<std::size_t>(share * static_cast<double>(times.size())))]);
  };
  std::printf(
      "{\"requests\": %zu, \"rate\": %.0f, \"p50\": %.7f, \"p99\": %.7f, \"p999\": %.7f, \"most\": %.7f, "
      "\"client_behind\": %.7f}\n",
      times.size(), options.rate, at(0.5), at(0.99), at(0.999), at(1), latest);
}

[[noreturn]] void usage() {
  std::fputs(
      "usage: load ceiling --workload KEY --like PORT      serves for ever; prints its port\n"
      "       load requests|transfers|idle|latency --port PORT --pid PID[,PID…]\n"
      "            [--workload KEY] [--seconds S] [--connections N] [--rate N] [--files FOLDER]\n"
      "       load files --files FOLDER [--workload 1g]    makes what is to be served\n"
      "scripts/bench runs it.\n",
      stderr);
  std::exit(2);
}

Options parse(int argc, char** argv) {
  Options options;
  if (argc < 2) usage();
  options.what = argv[1];
  for (int i = 2; i < argc; i += 2) {
    if (i + 1 == argc) usage();
    const std::string_view name = argv[i];
    const std::string value = argv[i + 1];
    if (name == "--workload") {
      options.workload = value;
    } else if (name == "--files") {
      options.files = value;
    } else if (name == "--port") {
      options.port = static_cast<std::uint16_t>(std::atoi(value.c_str()));
    } else if (name == "--like") {
      options.like = static_cast<std::uint16_t>(std::atoi(value.c_str()));
    } else if (name == "--pid") {
      for (std::size_t at = 0; at < value.size(); at = value.find(',', at) + 1) {
        options.pids.push_back(std::atoi(value.c_str() + at));
        if (value.find(',', at) == std::string::npos) break;
      }
    } else if (name == "--seconds") {
      options.seconds = std::atof(value.c_str());
    } else if (name == "--connections") {
      options.connections = std::atoi(value.c_str());
    } else if (name == "--rate") {
      options.rate = std::atof(value.c_str());
    } else {
      usage();
    }
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  if (options.what == "ceiling") serve_ceiling(options);
  if (options.what == "files") {
    bench::make_files(options.files, options.workload == "1g");
  } else if (options.what == "requests") {
    closed_loop(options);
  } else if (options.what == "transfers") {
    transfers(options);
  } else if (options.what == "idle") {
    idle(options);
  } else if (options.what == "latency" && options.rate > 0) {
    open_loop(options);
  } else {
    usage();
  }
  return 0;
}
