#include <microdot/testing/test_client.hpp>

#include <algorithm>
#include <charconv>
#include <memory>

#include <microdot/http/chars.hpp>

namespace microdot::inline MICRODOT_ABI {

namespace {

constexpr std::uint16_t kPort = 80;
constexpr std::string_view kNoAnswer = "no answer in time";

/// Takes an answer apart as it comes.
class AnswerParser {
 public:
  /// `head_only`: to HEAD. `stream`: what begins a live stream is complete with its head.
  AnswerParser(bool head_only, bool stream) : head_only_(head_only), stream_(stream) {}

  /// Whether the answer is complete in `bytes`, or given up. `ended`: nothing more comes.
  bool parse(std::string_view bytes, bool ended) {
    size_ = 0;
    answer_ = {};
    std::size_t head_end = bytes.find("\r\n\r\n");
    // Interim answers (100 Continue) are passed over.
    while (head_end != std::string_view::npos && bytes.substr(size_, 11) == "HTTP/1.1 10" &&
           bytes.substr(size_, 12) != "HTTP/1.1 101") {
      size_ = head_end + 4;
      head_end = bytes.find("\r\n\r\n", size_);
    }
    if (head_end == std::string_view::npos) return ended && fail("the connection ended before an answer");
    parse_head(bytes.substr(size_, head_end + 2 - size_));
    size_ = head_end + 4;
    return parse_body(bytes, ended);
  }
  TestResponse& answer() { return answer_; }
  std::size_t size() const { return size_; }

 private:
  bool fail(std::string_view error) {
    answer_.error = error;
    answer_.status_code = 0;
    return true;
  }
  void parse_head(std::string_view head) {
    std::size_t end = head.find("\r\n");
    const std::string_view line = head.substr(0, end);
    std::from_chars(line.data() + 9, line.data() + 12, answer_.status_code);
    answer_.reason = line.size() > 13 ? line.substr(13) : std::string_view{};
    while (end + 2 < head.size()) {
      head.remove_prefix(end + 2);
      end = head.find("\r\n");
      const std::string_view field = head.substr(0, end);
      const std::size_t colon = field.find(':');
      answer_.headers.add(field.substr(0, colon), field.substr(std::min(colon + 2, field.size())));
    }
  }
  bool parse_body(std::string_view bytes, bool ended) {
    const int status = answer_.status_code;
    if (head_only_ || status == 101 || status == 204 || status == 304) return true;
    if (stream_ && answer_.headers["Content-Type"].starts_with("text/event-stream")) return true;
    if (answer_.headers["Transfer-Encoding"] == "chunked") return parse_chunks(bytes, ended);
    if (!answer_.headers.contains("Content-Length")) {
      if (!ended) return false;
      answer_.text = bytes.substr(size_);
      size_ = bytes.size();
      return true;
    }
    const std::string_view text = answer_.headers["Content-Length"];
    std::size_t length = 0;
    std::from_chars(text.data(), text.data() + text.size(), length);
    if (bytes.size() - size_ < length) return ended && fail("the body ended early");
    answer_.text = bytes.substr(size_, length);
    size_ += length;
    return true;
  }
  bool parse_chunks(std::string_view bytes, bool ended) {
    for (;;) {
      const std::size_t line = bytes.find("\r\n", size_);
      if (line == std::string_view::npos) return ended && fail("the body ended early");
      std::size_t length = 0;
      std::from_chars(bytes.data() + size_, bytes.data() + line, length, 16);
      if (bytes.size() < line + 2 + length + 2) return ended && fail("the body ended early");
      answer_.text += bytes.substr(line + 2, length);
      size_ = line + 2 + length + 2;
      if (length == 0) return true;
    }
  }

  bool head_only_;
  bool stream_;
  std::size_t size_ = 0;
  TestResponse answer_;
};

}  // namespace

std::string_view TestHeaders::operator[](std::string_view name) const noexcept {
  for (const auto& [field, value] : fields_) {
    if (equals_ignore_case(field, name)) return value;
  }
  return {};
}

std::size_t TestHeaders::count(std::string_view name) const noexcept {
  return static_cast<std::size_t>(std::count_if(fields_.begin(), fields_.end(), [&](const auto& field) {
    return equals_ignore_case(field.first, name);
  }));
}

std::vector<std::string> TestHeaders::getlist(std::string_view name) const {
  std::vector<std::string> values;
  for (const auto& [field, value] : fields_) {
    if (equals_ignore_case(field, name)) values.push_back(value);
  }
  return values;
}

/// Runs `start_server` as the loop's main strand.
class TestClient::Server final : private Strand::Owner {
 public:
  Server(App& app, Loop& loop, const ServerOptions& options)
      : strand_(*this, task_pool()), task_(app.start_server(options)) {
    strand_.start(loop, task_.handle());
  }
  bool done() const noexcept { return done_; }

 private:
  void on_finished(Strand&) noexcept override { done_ = true; }
  void on_stopped(Strand&) noexcept override { done_ = true; }

