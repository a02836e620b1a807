#pragma once
/// A client for tests of Apps: no sockets, no waiting, no threads. It runs the App on the simulator.

#include <chrono>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <microdot/app.hpp>
#include <microdot/async/loop.hpp>
#include <microdot/testing/sim_port.hpp>
#include <microdot/testing/test_streams.hpp>

namespace microdot::inline MICRODOT_ABI {

/// Names and values, looked up in any case.
class TestHeaders {
 public:
  /// The value of the first field called `name`; "" if there is none.
  std::string_view operator[](std::string_view name) const noexcept;
  bool contains(std::string_view name) const noexcept { return count(name) != 0; }
  std::size_t count(std::string_view name) const noexcept;
  /// All values of `name`, e.g. of Set-Cookie.
  std::vector<std::string> getlist(std::string_view name) const;
  void add(std::string_view name, std::string_view value) { fields_.emplace_back(name, value); }
  auto begin() const noexcept { return fields_.begin(); }
  auto end() const noexcept { return fields_.end(); }
  std::size_t size() const noexcept { return fields_.size(); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

/// What the App answered.
struct TestResponse {
  int status_code = 0;  ///< 0: no complete answer came; `error` says why.
  std::string reason;
  TestHeaders headers;
  std::string text;                ///< The body, after chunked decoding.
  std::string error;               ///< Empty if all went well.
  bool connection_closed = false;  ///< The server ended the connection after the answer.
};

/// How the App is run.
struct TestClientOptions {
  SimOptions sim = {};
  /// Virtual time that one answer may take.
  Duration timeout = std::chrono::hours(1);
  /// How the server is started: `.server = {.debug = true, .trusted_proxies = "127.0.0.1"}`. Its host and
  /// port are not asked for: it listens on every address, port 80.
  ServerOptions server = {};
};

/// Sends requests to an App and gives its answers. Time is virtual: a handler that sleeps for an hour answers
/// at once. Cookies that answers set are sent with later requests.
///
///     TestClient client(app);
///     auto res = client.get("/users/1");
///     EXPECT_EQ(res.status_code, 200);
///     EXPECT_EQ(res.text, "1");
///
/// The App's limits apply. Files are the simulator's (`sim().add_file`), else the system's.
class TestClient {
 public:
  using HeaderList = std::initializer_list<Header>;

  explicit TestClient(App& app, const TestClientOptions& options = {});
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;
  /// Shuts the server down.
  ~TestClient();

  TestResponse get(std::string_view url, HeaderList headers = {}) { return request("GET", url, {}, headers); }
  TestResponse head(std::string_view url, HeaderList headers = {}) {
    return request("HEAD", url, {}, headers);
  }
  TestResponse options(std::string_view url, HeaderList headers = {}) {
    return request("OPTIONS", url, {}, headers);
  }
  TestResponse post(std::string_view url, std::string_view body = {}, HeaderList headers = {}) {
    return request("POST", url, body, headers);
  }
  TestResponse put(std::string_view url, std::string_view body = {}, HeaderList headers = {}) {
    return request("PUT", url, body, headers);
  }
  TestResponse patch(std::string_view url, std::string_view body = {}, HeaderList headers = {}) {
    return request("PATCH", url, body, headers);
  }
  TestResponse delete_(std::string_view url, std::string_view body = {}, HeaderList headers = {}) {
    return request("DELETE", url, body, headers);
  }
  /// Any request. Host, Content-Length and Cookie are added unless given.
  TestResponse request(std::string_view method, std::string_view url, std::string_view body,
                       HeaderList headers = {});
  /// Sends bytes as they are on a connection of their own, and gives all that comes back until the connection
  /// ends or nothing more happens.
  std::string raw(std::string_view bytes);

  /// Opens a WebSocket, on a connection of its own. `subprotocols`: what is offered, "chat, superchat".
  TestWebSocket websocket(std::string_view url, HeaderList headers = {}, std::string_view subprotocols = {});
  /// Asks for Server-Sent Events, on a connection of its own.
  TestEvents events(std::string_view url, HeaderList headers = {});

  /// Lets time pass for timers and background tasks.
  void run_for(Duration time);

  /// The cookie jar; change it as you like.
  std::vector<std::pair<std::string, std::string>> cookies;

  /// Whether the App's server could start; its reasons are in `sim().log_text()`.
  bool started() const noexcept { return app_->running(); }
  SimPort& sim() noexcept { return sim_; }
  Loop& loop() noexcept { return loop_; }

 private:
  class Server;
  friend class TestStream;

  std::string head(std::string_view method, std::string_view url, HeaderList headers) const;
  TestResponse exchange(SimClient& connection, std::string_view text, bool head_only, bool stream);
  bool turn(TimePoint deadline);
  void keep_cookies(const TestResponse& response);

  App* app_;
  Duration timeout_;
  SimPort sim_;
  Loop loop_;
  Server* server_;
  SimClient connection_;
  bool connected_ = false;
};

}  // namespace microdot::inline MICRODOT_ABI
