#include "connection.hpp"

#include <lwip/priv/tcp_priv.h>
#include <lwip/stats.h>
#include <lwip/tcp.h>
#include <algorithm>
#include <cstring>

#include "address.hpp"
#include "network.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

static_assert(sizeof(LwipTransport) <= kTransportBytes && alignof(LwipTransport) <= alignof(void*));
static_assert(TCP_SND_BUF <= 0xffff, "what is under way is counted in 16 bits");

// Answers up to this size are copied while lwIP's heap has room, so that their buffer need not wait for the
// peer's delayed acknowledgment.
constexpr std::size_t kCopyBytes = TCP_MSS;
// In ticks of half a second: how long bytes are waited for after `close` while none arrives.
constexpr std::uint8_t kClosePatience = 20;

// Segments that are kept from data, so that connections can be opened and closed meanwhile.
constexpr std::size_t kFreeSegments = 4;
static_assert(MEMP_NUM_TCP_SEG >= 2 * kFreeSegments);

/// How many more bytes can be under way, in whole segments, whatever connection they are of.
std::size_t segments_left(std::size_t segment_bytes) noexcept {
  const stats_mem& segments = *lwip_stats.memp[MEMP_TCP_SEG];
  const std::size_t left = segments.avail - segments.used;
  return left <= kFreeSegments ? 0 : (left - kFreeSegments) * segment_bytes;
}

bool heap_has_room(std::size_t size) noexcept {
  return lwip_stats.mem.used + size <= lwip_stats.mem.avail / 2;
}

// Of a connection that is lwIP's own: once all has arrived, whoever needs its place may have it.
err_t on_sent_detached(void*, tcp_pcb* pcb, std::uint16_t) noexcept {
  if (tcp_sndbuf(pcb) == TCP_SND_BUF) tcp_setprio(pcb, TCP_PRIO_MIN);
  return ERR_OK;
}

// The same, when nothing has arrived for long. lwIP itself would try for minutes, and keep the place.
err_t on_poll_detached(void*, tcp_pcb* pcb) noexcept {
  if (pcb->unacked == nullptr && pcb->unsent == nullptr) return ERR_OK;
  tcp_abort(pcb);
  LwipNetwork::instance().memory_freed();
  return ERR_ABRT;
}

}  // namespace

tcp_pcb* let_finish(tcp_pcb* pcb) noexcept {
  tcp_arg(pcb, nullptr);
  tcp_recv(pcb, nullptr);
  tcp_err(pcb, nullptr);
  tcp_poll(pcb, on_poll_detached, kClosePatience);
  tcp_sent(pcb, on_sent_detached);
  return pcb;
}

// ---- The end that lwIP knows -----------------------------------------------------------------------

void LwipEnd::attach(tcp_pcb& pcb) noexcept {
  pcb_ = &pcb;
  tcp_arg(&pcb, this);
  tcp_recv(&pcb, on_received);
  tcp_sent(&pcb, on_sent);
  tcp_err(&pcb, on_error);
  tcp_nagle_disable(&pcb);
}

void LwipEnd::take_over(LwipEnd& other) noexcept {
  received_ = std::exchange(other.received_, nullptr);
  put(kFin, other.has(kFin));
  if (other.pcb_ != nullptr) attach(*std::exchange(other.pcb_, nullptr));
}

tcp_pcb* LwipEnd::detach() noexcept { return let_finish(std::exchange(pcb_, nullptr)); }

void LwipEnd::abort() noexcept {
  drop_received();
  referred_ = 0;
  if (pcb_ == nullptr) return;
  tcp_abort(detach());
  LwipNetwork::instance().memory_freed();
}

bool LwipEnd::all_acknowledged() const noexcept { return tcp_sndbuf(pcb_) == TCP_SND_BUF; }

bool LwipEnd::unread() const noexcept {
  return received_ != nullptr || pcb_->refused_data != nullptr || pcb_->rcv_wnd != TCP_WND_MAX(pcb_);
}

