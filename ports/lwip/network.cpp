#include "network.hpp"

#include <lwip/inet_chksum.h>
#include <lwip/init.h>
#include <lwip/ip4.h>
#include <lwip/pbuf.h>
#include <lwip/prot/tcp.h>
#include <lwip/stats.h>
#include <lwip/tcp.h>
#include <algorithm>
#include <cstring>
#include <new>

#include "address.hpp"
#include "board.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

static_assert(sizeof(LwipListener) <= kListenerBytes && alignof(LwipListener) <= alignof(void*));

// Frames that are kept from those who have unread bytes already. Everyone else can have a first one, and lwIP
// keeps one more that is refused; the rest is for acknowledgments and the like.
constexpr std::size_t kFreeFrames = std::min<std::size_t>(2 * MEMP_NUM_TCP_PCB + 4, PBUF_POOL_SIZE * 3 / 4);

// The last ones: for acknowledgments, and a segment of somebody who is in the middle of a request. Otherwise
// the requests of those who wait for their turn could take them all, and those whose turn it is would never
// hear that their answers have arrived.
constexpr std::size_t kLastFrames = 2 + (TCP_MSS + 54 + PBUF_POOL_BUFSIZE - 1) / PBUF_POOL_BUFSIZE;
static_assert(kLastFrames < PBUF_POOL_SIZE);

err_t on_accept(void* listener, tcp_pcb* pcb, err_t error) noexcept {
  if (pcb == nullptr || error != ERR_OK) return ERR_VAL;
  LwipNetwork::instance().add_waiting(*static_cast<LwipListener*>(listener), *pcb);
  return ERR_OK;
}

Error listen_error(err_t error) noexcept {
  switch (error) {
    case ERR_USE: return Error::address_in_use;
    case ERR_MEM:
    case ERR_BUF: return Error::no_memory;
    case ERR_VAL:
    case ERR_ARG: return Error::invalid;
    case ERR_RTE: return Error::address_unavailable;
    case ERR_IF: return Error::network_down;
    default: return Error::io;
  }
}

/// Whether clients can come through it.
bool has_address(const struct netif& netif) noexcept {
  if (netif_is_up(&netif) == 0 || netif_is_link_up(&netif) == 0) return false;
#if LWIP_IPV6
  for (s8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES; ++i) {
    if (ip6_addr_isvalid(netif_ip6_addr_state(&netif, i)) && !ip6_addr_isloopback(netif_ip6_addr(&netif, i)))
      return true;
  }
#endif
  return !ip4_addr_isany(netif_ip4_addr(&netif)) && !ip4_addr_isloopback(netif_ip4_addr(&netif));
}

/// Whether `address` is one of its own.
bool owns_address(const struct netif& netif, const Endpoint& address) noexcept {
  if (to_endpoint(*netif_ip_addr4(&netif), 0).same_address(address)) return true;
#if LWIP_IPV6
  for (s8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES; ++i) {
    if (ip6_addr_isvalid(netif_ip6_addr_state(&netif, i)) &&
        to_endpoint(*netif_ip_addr6(&netif, i), 0).same_address(address))
      return true;
  }
#endif
  return false;
}

}  // namespace

// ---- Addresses -------------------------------------------------------------------------------------

Endpoint to_endpoint(const ip_addr_t& address, std::uint16_t port) noexcept {
  Endpoint endpoint;
  endpoint.port = port;
#if LWIP_IPV6
  if (IP_IS_V6(&address)) {
    endpoint.family = Endpoint::Family::ipv6;
    std::memcpy(endpoint.address.data(), ip_2_ip6(&address)->addr, 16);
    return endpoint;
  }
#endif
  endpoint.family = Endpoint::Family::ipv4;
  std::memcpy(endpoint.address.data(), &ip_2_ip4(&address)->addr, 4);
  return endpoint;
}

bool parse_host(std::string_view host, ip_addr_t& address) noexcept {
  if (host.empty() || host == "::") {
#if LWIP_IPV6
    address = *IP_ANY_TYPE;
#else
    address = *IP4_ADDR_ANY;
#endif
    return true;
  }
  const Endpoint endpoint = Endpoint::from_address(host == "localhost" ? "127.0.0.1" : host);
  switch (endpoint.family) {
    case Endpoint::Family::none: return false;
    case Endpoint::Family::ipv4:
      ip_addr_set_zero_ip4(&address);
      std::memcpy(&ip_2_ip4(&address)->addr, endpoint.address.data(), 4);
      return true;
    case Endpoint::Family::ipv6:
#if LWIP_IPV6
      ip_addr_set_zero_ip6(&address);
      std::memcpy(ip_2_ip6(&address)->addr, endpoint.address.data(), 16);
      return true;
#else
      return false;
#endif
  }
  return false;
}

