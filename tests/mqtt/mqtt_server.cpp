// A web server beside an MQTT client, driven by HTTP. Prints "listening on PORT" and serves until SIGTERM.
//
//   mqtt_server [NAME=VALUE]…     host port id user password ca check will clean keep_alive backoff
//   (milliseconds)
//                                 outbox (bytes); receiving=0: nobody takes what an inbox gets;
//                                 goodbye=0: ends without disconnect
//
//   GET  /                        "Hello"
//   GET  /state                   a line of JSON
//   GET  /received?topic=T        the payloads that came for T, a line each; without a topic of all, with
//   topics POST /subscribe?filter=F&qos=N POST /publish?topic=T&qos=N&retain=1&refuse=1     the body; refuse:
//   without waiting POST /load?topic=T&qos=N&count=N&every=MICROSECONDS   publishes the numbers from 1 on
//   POST /inbox?filter=F&qos=N    an inbox that makes the broker wait, and nobody takes from it
//   POST /take                    … until now: to /received

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <microdot/ext/mqtt.hpp>
#include <microdot/microdot.hpp>

namespace {

using namespace microdot;
using namespace std::chrono_literals;

struct Received {
  std::string topic;
  std::string payload;
  int qos;
  bool retain;
};

struct Arguments {
  int argc;
  char** argv;
  std::string_view get(std::string_view name, std::string_view missing) const {
    for (int i = 1; i < argc; ++i) {
      const std::string_view text = argv[i];
      if (text.size() > name.size() && text.starts_with(name) && text[name.size()] == '=')
        return text.substr(name.size() + 1);
    }
    return missing;
  }
  int get(std::string_view name, int missing) const {
    const std::string_view text = get(name, std::string_view());
    return text.empty() ? missing : std::atoi(text.data());
  }
};

class Program {
 public:
  explicit Program(const Arguments& arguments)
      : mqtt_(options(arguments), limits(arguments)), says_goodbye_(arguments.get("goodbye", 1) != 0) {
    app_.get("/", [](Request&) { return "Hello"; });
    app_.get("/state", [this](Request&) { return state(); });
    app_.get("/received", [this](Request& req) { return received(req.args["topic"]); });
    app_.post("/subscribe", [this](Request& req) -> Response {
      const auto done = mqtt_.subscribe(
          req.args["filter"], [this](const MqttMessage& message) { note(message); },
          static_cast<std::uint8_t>(req.args.get<int>("qos", 0)));
      return answer(done);
    });
    app_.post("/publish", [this](Request& req) -> Task<Response> {
      const MqttPublishOptions how{.qos = static_cast<std::uint8_t>(req.args.get<int>("qos", 0)),
                                   .retain = req.args.get<int>("retain", 0) != 0};
      if (req.args.get<int>("refuse", 0) != 0)
        co_return answer(mqtt_.try_publish(req.args["topic"], req.body(), how));
      const auto done = co_await mqtt_.publish(req.args["topic"], req.body(), how);
      co_return answer(done);
    });
    app_.post("/load", [this](Request& req) -> Response {
      create_task("load", load, this, std::string(req.args["topic"]), req.args.get<int>("qos", 0),
                  req.args.get<int>("count", 100), req.args.get<int>("every", 1000));
      return "ok";
    });
    app_.post("/inbox", [this](Request& req) -> Response {
      inbox_ = std::make_unique<Inbox>(
          mqtt_, req.args["filter"],
          MqttInboxOptions{.qos = static_cast<std::uint8_t>(req.args.get<int>("qos", 0)),
                           .when_full = MqttWhenFull::wait});
      return "ok";
    });
    app_.post("/take", [this](Request&) -> Response {
      create_task("take", take, this);
      return "ok";
    });
  }

  Task<int> serve() {
    auto server = create_task("server", app_.start_server({.host = "127.0.0.1", .port = 0}));
    while (!app_.running() && !server.done()) co_await sleep_for(1ms);
    if (server.done()) co_return 1;
    (void)co_await mqtt_.connect();
    std::printf("listening on %u\n", static_cast<unsigned>(app_.port()));
    std::fflush(stdout);
    co_await server;
    if (!says_goodbye_) co_return 0;
    const auto left = co_await mqtt_.disconnect();
    if (!left) std::puts("messages are left");
    co_return 0;
  }

