#include "network.hpp"

#include <algorithm>
#include <cassert>
#include <new>

namespace microdot::inline MICRODOT_ABI {
namespace {

using Kind = SimEvent::Kind;
using Server = SimConnection::Server;
using Queue = SimConnection::Queue;

class NoFaults final : public SimFaults {};
NoFaults no_faults;

/// The hosts that the simulated machine has: every address, those of the loopback, and link-local ones of
/// an interface whose name is as long as names can be on Linux.
bool parse_host(std::string_view host, Endpoint& endpoint) noexcept {
  if (const std::size_t zone = host.find('%'); zone != std::string_view::npos) {
    endpoint = Endpoint::from_address(host.substr(0, zone));
    return endpoint.family == Endpoint::Family::ipv6 && host.substr(zone + 1) == "sim-interface-0";
  }
  if (host.empty() || host == "::" || host == "::1") {
    endpoint.family = Endpoint::Family::ipv6;
    endpoint.address[15] = host == "::1";
    return true;
  }
  endpoint.family = Endpoint::Family::ipv4;
  if (host == "localhost") host = "127.0.0.1";
  for (std::size_t i = 0; i < 4; ++i) {
    const std::string_view part = host.substr(0, host.find('.'));
    unsigned value = 0;
    for (char c : part) {
      if (c < '0' || c > '9') return false;
      value = value * 10 + static_cast<unsigned>(c - '0');
    }
    if (part.empty() || part.size() > 3 || value > 255 || (i < 3) != (part.size() < host.size()))
      return false;
    endpoint.address[i] = static_cast<std::uint8_t>(value);
    host.remove_prefix(std::min(part.size() + 1, host.size()));
  }
  return true;
}

bool is_wildcard(const Endpoint& endpoint) noexcept {
  return std::all_of(endpoint.address.begin(), endpoint.address.end(),
                     [](std::uint8_t byte) { return byte == 0; });
}

}  // namespace

SimNetwork::SimNetwork(const SimOptions& given) noexcept
    : options(given), faults(given.faults != nullptr ? *given.faults : no_faults) {}

SimNetwork::~SimNetwork() {
  assert(transports == 0 && listeners_ == nullptr);
  while (SimConnection* connection = connections_.front()) {
    assert(!connection->client_held);
    connections_.remove(*connection);
    connection->~SimConnection();
    std::free(connection);
  }
  while (SimEvent* event = events_.front()) {
    events_.remove(*event);
    std::free(event);
  }
}

// ---- Listening and connecting ----------------------------------------------------------------------

Result<Listener*> SimNetwork::listen(const ListenOptions& listen_options, void* storage,
                                     ListenerEvents& events) noexcept {
  static_assert(sizeof(SimListener) <= kListenerBytes && alignof(SimListener) <= alignof(void*));
  Endpoint local;
  if (!parse_host(listen_options.host, local)) return Error::invalid;
  if (const Error error = faults.on_listen(listen_options.port); error != Error::none) return error;
  if (const Error error = listener_error(local); error != Error::none) return error;
  local.port = listen_options.port;
  while (local.port == 0 || (listen_options.port == 0 && find(local.port) != nullptr)) {
    local.port = next_port_++;
    if (next_port_ == 0) next_port_ = 49152;
  }
  if (find(local.port) != nullptr) return Error::address_in_use;
  auto* listener = ::new (storage) SimListener(*this, events, local);
  SimListener** end = &listeners_;
  while (*end != nullptr) end = &(*end)->next;
  *end = listener;
  return static_cast<Listener*>(listener);
}

std::size_t SimNetwork::reserve_connections(std::size_t connections) noexcept {
  return std::min(connections, options.max_connections);
}

Error SimNetwork::listener_error(const Endpoint& local) const noexcept {
  if (!up_) return Error::network_down;
  const bool loopback = local.address[0] == 127 || local.address[15] == 1;
  const bool here = every_address_ || is_wildcard(local) || loopback || local.same_address(address_);
  return here ? Error::none : Error::address_unavailable;
}

Error SimNetwork::check_address(const Endpoint& local) noexcept {
  const bool none = !every_address_ && address_.family == Endpoint::Family::none;
  return none && is_wildcard(local) ? Error::network_down : listener_error(local);
}

void SimNetwork::set_up(bool up) noexcept {
  changed_ = changed_ || up_ != up;
  up_ = up;
}

void SimNetwork::set_address(std::string_view address) noexcept {
  Endpoint endpoint;
  if (!address.empty()) parse_host(address, endpoint);
  if (!every_address_ && endpoint.same_address(address_)) return;
  every_address_ = false;
  address_ = endpoint;
  changed_ = true;
  SimEvent reset{};
  reset.kind = Kind::reset;
  for (SimConnection* at = connections_.front(); at != nullptr; at = at->all_next) {
    if (at->server != Server::accepted) continue;
    drop_events(*at, SimDirection::to_server);
    at->to_server.reset_sent = true;
    apply_to_server(*at, reset);
    send(*at, SimDirection::to_client, Kind::reset);
  }
}

std::size_t SimNetwork::open_from(const Endpoint& address) const noexcept {
  std::size_t count = 0;
  for (const SimConnection* at = connections_.front(); at != nullptr; at = at->all_next) {
    if (at->server == Server::accepted && !at->to_client.fin_sent && at->local.same_address(address)) ++count;
  }
  return count;
}

SimListener* SimNetwork::find(std::uint16_t port) const noexcept {
  SimListener* listener = listeners_;
  while (listener != nullptr && listener->local().port != port) listener = listener->next;
  return listener;
}

SimConnection& SimNetwork::connect(std::uint16_t port, const Endpoint& from) noexcept {
  auto& connection = *::new (sim_allocate(sizeof(SimConnection))) SimConnection;
  connections_.push_back(connection);
  connection.number = connects_++;
  connection.port = port;
  connection.window = options.receive_window;
  connection.local = from;
  if (from.family == Endpoint::Family::none) {
    connection.local.family = Endpoint::Family::ipv4;
    connection.local.address = {127, 0, 0, 1};
  }
  if (connection.local.port == 0)
    connection.local.port = static_cast<std::uint16_t>(10'000 + connection.number % 39'000);
  connection.to_server.reset_at = faults.reset_after(connection.number, SimDirection::to_server);
  connection.to_client.reset_at = faults.reset_after(connection.number, SimDirection::to_client);
  if (!up_ || find(port) != nullptr) {
    send(connection, SimDirection::to_server, Kind::connect);
  } else {
    connection.server = Server::closed;
    connection.to_client.reset_arrived = true;
  }
  return connection;
}

SimConnection* SimNetwork::waiting_at(const SimListener& listener) const noexcept {
  SimConnection* connection = waiting_.front();
  while (connection != nullptr && connection->listener != &listener) connection = connection->wait_next;
  return connection;
}

void SimNetwork::stop_waiting(SimConnection& connection, Server state) noexcept {
  waiting_.remove(connection);
  connection.listener = nullptr;
  connection.server = state;
  if (state != Server::closed) return;
  send(connection, SimDirection::to_client, Kind::reset);
  collect(connection);
}

void SimNetwork::remove(SimListener& listener) noexcept {
  if (next_listener_ == &listener) next_listener_ = listener.next;
  SimListener** at = &listeners_;
  while (*at != &listener) at = &(*at)->next;
  *at = listener.next;
  while (SimConnection* connection = waiting_at(listener)) stop_waiting(*connection, Server::closed);
}

Result<Transport*> SimListener::accept(void* storage, TransportEvents& transport_events) noexcept {
  static_assert(sizeof(SimTransport) <= kTransportBytes && alignof(SimTransport) <= alignof(void*));
  if (const Error error = network_.listener_error(local_); error != Error::none) return error;
  SimConnection* connection = network_.waiting_at(*this);
  if (connection == nullptr) return Error::would_block;
  if (const Error error = network_.faults.on_accept(connection->number); error != Error::none) {
    if (error == Error::closed) network_.stop_waiting(*connection, Server::closed);
    return error;
  }
  network_.stop_waiting(*connection, Server::accepted);
  connection->transport = ::new (storage) SimTransport(network_, *connection);
  connection->events = &transport_events;
  ++network_.transports;
  network_.check_ready(*connection);
  return static_cast<Transport*>(connection->transport);
}

void SimListener::close() noexcept {
  network_.remove(*this);
  this->~SimListener();
}

// ---- Events under way ------------------------------------------------------------------------------

void SimNetwork::send(SimConnection& connection, SimDirection direction, Kind kind, std::size_t size,
                      const char* referred) noexcept {
  auto& way = direction == SimDirection::to_server ? connection.to_server : connection.to_client;
  if (kind == Kind::fin) {
    if (way.fin_sent) return;
    way.fin_sent = true;
  } else if (kind == Kind::reset) {
    if (way.reset_sent) return;
    way.reset_sent = true;
  }
  const Duration delay = options.latency + faults.delay(connection.number, direction);
  const SimEvent made = {
      nullptr,   nullptr, std::max(now + delay, way.last), next_sequence_++, &connection, referred, size,
      direction, kind};
  if (direction == SimDirection::to_client && referred == nullptr && way.events == 0 && made.time <= now &&
      up_)
    return apply_to_client(connection, made);  // nothing can come between
  SimEvent& event = *::new (sim_allocate(sizeof(SimEvent))) SimEvent(made);
  way.last = event.time;
  ++way.events;
  SimEvent* before = events_.back();
  while (before != nullptr && before->time > event.time) before = before->previous;
  events_.insert_after(before, event);
}

void SimNetwork::send_to_server(SimConnection& connection, std::string_view bytes) noexcept {
  auto& way = connection.to_server;
  if (way.fin_sent || way.reset_sent || connection.to_client.reset_arrived) return;
  const std::uint64_t left = way.reset_at - way.total;
  const bool resets = bytes.size() > left;
  if (resets) bytes = bytes.substr(0, static_cast<std::size_t>(left));
  way.total += bytes.size();
  way.bytes.append(bytes.data(), bytes.size());
  while (!bytes.empty()) {
    std::size_t size = std::min(bytes.size(), connection.segment_size);
    if (connection.plan.size() != 0) {
      std::size_t planned;
      std::memcpy(&planned, connection.plan.view().data(), sizeof planned);
      connection.plan.consume(sizeof planned);
      size = std::min(bytes.size(), planned);
    }
    send(connection, SimDirection::to_server, Kind::bytes, size);
    bytes.remove_prefix(size);
  }
  if (!resets) return;
  send(connection, SimDirection::to_server, Kind::reset);
  send(connection, SimDirection::to_client, Kind::reset);
}

void SimNetwork::drop_events(SimConnection& connection, SimDirection direction, bool resets) noexcept {
  auto& way = direction == SimDirection::to_server ? connection.to_server : connection.to_client;
  for (SimEvent* event = events_.front(); event != nullptr && way.events != 0;) {
    SimEvent* next = event->next;
    if (event->connection == &connection && event->direction == direction &&
        (resets || event->kind != Kind::reset)) {
      if (cursor_ == event) cursor_ = next;
      events_.remove(*event);
      std::free(event);
      --way.events;
    }
    event = next;
  }
}

bool SimNetwork::next_event(TimePoint& time) const noexcept {
  if (!up_ || events_.empty()) return false;
  time = events_.front()->time;
  return true;
}

bool SimNetwork::arrive() noexcept {
  ++polls;
  if (!up_ || (changed_ && watched())) return false;  // the news come first
  bool any = false;
  const std::uint64_t limit = next_sequence_;  // what is sent meanwhile waits for the next poll
  for (cursor_ = events_.front(); cursor_ != nullptr && cursor_->time <= now;) {
    SimEvent* event = std::exchange(cursor_, cursor_->next);
    const bool one_at_a_time = event->direction == SimDirection::to_server && event->kind != Kind::connect;
    if (event->sequence >= limit || (one_at_a_time && event->connection->poll_mark == polls)) continue;
    if (one_at_a_time) event->connection->poll_mark = polls;
    const SimEvent copy = *event;
    events_.remove(*event);
    std::free(event);
    apply(copy);
    any = true;
  }
  cursor_ = nullptr;
  return any;
}

void SimNetwork::apply(const SimEvent& event) noexcept {
  if (event.direction == SimDirection::to_server) {
    --event.connection->to_server.events;
    apply_to_server(*event.connection, event);
  } else {
    --event.connection->to_client.events;
    apply_to_client(*event.connection, event);
  }
}

void SimNetwork::apply_to_server(SimConnection& connection, const SimEvent& event) noexcept {
  auto& way = connection.to_server;
  switch (event.kind) {
    case Kind::connect:
      connection.listener = find(connection.port);
      if (connection.listener == nullptr) {  // it closed in the meantime
        connection.server = Server::closed;
        send(connection, SimDirection::to_client, Kind::reset);
        collect(connection);
        return;
      }
      waiting_.push_back(connection);
      connection.server = Server::waiting;
      return;
    case Kind::bytes:
      way.arrived += event.size;
      if (connection.server == Server::closed || connection.server == Server::closing)
        send(connection, SimDirection::to_client, Kind::reset);  // RFC 9293 section 3.10.7.1: nobody is there
      break;
    case Kind::fin: way.fin_arrived = true; break;
    case Kind::reset:
      way.reset_arrived = true;
      drop_events(connection, SimDirection::to_client);  // what was under way is void
      connection.referred = 0;
      connection.referred_pieces = 0;
      break;
  }
  check_ready(connection);
}

void SimNetwork::apply_to_client(SimConnection& connection, const SimEvent& event) noexcept {
  auto& way = connection.to_client;
  switch (event.kind) {
    case Kind::connect: break;
    case Kind::bytes:
      if (event.referred != nullptr) {
        way.bytes.append(event.referred, event.size);
        connection.referred -= event.size;
        if (--connection.referred_pieces == 0) connection.just_drained = true;
      }
      if (connection.client_closed) {
        way.bytes.clear();
        way.arrived = 0;
        send(connection, SimDirection::to_server, Kind::reset);
      } else if (!way.reset_arrived) {
        way.arrived += event.size;
      }
      break;
    case Kind::fin: way.fin_arrived = true; break;
    case Kind::reset: way.reset_arrived = true; break;
  }
  check_ready(connection);
}

// ---- What is ready ---------------------------------------------------------------------------------

std::size_t SimNetwork::room(const SimConnection& connection) noexcept {
  constexpr unsigned kReferredPieces = 16;  // a queue as short as lwIP's
  if (connection.client_closed) return SIZE_MAX;
  if (connection.referred_pieces >= kReferredPieces) return 0;
  const std::size_t used = connection.to_client.bytes.size() + connection.referred;
  return connection.window > used ? connection.window - used : 0;
}

bool SimNetwork::wants_gone(const SimConnection& c) noexcept {
  if (c.server != Server::accepted || c.gone_told) return false;
  const bool over = c.to_server.fin_arrived && c.to_client.fin_sent && !(c.want_read && !c.end_read);
  return c.to_server.reset_arrived || over;
}
bool SimNetwork::wants_read(const SimConnection& c) noexcept {
  return c.server == Server::accepted && !c.gone_told && c.want_read && !c.end_read &&
         (c.to_server.arrived != 0 || c.to_server.fin_arrived);
}
bool SimNetwork::wants_write(const SimConnection& c) noexcept {
  if (c.server != Server::accepted || c.gone_told || !c.want_write) return false;
  return c.just_drained || (room(c) != 0 && (c.referred_pieces == 0 || c.blocked));
}
bool SimNetwork::wants_released(const SimConnection& c) noexcept {
  return c.server == Server::closing && c.referred_pieces == 0;
}

void SimNetwork::check_ready(SimConnection& connection) noexcept {
  if (connection.queue != Queue::none) return;
  if (!wants_gone(connection) && !wants_read(connection) && !wants_write(connection) &&
      !wants_released(connection))
    return;
  ready_.push_back(connection);
  connection.queue = Queue::ready;
}

bool SimNetwork::anything_ready() noexcept {
  if (!ready_.empty() || (changed_ && watched())) return true;
  for (SimListener* listener = listeners_; listener != nullptr; listener = listener->next) {
    if (acceptable(*listener)) return true;
  }
  return false;
}

bool SimNetwork::dispatch() noexcept {
  if (!anything_ready()) return false;
  if (std::exchange(changed_, false)) tell_watchers();
  while (SimConnection* connection = ready_.front()) {
    ready_.remove(*connection);
    batch_.push_back(*connection);
    connection->queue = Queue::batch;
  }
  for (SimListener* listener = listeners_; listener != nullptr; listener = next_listener_) {
    next_listener_ = listener->next;
    if (acceptable(*listener)) listener->events.on_acceptable();
  }
  while (SimConnection* connection = batch_.front()) {
    batch_.remove(*connection);
    connection->queue = Queue::none;
    current_ = connection;
    call_owner(*connection);
    if (current_ != nullptr) check_ready(*connection);
    current_ = nullptr;
  }
  return true;
}

void SimNetwork::call_owner(SimConnection& connection) noexcept {
  if (wants_released(connection)) {
    TransportEvents& events = *connection.events;
    server_closed(connection);
    events.on_released();
  } else if (wants_gone(connection)) {
    connection.gone_told = true;
    connection.events->on_gone();
  } else {
    if (wants_read(connection)) connection.events->on_readable();
    if (current_ == nullptr || !wants_write(connection)) return;
    connection.blocked = false;
    connection.just_drained = false;
    connection.events->on_writable();
  }
}

void SimNetwork::server_closed(SimConnection& connection) noexcept {
  connection.server = Server::closed;
  connection.transport->~SimTransport();
  connection.transport = nullptr;
  --transports;
  collect(connection);
}

void SimNetwork::close_client(SimConnection& connection) noexcept {
  if (connection.client_closed) return;
  if (!connection.to_server.reset_sent && !connection.to_client.reset_arrived)
    send(connection, SimDirection::to_server, Kind::fin);
  connection.client_closed = true;
  check_ready(connection);
}

void SimNetwork::collect(SimConnection& connection) noexcept {
  if (connection.client_held || connection.server != Server::closed) return;
  drop_events(connection, SimDirection::to_server, true);
  drop_events(connection, SimDirection::to_client, true);
  if (connection.queue == Queue::ready) ready_.remove(connection);
  if (connection.queue == Queue::batch) batch_.remove(connection);
  if (current_ == &connection) current_ = nullptr;
  connections_.remove(connection);
  connection.~SimConnection();
  std::free(&connection);
}

}  // namespace microdot::inline MICRODOT_ABI