bool is_every_address(const Endpoint& endpoint) noexcept {
  return std::all_of(endpoint.address.begin(), endpoint.address.end(),
                     [](std::uint8_t byte) { return byte == 0; });
}

// ---- Network ---------------------------------------------------------------------------------------

LwipNetwork* LwipNetwork::instance_ = nullptr;

LwipNetwork::LwipNetwork(LwipBoard& board) noexcept : board_(board) {
  instance_ = this;
  lwip_init();
  netif_add_ext_callback(&interfaces_,
                         [](struct netif*, netif_nsc_reason_t, const netif_ext_callback_args_t*) {
                           instance_->on_interface_changed();
                         });
}

Result<Listener*> LwipNetwork::listen(const ListenOptions& options, void* storage,
                                      ListenerEvents& events) noexcept {
  ip_addr_t address;
  if (!parse_host(options.host, address)) return Error::invalid;
  const Endpoint wanted = to_endpoint(address, options.port);
  if (!is_every_address(wanted) && check_address(wanted) == Error::address_unavailable)
    return Error::address_unavailable;
  tcp_pcb* const pcb = tcp_new_ip_type(IP_GET_TYPE(&address));
  if (pcb == nullptr) return Error::no_memory;
  ip_set_option(pcb, SOF_REUSEADDR);  // connections in TIME_WAIT have the port too
  err_t error = tcp_bind(pcb, &address, options.port);
  tcp_pcb* listening = nullptr;
  if (error == ERR_OK) {
    const auto backlog = static_cast<std::uint8_t>(std::clamp(options.backlog, 1, MEMP_NUM_TCP_PCB));
    listening = tcp_listen_with_backlog_and_err(pcb, backlog, &error);
  }
  if (listening == nullptr) {
    tcp_close(pcb);
    return listen_error(error);
  }
  auto* listener = ::new (storage) LwipListener(events, listening);
  listener->next = std::exchange(listeners_, listener);
  tcp_arg(listening, listener);
  tcp_accept(listening, on_accept);
  return static_cast<Listener*>(listener);
}

std::size_t LwipNetwork::reserve_connections(std::size_t connections) noexcept {
  return std::min<std::size_t>(connections, MEMP_NUM_TCP_PCB);
}

Error LwipNetwork::check_address(const Endpoint& local) noexcept {
  const bool every = is_every_address(local);
  struct netif* netif;
  NETIF_FOREACH(netif) {
    if (every && has_address(*netif)) return Error::none;
    if (every || !owns_address(*netif, local)) continue;
    return netif_is_up(netif) != 0 && netif_is_link_up(netif) != 0 ? Error::none : Error::network_down;
  }
  return every ? Error::network_down : Error::address_unavailable;
}

bool LwipNetwork::short_of_frames() noexcept {
  const stats_mem& frames = *lwip_stats.memp[MEMP_PBUF_POOL];
  return frames.used + kFreeFrames >= frames.avail;
}

LwipTransport* LwipNetwork::find(const ip_addr_t& address, std::uint16_t port,
                                 std::uint16_t local_port) const noexcept {
  LwipTransport* at = transports_;
  while (at != nullptr && !at->is_with(address, port, local_port)) at = at->next;
  return at;
}

void LwipNetwork::take_packet(pbuf& packet) noexcept {
  const stats_mem& frames = *lwip_stats.memp[MEMP_PBUF_POOL];
  if (frames.used + kLastFrames <= frames.avail) return;
  if (packet.len < IP_HLEN + TCP_HLEN) return;
  auto* const ip = static_cast<ip_hdr*>(packet.payload);
  const std::uint16_t ip_bytes = IPH_HL_BYTES(ip);
  const std::uint16_t size = lwip_ntohs(IPH_LEN(ip));
  if (IPH_V(ip) != 4 || IPH_PROTO(ip) != IP_PROTO_TCP || packet.len < ip_bytes + TCP_HLEN) return;
  auto* const tcp = reinterpret_cast<tcp_hdr*>(static_cast<char*>(packet.payload) + ip_bytes);
  const auto head = static_cast<std::uint16_t>(ip_bytes + TCPH_HDRLEN_BYTES(tcp));
  if (size <= head || size > packet.tot_len || packet.len < head) return;
  ip_addr_t from, to;
  ip_addr_copy_from_ip4(from, ip->src);
  ip_addr_copy_from_ip4(to, ip->dest);
  LwipTransport* const transport = find(from, lwip_ntohs(tcp->src), lwip_ntohs(tcp->dest));
  if (transport != nullptr && transport->expects_bytes()) return;

  // What it acknowledges still counts. lwIP does not see the checksum of what is cut off.
  const auto checksum = [&] {
    pbuf_remove_header(&packet, ip_bytes);
    const std::uint16_t sum = inet_chksum_pseudo(&packet, IP_PROTO_TCP, packet.tot_len, &from, &to);
    pbuf_add_header(&packet, ip_bytes);
    return sum;
  };
  pbuf_realloc(&packet, size);
  if (checksum() != 0) return;
  pbuf_realloc(&packet, head);
  IPH_LEN_SET(ip, lwip_htons(head));
  IPH_CHKSUM_SET(ip, 0);
  IPH_CHKSUM_SET(ip, inet_chksum(ip, ip_bytes));
  TCPH_UNSET_FLAG(tcp, TCP_FIN | TCP_PSH);
  tcp->chksum = 0;
  tcp->chksum = checksum();
  if (transport != nullptr) transport->awake();
}