 private:
  using Inbox = MqttInbox<4096>;

  static MqttOptions options(const Arguments& arguments) {
    MqttOptions options{.host = arguments.get("host", "127.0.0.1"),
                        .port = static_cast<std::uint16_t>(arguments.get("port", 1883)),
                        .client_id = arguments.get("id", ""),
                        .username = arguments.get("user", ""),
                        .password = arguments.get("password", ""),
                        .clean_session = arguments.get("clean", 1) != 0,
                        .keep_alive = std::chrono::seconds(arguments.get("keep_alive", 30)),
                        .connect_timeout = std::chrono::milliseconds(arguments.get("timeout", 1000)),
                        .max_backoff = std::chrono::milliseconds(arguments.get("backoff", 500))};
    options.will.topic = arguments.get("will", "");
    options.will.payload = "gone";
    options.will.qos = 1;
    options.tls.ca_file = arguments.get("ca", "");
    options.tls.check_host_name = arguments.get("check", 1) != 0;
    return options;
  }
  static MqttLimits limits(const Arguments& arguments) {
    return {.outbox_bytes = static_cast<std::uint32_t>(arguments.get("outbox", 64 * 1024)),
            .message_bytes = 256 * 1024,
            .when_full = arguments.get("drop", 0) != 0 ? MqttWhenFull::drop_oldest : MqttWhenFull::wait};
  }

  static Response answer(const Result<void>& done) {
    if (done) return "ok";
    return Response(to_string(done.error()), 400);
  }

  void note(const MqttMessage& message) {
    received_.push_back(
        {std::string(message.topic), std::string(message.payload), message.qos, message.retain});
  }

  std::string received(std::string_view topic) const {
    std::string lines;
    for (const Received& one : received_) {
      if (topic.empty()) {
        lines += one.topic + ' ' + std::to_string(one.qos) + (one.retain ? " retained " : " ");
      } else if (topic != one.topic) {
        continue;
      }
      lines += one.payload + '\n';
    }
    return lines;
  }

  std::string state() const {
    const MqttStats stats = mqtt_.stats();
    const auto number = [](const char* name, std::uint64_t value) {
      return std::string(", \"") + name + "\": " + std::to_string(value);
    };
    return std::string("{\"connected\": ") + (mqtt_.connected() ? "true" : "false") + ", \"reason\": \"" +
           std::string(stats.last_reason) + '"' + number("connects", stats.connects) +
           number("failures", stats.failures) + number("losses", stats.losses) +
           number("denied", stats.denied) + number("published", stats.published) +
           number("acknowledged", stats.acknowledged) + number("dropped", stats.dropped) +
           number("refused", stats.refused) + number("received", stats.received) +
           number("inbox_dropped", stats.inbox_dropped) + number("outbox", stats.outbox_bytes) +
           number("inbox", inbox_ ? inbox_->used() : 0) + "}\n";
  }

  static Task<> load(Program* program, std::string topic, int qos, int count, int every) {
    for (int i = 1; i <= count; ++i) {
      const std::string text = std::to_string(i);
      const MqttPublishOptions how{.qos = static_cast<std::uint8_t>(qos)};
      const auto done = co_await program->mqtt_.publish(topic, text, how);
      if (!done && done.error() == Error::closed) co_return;
      if (every != 0) co_await sleep_for(std::chrono::microseconds(every));
    }
  }

  static Task<> take(Program* program) {
    while (auto message = co_await program->inbox_->next()) program->note(*message);
  }

  App app_{Limits{.max_content_length = 1 << 20, .max_body_length = 128 * 1024}};
  MqttClient mqtt_;
  bool says_goodbye_;
  std::unique_ptr<Inbox> inbox_;
  std::vector<Received> received_;
};

}  // namespace

int main(int argc, char** argv) {
  Program program(Arguments{argc, argv});
  return run(program.serve());
}