  Strand strand_;
  Task<Result<void>> task_;
  bool done_ = false;
};

namespace {

SimOptions with_files(SimOptions options) {
  if (options.files == nullptr) options.files = &system_port().files();
  return options;
}

ServerOptions at_port_80(ServerOptions options) {
  options.host = "";
  options.port = kPort;
#if MICRODOT_HOSTED
  options.workers = {};  // one: the simulator's loop
#endif
  return options;
}

}  // namespace

TestClient::TestClient(App& app, const TestClientOptions& options)
    : app_(&app),
      timeout_(options.timeout),
      sim_(with_files(options.sim)),
      loop_(sim_),
      server_(new Server(app, loop_, at_port_80(options.server))) {
  while (!app.running() && !server_->done()) loop_.turn(Duration{0});
}

TestClient::~TestClient() {
  connection_ = {};
  app_->shutdown();
  while (!server_->done()) loop_.turn(std::chrono::seconds(1));
  delete server_;
}

bool TestClient::turn(TimePoint deadline) {
  const Duration left = deadline - sim_.clock().now();
  if (left <= Duration{0}) return false;
  loop_.turn(left);
  return !sim_.stuck();
}

namespace {

bool has(TestClient::HeaderList headers, std::string_view name) {
  return std::any_of(headers.begin(), headers.end(),
                     [&](const Header& field) { return equals_ignore_case(field.name, name); });
}

}  // namespace

// Up to the empty line.
std::string TestClient::head(std::string_view method, std::string_view url, HeaderList headers) const {
  std::string text;
  text.append(method).append(" ").append(url).append(" HTTP/1.1\r\n");
  if (!has(headers, "Host")) text += "Host: localhost\r\n";
  if (!has(headers, "Cookie") && !cookies.empty()) {
    text += "Cookie: ";
    for (std::size_t i = 0; i < cookies.size(); ++i) {
      text.append(i == 0 ? "" : "; ").append(cookies[i].first).append("=").append(cookies[i].second);
    }
    text += "\r\n";
  }
  for (const Header& field : headers) text.append(field.name).append(": ").append(field.value).append("\r\n");
  return text;
}

TestResponse TestClient::request(std::string_view method, std::string_view url, std::string_view body,
                                 HeaderList headers) {
  std::string text = head(method, url, headers);
  const bool bodied = !body.empty() || method == "POST" || method == "PUT" || method == "PATCH";
  if (bodied && !has(headers, "Content-Length") && !has(headers, "Transfer-Encoding")) {
    text.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
  }
  text.append("\r\n").append(body);
  if (!connected_ || connection_.closed()) {
    connection_ = sim_.connect(kPort);
    connected_ = true;
  }
  TestResponse answer = exchange(connection_, text, method == "HEAD", false);
  if (answer.error == kNoAnswer) {
    connection_ = {};
    connected_ = false;
  }
  return answer;
}

TestWebSocket TestClient::websocket(std::string_view url, HeaderList headers, std::string_view subprotocols) {
  std::string text = head("GET", url, headers);
  text +=
      "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  if (!subprotocols.empty()) text.append("Sec-WebSocket-Protocol: ").append(subprotocols).append("\r\n");
  SimClient connection = sim_.connect(kPort);
  const TestResponse answer = exchange(connection, text + "\r\n", false, true);
  return {*this, std::move(connection), answer.status_code,
          std::string(answer.headers["Sec-WebSocket-Protocol"]),
          std::string(answer.headers["Sec-WebSocket-Extensions"])};
}

TestEvents TestClient::events(std::string_view url, HeaderList headers) {
  SimClient connection = sim_.connect(kPort);
  const TestResponse answer =
      exchange(connection, head("GET", url, headers) + "Accept: text/event-stream\r\n\r\n", false, true);
  return {*this, std::move(connection), answer.status_code};
}

TestResponse TestClient::exchange(SimClient& connection, std::string_view text, bool head_only, bool stream) {
  connection.send(text);
  const TimePoint deadline = sim_.clock().now() + timeout_;
  AnswerParser parser(head_only, stream);
  std::size_t seen = SIZE_MAX;
  for (;;) {
    const bool ended = connection.closed();
    if (ended || connection.received().size() != seen) {
      seen = connection.received().size();
      if (parser.parse(connection.received(), ended)) break;
    }
    if (!turn(deadline)) {
      parser.answer().status_code = 0;
      parser.answer().error = kNoAnswer;
      return std::move(parser.answer());
    }
  }
  TestResponse answer = std::move(parser.answer());
  connection.consume(parser.size());
  // The end of the connection, or of the request's last steps, comes right behind the answer.
  for (int i = 0; i < 4; ++i) loop_.turn(Duration{0});
  answer.connection_closed = connection.closed();
  keep_cookies(answer);
  return answer;
}

void TestClient::keep_cookies(const TestResponse& response) {
  for (const std::string& field : response.headers.getlist("Set-Cookie")) {
    const std::size_t end = field.find(';');
    const std::string_view pair = std::string_view(field).substr(0, end);
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string name(pair.substr(0, equals));
    std::erase_if(cookies, [&](const auto& cookie) { return cookie.first == name; });
    const std::string_view attributes =
        end == std::string::npos ? std::string_view{} : std::string_view(field).substr(end);
    const std::size_t max_age = attributes.find("Max-Age=");
    const bool gone = max_age != std::string_view::npos &&
                      (attributes.substr(max_age + 8, 1) == "0" || attributes.substr(max_age + 8, 1) == "-");
    if (!gone) cookies.emplace_back(name, pair.substr(equals + 1));
  }
}

std::string TestClient::raw(std::string_view bytes) {
  SimClient client = sim_.connect(kPort);
  client.send(bytes);
  const TimePoint deadline = sim_.clock().now() + timeout_;
  while (!client.closed() && turn(deadline)) {
  }
  return std::string(client.received());
}

void TestClient::run_for(Duration time) {
  const TimePoint end = sim_.clock().now() + time;
  while (sim_.clock().now() < end) loop_.turn(end - sim_.clock().now());
}

}  // namespace microdot::inline MICRODOT_ABI