void LwipEnd::drop_received() noexcept {
  if (received_ != nullptr) pbuf_free(std::exchange(received_, nullptr));
}

void LwipEnd::settle() noexcept {
  if (pcb_ == nullptr || has(kWaiting)) return;
  if (all_acknowledged()) {
    if (has(kIdle)) tcp_setprio(pcb_, TCP_PRIO_MIN);
    // Both ends are shut and all has arrived. From TIME_WAIT lwIP takes the connection without telling
    // anyone.
    if (has(kFin) && has(kShut)) return (void)detach();
  }
  if (has(kClosing) && referred_ == 0) detach();
}

// Frames come into buffers of full size. Were a few bytes kept in each, a client that sends them one by one
// would have them all.
void LwipEnd::append(pbuf* bytes) noexcept {
  if (received_ == nullptr) {
    received_ = bytes;
    return;
  }
  pbuf* last = received_;
  while (last->next != nullptr) last = last->next;
  if (pbuf_match_allocsrc(last, PBUF_TYPE_ALLOC_SRC_MASK_STD_MEMP_PBUF_POOL)) {
    const auto* const limit = reinterpret_cast<const char*>(last) + LWIP_MEM_ALIGN_SIZE(sizeof(pbuf)) +
                              LWIP_MEM_ALIGN_SIZE(PBUF_POOL_BUFSIZE);
    char* const end = static_cast<char*>(last->payload) + last->len;
    const std::uint16_t size = bytes->tot_len;
    if (limit - end >= size) {
      pbuf_copy_partial(bytes, end, size, 0);
      pbuf_free(bytes);
      last->len = static_cast<std::uint16_t>(last->len + size);
      for (pbuf* at = received_; at != nullptr; at = at->next)
        at->tot_len = static_cast<std::uint16_t>(at->tot_len + size);
      return;
    }
  }
  pbuf_cat(received_, bytes);
}

err_t LwipEnd::on_received(void* end, tcp_pcb*, pbuf* bytes, err_t) noexcept {
  LwipEnd& self = *static_cast<LwipEnd*>(end);
  if (bytes == nullptr) {
    self.put(kFin, true);
    self.settle();
    return ERR_OK;
  }
  // lwIP keeps what is refused, and takes no more. Not after our own end, or its TIME_WAIT would drop it.
  if (self.received_ != nullptr && !self.has(kShut) && LwipNetwork::short_of_frames()) return ERR_MEM;
  self.append(bytes);
  self.awake();
  return ERR_OK;
}

void LwipEnd::awake() noexcept {
  if (!has(kIdle)) return;
  put(kIdle, false);
  tcp_setprio(pcb_, TCP_PRIO_NORMAL);
}

err_t LwipEnd::on_sent(void* end, tcp_pcb*, std::uint16_t size) noexcept {
  LwipEnd& self = *static_cast<LwipEnd*>(end);
  self.referred_ = static_cast<std::uint16_t>(self.referred_ - std::min(self.referred_, size));
  self.settle();
  LwipNetwork::instance().memory_freed();
  return ERR_OK;
}

// Twice a second while there is no memory, which may have been freed in other ways; or no byte has arrived
// for long after the close.
err_t LwipEnd::on_poll(void* end, tcp_pcb*) noexcept {
  LwipEnd& self = *static_cast<LwipEnd*>(end);
  if (self.has(kClosing)) {
    self.abort();
    return ERR_ABRT;
  }
  self.put(kStarved, false);
  return ERR_OK;
}

void LwipEnd::on_error(void* end, err_t) noexcept {
  LwipEnd& self = *static_cast<LwipEnd*>(end);
  self.pcb_ = nullptr;
  self.put(kReset, true);
  self.drop_received();
  self.referred_ = 0;
  LwipNetwork::instance().memory_freed();
  if (self.has(kWaiting)) LwipNetwork::instance().remove_waiting(static_cast<LwipWaiting&>(self));
}