void LwipNetwork::add(LwipTransport& transport) noexcept {
  transport.next = std::exchange(transports_, &transport);
}

void LwipNetwork::remove(LwipTransport& transport) noexcept {
  if (current_ == &transport) current_ = nullptr;
  if (next_transport_ == &transport) next_transport_ = transport.next;
  LwipTransport** at = &transports_;
  while (*at != &transport) at = &(*at)->next;
  *at = transport.next;
}

void LwipNetwork::flush() noexcept {
  for (LwipTransport* at = transports_; at != nullptr; at = at->next) at->flush();
}

bool LwipNetwork::dispatch() noexcept {
  bool any = false;
  if (std::exchange(changed_, false) && watched()) {
    any = true;
    tell_watchers();
  }
  if (std::exchange(memory_freed_, false)) {
    for (LwipTransport* at = transports_; at != nullptr; at = at->next) at->memory_freed();
  }
  // Those that are gone first: a newcomer may need their place.
  for (current_ = transports_; current_ != nullptr; current_ = next_transport_) {
    next_transport_ = current_->next;
    any |= current_->dispatch();
  }
  for (LwipListener* at = listeners_; at != nullptr; at = next_listener_) {
    next_listener_ = at->next;
    if (waiting_count_ == 0 || !at->accepting || first_waiting(*at) == nullptr) continue;
    any = true;
    at->events.on_acceptable();
  }
  return any;
}

// ---- Listeners -------------------------------------------------------------------------------------

void LwipNetwork::add_waiting(LwipListener& listener, tcp_pcb& pcb) noexcept {
  LwipWaiting* place = waiting_;
  while (place->used()) ++place;  // there are as many as there can be connections
  place->start(listener, arrivals_++, pcb);
  ++waiting_count_;
  tcp_backlog_delayed(&pcb);
}

LwipWaiting* LwipNetwork::first_waiting(const LwipListener& listener) noexcept {
  LwipWaiting* first = nullptr;
  for (LwipWaiting& waiting : waiting_) {
    if (waiting.listener != &listener) continue;
    if (first == nullptr || arrivals_ - waiting.number > arrivals_ - first->number) first = &waiting;
  }
  return first;
}

void LwipNetwork::remove_waiting(LwipWaiting& waiting) noexcept {
  waiting = LwipWaiting();
  --waiting_count_;
}

void LwipNetwork::remove(LwipListener& listener) noexcept {
  if (next_listener_ == &listener) next_listener_ = listener.next;
  LwipListener** at = &listeners_;
  while (*at != &listener) at = &(*at)->next;
  *at = listener.next;
  while (LwipWaiting* waiting = first_waiting(listener)) {
    waiting->abort();
    remove_waiting(*waiting);
  }
}

Result<Transport*> LwipListener::accept(void* storage, TransportEvents& transport_events) noexcept {
  LwipNetwork& network = LwipNetwork::instance();
  LwipWaiting* const waiting = network.first_waiting(*this);
  if (waiting == nullptr) return Error::would_block;
  waiting->leave_backlog();
  auto* transport = ::new (storage) LwipTransport(transport_events, *waiting);
  network.remove_waiting(*waiting);
  return static_cast<Transport*>(transport);
}

Endpoint LwipListener::local() const noexcept { return to_endpoint(pcb_->local_ip, pcb_->local_port); }

void LwipListener::close() noexcept {
  LwipNetwork::instance().remove(*this);
  tcp_close(pcb_);
  this->~LwipListener();
}

}  // namespace microdot::inline MICRODOT_ABI

extern "C" int microdot_lwip_take_packet(struct pbuf* packet) {
  microdot::LwipNetwork::instance().take_packet(*packet);
  return 0;
}
