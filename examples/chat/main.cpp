// Chat rooms: http://127.0.0.1:5000/ asks for a name and joins the room of the page's address (/#cats is the
// room "cats"). Everybody in a room gets what is said there; who reads too slowly misses the oldest, and
// costs the others nothing. chat [--host ADDRESS] [--port NUMBER] [--workers NUMBER]
#include <functional>
#include <mutex>
#include <string>

#include <microdot/ext/websocket.hpp>
#include <microdot/microdot.hpp>

#include "../arguments.hpp"

using namespace microdot;

namespace {

constexpr std::string_view kPage = R"(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Chat</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
  #log { list-style: none; padding: 0; min-height: 10rem }
  form { display: flex; gap: .5rem } #text { flex: 1 }
  .gone { opacity: .5 }
</style>
<h1>Chat: <span id="room"></span></h1>
<ul id="log" aria-live="polite"></ul>
<form><input id="name" placeholder="Name" aria-label="Name" size="8" required>
<input id="text" placeholder="Message" aria-label="Message" autocomplete="off" required> <button>Send</button></form>
<script>
  const show = line => document.querySelector('#log').append(Object.assign(document.createElement('li'), {textContent: line}));
  const name = localStorage.name;
  if (name) document.querySelector('#name').value = name;
  const room = location.hash.slice(1) || 'lobby';
  document.querySelector('#room').textContent = decodeURIComponent(room);
  let ws;
  const join = () => {
    ws = new WebSocket(location.origin.replace('http', 'ws') + '/rooms/' + room);
    ws.onopen = () => document.body.classList.remove('gone');
    ws.onmessage = event => show(event.data);
    ws.onclose = () => { document.body.classList.add('gone'); setTimeout(join, 1000); };
  };
  join();
  onhashchange = () => location.reload();
  document.querySelector('form').onsubmit = event => {
    event.preventDefault();
    const [who, text] = event.target.querySelectorAll('input');
    localStorage.name = who.value;
    ws.send(who.value + ': ' + text.value);
    text.value = '';
  };
</script>
)";

using Line = std::string;
using Room = Channel<Line>;
constexpr std::size_t kRooms = 32;

// Rooms are made as they are entered, and are free again when nobody is left. Several workers share them: the
// mutex is held while a room is looked for and entered, never over a co_await.
struct Rooms {
  struct Entry {
    std::string name;
    Room room;
  };
  Room* enter(std::string_view name) {
    Entry* free = nullptr;
    for (Entry& entry : entries) {
      const bool used = entry.room.subscribers() != 0;
      if (used && entry.name == name) return &entry.room;
      if (!used && free == nullptr) free = &entry;
    }
    if (free == nullptr) return nullptr;
    free->name = name;
    return &free->room;
  }
  std::mutex mutex;
  Entry entries[kRooms];
};
Rooms rooms;

// What is said in the room, to this client.
Task<> listen(Room::Subscriber& subscription, WebSocket& ws) {
  while (auto line = co_await subscription.next()) {
    if (!co_await ws.send(*line)) co_return;
  }
}

// What this client says, to the room.
Task<> chat(Request&, WebSocket& ws, std::string_view name) {
  std::unique_lock lock(rooms.mutex);
  Room* const room = rooms.enter(name);
  if (room == nullptr) {
    lock.unlock();
    ws.close(kCloseTryAgainLater, "too many rooms");
    co_return;
  }
  // From here on the room is in use, and nothing is missed: a task begins later.
  Room::Subscription<16> subscription(*room, WhenSlow::drop_oldest);
  lock.unlock();
  TaskGroup group;  // ends with this function: when the client goes
  group.create_task(listen, std::ref(static_cast<Room::Subscriber&>(subscription)), std::ref(ws));
  while (auto line = co_await ws.receive()) room->publish(Line(line->data));
}

}  // namespace

int main(int argc, char** argv) {
  ServerOptions options{.host = "127.0.0.1", .port = 5000};
  if (!parse_arguments_with_workers(argc, argv, options)) return 2;

  App app{Limits{.streams = 256, .ws_message_bytes = 4096}};
  app.get("/", [](Request&) { return Response(kPage, 200, {{"Content-Type", "text/html; charset=utf-8"}}); });
  app.get("/rooms/<name>", with_websocket(chat));
  return app.run(options);
}
