/// Compressed WebSockets on real sockets: counts what is asked of the heap from the moment the server has
/// started, by anybody in the process, zlib above all. Exits with 0 if that was nothing, and every message
/// was right. The client is another process.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <zlib.h>

#include <array>
#include <cstdio>
#include <string>

#include <microdot/ext/websocket.hpp>
#include <microdot/ext/websocket_deflate.hpp>
#include <microdot/microdot.hpp>

#include "../server/heap_counter.hpp"

namespace {

using namespace microdot;
using namespace std::chrono_literals;
using microdot_test::heap_requests;

constexpr int kMessages = 2000;
constexpr int kConnections = 5;  // one after the other

constexpr Limits kLimits{.connections = 8,
                         .connections_per_client = 8,
                         .exchanges = 2,
                         .streams = 2,
                         .ws_message_bytes = 4096,
                         .ws_window_bits = 15,
                         .ws_compressed = 2};
StaticApp<kLimits> static_app;

std::string words(unsigned seed) {
  std::string text;
  for (unsigned i = 0; i < 20 + seed % 200; ++i) text += "value " + std::to_string(seed * i % 97) + ", ";
  return text;
}

void send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size <= 0) _exit(2);
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
}

void send_frame(int fd, WebSocketOpcode opcode, std::string payload, std::uint8_t rsv) {
  const WebSocketMask mask = {'\1', '\2', '\3', '\4'};
  std::array<char, kMaxWebSocketHead> head;
  const std::size_t size = write_websocket_head(
      {.opcode = opcode, .payload_bytes = payload.size(), .rsv = rsv, .mask = mask}, head);
  apply_websocket_mask(payload, mask);
  send_all(fd, std::string(head.end() - size, head.end()) + payload);
}

/// One connection's messages; false if one was wrong.
bool talk(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return false;
  send_all(
      fd,
      "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "
      "13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
  std::string bytes;
  const auto more = [&] {
    char room[8192];
    const ssize_t size = recv(fd, room, sizeof room, 0);
    if (size <= 0) _exit(3);
    bytes.append(room, static_cast<std::size_t>(size));
  };
  while (bytes.find("\r\n\r\n") == bytes.npos) more();
  if (bytes.find("Sec-WebSocket-Extensions: permessage-deflate\r\n") == bytes.npos) return false;
  bytes.erase(0, bytes.find("\r\n\r\n") + 4);

  z_stream out{};
  z_stream in{};
  deflateInit2(&out, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
  inflateInit2(&in, -15);
  WebSocketDecoder decoder({.sender = WebSocketSender::server, .allowed_rsv = kRsv1});
  for (unsigned i = 0; i < kMessages; ++i) {
    std::string text = words(i);
    std::string coded(deflateBound(&out, text.size()) + 16, '\0');
    out.next_in = reinterpret_cast<Bytef*>(text.data());
    out.avail_in = static_cast<uInt>(text.size());
    out.next_out = reinterpret_cast<Bytef*>(coded.data());
    out.avail_out = static_cast<uInt>(coded.size());
    deflate(&out, Z_SYNC_FLUSH);
    coded.resize(coded.size() - out.avail_out - 4);
    send_frame(fd, WebSocketOpcode::text, coded, kRsv1);

    std::string message;
    WebSocketResult result{WebSocketEvent::need_more};
    while (!result.end) {
      if (bytes.empty()) more();
      result = decoder.decode(bytes);
      if (result.event == WebSocketEvent::error) return false;
      message.append(result.payload.data(), result.payload.size());
      bytes.erase(0, result.consumed);
    }
    if (result.rsv != kRsv1) return false;
    message.append("\0\0\xff\xff", 4);
    std::string plain(8192, '\0');
    in.next_in = reinterpret_cast<Bytef*>(message.data());
    in.avail_in = static_cast<uInt>(message.size());
    in.next_out = reinterpret_cast<Bytef*>(plain.data());
    in.avail_out = static_cast<uInt>(plain.size());
    inflate(&in, Z_SYNC_FLUSH);
    plain.resize(plain.size() - in.avail_out);
    if (plain != text) return false;
  }
  deflateEnd(&out);
  inflateEnd(&in);
  close(fd);
  return true;
}

/// The heap's requests while the client was served; SIZE_MAX if it was not.
std::size_t serve(App& app) {
  app.get("/", with_websocket(
                   [](Request&, WebSocket& ws) -> Task<> {
                     while (auto message = co_await ws.receive()) co_await ws.send(*message);
                   },
                   {.compression = &kWebSocketDeflate}));
  int port_pipe[2];
  int done_pipe[2];
  if (pipe(port_pipe) != 0 || pipe(done_pipe) != 0) return SIZE_MAX;
  const pid_t client = fork();
  if (client == 0) {
    alarm(60);
    std::uint16_t port = 0;
    bool ok = read(port_pipe[0], &port, sizeof port) == sizeof port;
    for (int i = 0; ok && i < kConnections; ++i) ok = talk(port);
    _exit(ok && write(done_pipe[1], "", 1) == 1 ? 0 : 1);
  }
  close(done_pipe[1]);
  fcntl(done_pipe[0], F_SETFL, O_NONBLOCK);
  std::size_t before = 0;
  const auto program = [&]() -> Task<> {
    auto server = create_task(app.start_server({.host = "127.0.0.1", .port = 0}));
    while (!app.running()) co_await sleep_for(1ms);
    const std::uint16_t port = app.port();
    before = heap_requests;
    if (write(port_pipe[1], &port, sizeof port) != sizeof port) app.shutdown();
    char byte = 0;
    while (read(done_pipe[0], &byte, 1) < 0 && errno == EAGAIN) co_await sleep_for(10ms);
    app.shutdown();
    co_await server;
  };
  const int result = microdot::run(program());
  const std::size_t after = heap_requests;
  int status = 0;
  waitpid(client, &status, 0);
  for (const int fd : {port_pipe[0], port_pipe[1], done_pipe[0]}) close(fd);
  return result == 0 && status == 0 ? after - before : SIZE_MAX;
}

}  // namespace

int main() {
  const std::size_t counted = heap_requests;
  z_stream stream{};
  deflateInit(&stream, 6);
  deflateEnd(&stream);
  if (heap_requests == counted) {
    std::printf("what counts does not count\n");
    return 2;
  }
  App app(kLimits);
  const std::size_t on_host = serve(app);
  const std::size_t in_static = serve(static_app);
  std::printf("asked of the heap while serving: App %zu, StaticApp %zu\n", on_host, in_static);
  return on_host + in_static == 0 ? 0 : 1;
}