void LwipWaiting::start(LwipListener& at, std::uint32_t arrival, tcp_pcb& pcb) noexcept {
  listener = &at;
  number = arrival;
  flags_ = kWaiting;
  attach(pcb);
}

void LwipWaiting::leave_backlog() noexcept { tcp_backlog_accepted(pcb_); }

// ---- Transport -------------------------------------------------------------------------------------

LwipTransport::LwipTransport(TransportEvents& events, LwipEnd& accepted) noexcept : events_(events) {
  put(kWantRead, true);
  put(kFresh, true);
  take_over(accepted);
  LwipNetwork::instance().add(*this);
}

Result<std::size_t> LwipTransport::read(std::span<char> buffer) noexcept {
  if (has(kReset)) return Error::closed;
  if (received_ == nullptr) {
    if (!has(kFin)) return Error::would_block;
    put(kEndRead, true);
    return std::size_t{0};
  }
  put(kFresh, false);
  const auto room = static_cast<std::uint16_t>(std::min<std::size_t>(buffer.size(), 0xffff));
  const std::uint16_t size = pbuf_copy_partial(received_, buffer.data(), room, 0);
  received_ = pbuf_free_header(received_, size);
  if (pcb_ == nullptr) return std::size_t{size};
  tcp_recved(pcb_, size);
  if (pcb_->refused_data != nullptr) (void)tcp_process_refused_data(pcb_);
  return std::size_t{size};
}

std::size_t LwipTransport::write_piece(const char* data, std::size_t size, std::uint8_t flags) noexcept {
  std::size_t taken = 0;
  while (taken < size) {
    auto part = static_cast<std::uint16_t>(std::min<std::size_t>(size - taken, tcp_sndbuf(pcb_)));
    if (part == 0) {
      put(kBlocked, true);
      break;
    }
    const std::size_t left = segments_left(tcp_mss(pcb_));
    if (part > left) part = static_cast<std::uint16_t>(left);
    const auto more = static_cast<std::uint8_t>(part < size - taken ? TCP_WRITE_FLAG_MORE : 0);
    err_t error = ERR_MEM;
    if (part != 0) error = tcp_write(pcb_, data + taken, part, flags | more);
    if (error == ERR_MEM && part > tcp_mss(pcb_)) {  // it takes all or nothing: one segment, then
      part = tcp_mss(pcb_);
      error = tcp_write(pcb_, data + taken, part, flags | TCP_WRITE_FLAG_MORE);
    }
    if (error != ERR_OK) {
      put(kBlocked, true);
      put(kStarved, true);
      tcp_poll(pcb_, on_poll, 1);
      break;
    }
    taken += part;
  }
  if (taken != 0 && (flags & TCP_WRITE_FLAG_COPY) == 0)
    referred_ = static_cast<std::uint16_t>(TCP_SND_BUF - tcp_sndbuf(pcb_));
  return taken;
}

Result<std::size_t> LwipTransport::write(std::span<const ConstBuffer> pieces, bool more) noexcept {
  if (pcb_ == nullptr || has(kShut)) return Error::closed;
  std::size_t offered = 0;
  for (const ConstBuffer& piece : pieces) offered += piece.size;
  const bool copy = offered <= kCopyBytes && heap_has_room(offered);
  std::size_t taken = 0;
  for (const ConstBuffer& piece : pieces) {
    const bool last = taken + piece.size == offered && !more;
    const auto flags =
        static_cast<std::uint8_t>((copy ? TCP_WRITE_FLAG_COPY : 0) | (last ? 0 : TCP_WRITE_FLAG_MORE));
    const std::size_t size = write_piece(piece.data, piece.size, flags);
    taken += size;
    if (size < piece.size) break;
  }
  // What follows at once shares its segments with what is kept back.
  put(kCorked, more && taken == offered);
  if (!has(kCorked)) tcp_output(pcb_);
  if (taken == 0 && offered != 0) return Error::would_block;
  return taken;
}

