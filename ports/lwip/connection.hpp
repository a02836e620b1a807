#pragma once
#include <lwip/err.h>
#include <lwip/ip_addr.h>
#include <cstdint>

#include <microdot/port/network.hpp>

struct tcp_pcb;
struct pbuf;

namespace microdot::inline MICRODOT_ABI {

class LwipListener;

/// A connection that is lwIP's own from now on: it calls nobody any more. What was written still arrives, or
/// the connection is reset when nothing of it has for long. Returns it.
tcp_pcb* let_finish(tcp_pcb* pcb) noexcept;

/// This end of a connection, as lwIP's callbacks know it: of one that waits to be accepted, or of a
/// transport.
class LwipEnd {
 public:
  LwipEnd() noexcept = default;
  /// Makes lwIP's callbacks come here.
  void attach(tcp_pcb& pcb) noexcept;
  /// Takes everything over from `other`, which is nothing any more.
  void take_over(LwipEnd& other) noexcept;
  /// Ends it with a reset.
  void abort() noexcept;
  /// It is not idle any more: its peer has sent something, or tried to.
  void awake() noexcept;

 protected:
  enum Flag : std::uint16_t {
    kWantRead = 1 << 0,
    kWantWrite = 1 << 1,
    kBlocked = 1 << 2,  ///< A write took less than it was offered, since enough was under way.
    kStarved = 1 << 3,  ///< A write found no memory.
    kCorked = 1 << 4,   ///< Written bytes are kept back, since more were to follow.
    kFin = 1 << 5,      ///< The peer's end of stream has come.
    kEndRead = 1 << 6,  ///< It was read.
    kShut = 1 << 7,     ///< Ours was sent.
    kReset = 1 << 8,
    kGoneTold = 1 << 9,
    kClosing = 1 << 10,  ///< Closed, but lwIP still refers to bytes.
    kIdle = 1 << 11,     ///< See `Transport::set_idle`.
    kWaiting = 1 << 12,  ///< A `LwipWaiting`.
    kFresh = 1 << 13,    ///< Nothing was read since it was accepted or idle.
  };
  bool has(Flag flag) const noexcept { return (flags_ & flag) != 0; }
  void put(Flag flag, bool on) noexcept {
    flags_ = static_cast<std::uint16_t>(on ? flags_ | flag : flags_ & ~flag);
  }

  /// Every byte that was written has arrived.
  bool all_acknowledged() const noexcept;
  /// Bytes that lwIP got and nobody has read.
  bool unread() const noexcept;
  /// lwIP calls nobody any more; the connection is its own now. Returns it.
  tcp_pcb* detach() noexcept;
  void drop_received() noexcept;
  /// What happens by itself as soon as it can.
  void settle() noexcept;
  static err_t on_poll(void* end, tcp_pcb* pcb) noexcept;

  tcp_pcb* pcb_ = nullptr;    ///< Null: lwIP has nothing more to say about it.
  pbuf* received_ = nullptr;  ///< Not read yet; the window opens as it is.
  std::uint16_t referred_ =
      0;  ///< How many of the bytes under way are from a `write` that was not copied, or before one.
  std::uint16_t flags_ = 0;

 private:
  static err_t on_received(void* end, tcp_pcb* pcb, pbuf* bytes, err_t error) noexcept;
  static err_t on_sent(void* end, tcp_pcb* pcb, std::uint16_t size) noexcept;
  static void on_error(void* end, err_t error) noexcept;

  void append(pbuf* bytes) noexcept;
};

/// A connection that waits to be accepted.
class LwipWaiting final : public LwipEnd {
 public:
  bool used() const noexcept { return listener != nullptr; }
  void start(LwipListener& at, std::uint32_t arrival, tcp_pcb& pcb) noexcept;
  /// Another one may come in its place.
  void leave_backlog() noexcept;

  LwipListener* listener = nullptr;
  std::uint32_t number = 0;  ///< They are numbered as they come.
};

class LwipTransport final : public Transport, public LwipEnd {
 public:
  LwipTransport(TransportEvents& events, LwipEnd& accepted) noexcept;
  LwipTransport(const LwipTransport&) = delete;

  Result<std::size_t> read(std::span<char> buffer) noexcept override;
  Result<std::size_t> write(std::span<const ConstBuffer> pieces, bool more) noexcept override;
  std::size_t undrained() const noexcept override;
  void set_interest(bool read, bool write) noexcept override;
  void set_idle() noexcept override;
  void shutdown_write() noexcept override;
  bool close(bool abort) noexcept override;
  Endpoint peer() const noexcept override;

  void flush() noexcept;
  /// Those who found no memory may try again.
  void memory_freed() noexcept { put(kStarved, false); }
  bool is_with(const ip_addr_t& address, std::uint16_t port, std::uint16_t local_port) const noexcept;
  /// Whether it is in the middle of something for which it waits for bytes.
  bool expects_bytes() const noexcept { return has(kWantRead) && !has(kFresh) && received_ == nullptr; }
  /// Tells the owner what has happened. False if nothing had.
  bool dispatch() noexcept;

  LwipTransport* next = nullptr;

 private:
  bool gone() const noexcept;
  bool readable() const noexcept;
  bool writable() const noexcept;
  /// Gives one piece to lwIP; returns how much it took.
  std::size_t write_piece(const char* data, std::size_t size, std::uint8_t flags) noexcept;
  void destroy() noexcept;

  TransportEvents& events_;
};

}  // namespace microdot::inline MICRODOT_ABI