std::size_t LwipTransport::undrained() const noexcept {
  // From the last one taken on, be it copied or not.
  return referred_ != 0 ? std::size_t{TCP_SND_BUF} - tcp_sndbuf(pcb_) : 0;
}

void LwipTransport::flush() noexcept {
  if (!has(kCorked)) return;
  put(kCorked, false);
  if (pcb_ != nullptr) tcp_output(pcb_);
}

void LwipTransport::set_interest(bool read, bool write) noexcept {
  put(kWantRead, read);
  put(kWantWrite, write);
}

void LwipTransport::set_idle() noexcept {
  if (received_ != nullptr) return;
  put(kIdle, true);
  put(kFresh, true);
  settle();
}

bool LwipTransport::is_with(const ip_addr_t& address, std::uint16_t port,
                            std::uint16_t local_port) const noexcept {
  return pcb_ != nullptr && pcb_->remote_port == port && pcb_->local_port == local_port &&
         ip_addr_cmp(&pcb_->remote_ip, &address);
}

void LwipTransport::shutdown_write() noexcept {
  if (pcb_ == nullptr || has(kShut)) return;
  put(kShut, true);
  if (pcb_->refused_data != nullptr) (void)tcp_process_refused_data(pcb_);
  tcp_shutdown(pcb_, 0, 1);  // without memory for the FIN lwIP tries again itself
  settle();
}

bool LwipTransport::close(bool abort) noexcept {
  if (pcb_ != nullptr) {
    if (abort || unread()) {
      LwipEnd::abort();
    } else if (referred_ == 0) {
      if (all_acknowledged()) tcp_setprio(pcb_, TCP_PRIO_MIN);
      tcp_close(detach());
    } else {
      put(kClosing, true);
      tcp_poll(pcb_, on_poll, kClosePatience);
      tcp_close(pcb_);
      return false;
    }
  }
  destroy();
  return true;
}

void LwipTransport::destroy() noexcept {
  drop_received();
  LwipNetwork::instance().remove(*this);
  this->~LwipTransport();
}

Endpoint LwipTransport::peer() const noexcept {
  return pcb_ != nullptr ? to_endpoint(pcb_->remote_ip, pcb_->remote_port) : Endpoint{};
}

// ---- What has happened -----------------------------------------------------------------------------

bool LwipTransport::gone() const noexcept {
  if (has(kGoneTold)) return false;
  const bool over = has(kFin) && has(kShut) && !(has(kWantRead) && !has(kEndRead));
  return has(kReset) || over;
}

bool LwipTransport::readable() const noexcept {
  return has(kWantRead) && !has(kEndRead) && !has(kReset) && (received_ != nullptr || has(kFin));
}

bool LwipTransport::writable() const noexcept {
  if (!has(kWantWrite) || has(kGoneTold) || has(kStarved) || pcb_ == nullptr) return false;
  if (referred_ == 0 && !has(kBlocked)) return true;
  return all_acknowledged() ||
         (has(kBlocked) && tcp_sndbuf(pcb_) > TCP_SNDLOWAT && tcp_sndqueuelen(pcb_) < TCP_SNDQUEUELOWAT);
}

bool LwipTransport::dispatch() noexcept {
  if (has(kClosing)) {
    if (pcb_ != nullptr) return false;
    TransportEvents& events = events_;
    destroy();
    events.on_released();
    return true;
  }
  if (gone()) {
    put(kGoneTold, true);
    events_.on_gone();
    return true;
  }
  bool any = false;
  if (readable()) {
    any = true;
    events_.on_readable();
    if (!LwipNetwork::instance().is_current(*this) || has(kClosing)) return true;
  }
  if (writable()) {
    any = true;
    put(kBlocked, false);
    events_.on_writable();
  }
  return any;
}

}  // namespace microdot::inline MICRODOT_ABI
