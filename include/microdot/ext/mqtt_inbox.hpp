#pragma once
/// Who gets the messages of an MQTT client: handlers, and inboxes for tasks. Included by <ext/mqtt.hpp>.

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include <microdot/async/strand.hpp>
#include <microdot/base/arena.hpp>
#include <microdot/base/list.hpp>
#include <microdot/base/result.hpp>
#include <microdot/ext/mqtt_limits.hpp>
#include <microdot/ext/mqtt_protocol.hpp>
#include <microdot/ext/mqtt_store.hpp>

namespace microdot::inline MICRODOT_ABI {

class MqttClient;

namespace detail {

/// Who gets messages: a handler or an inbox.
class MqttReceiver : public ListHook {
 public:
  /// May throw what the user's code throws.
  virtual void call(const MqttMessage& message) = 0;
  /// The client has ended, and may begin anew.
  virtual void on_disconnected() noexcept {}
  /// The client goes.
  virtual void end() noexcept = 0;

 protected:
  ~MqttReceiver() = default;
};

template <typename F>
class MqttHandler final : public MqttReceiver {
 public:
  explicit MqttHandler(F&& f) : f_(std::move(f)) {}
  explicit MqttHandler(const F& f) : f_(f) {}
  void call(const MqttMessage& message) override {
    if constexpr (std::invocable<F&, const MqttMessage&>) {
      f_(message);
    } else {
      f_();
    }
  }
  void end() noexcept override {
    this->~MqttHandler();
    Arena::free(this);
  }

 private:
  F f_;
};

/// A filter, once for all who have subscribed to it; its text lies behind it.
struct MqttFilter : public ListHook {
  enum class State : std::uint8_t { wanted, asked, granted, denied };

  bool unused() noexcept { return inboxes.empty() && handlers.empty(); }

  List<MqttReceiver> inboxes;
  List<MqttReceiver> handlers;
  std::string_view text;
  std::uint16_t id = 0;  // while asked
  bool known = false;    // the broker may know of it
  std::uint8_t qos = 0;
  State state = State::wanted;
};

}  // namespace detail

/// How an inbox is kept.
struct MqttInboxOptions {
  std::uint8_t qos = 0;
  /// `wait`: while more than half of it is full, nothing is read from the broker, for all of the client's
  /// subscriptions; messages that were read already and find no room are dropped nevertheless.
  /// Acknowledgments are not read, either: do not wait for `flush`, or for room in the outbox, in the task
  /// that takes from it. If something in flight has waited for its answer for `keep_alive`, or 20 s if that
  /// is less, all is read again, and dropped where it finds no room (`dropped`), until it was taken from.
  MqttWhenFull when_full = MqttWhenFull::drop_oldest;
};

/// An inbox of any size: see `MqttInbox`.
class MqttInboxBase : private detail::MqttReceiver {
 public:
  MqttInboxBase(const MqttInboxBase&) = delete;
  MqttInboxBase& operator=(const MqttInboxBase&) = delete;

  class Next {
   public:
    explicit Next(MqttInboxBase& inbox) noexcept : inbox_(&inbox) {}
    /// Of one that does not wait yet: for `wait_for` and `gather`.
    Next(Next&& other) noexcept : inbox_(other.inbox_) {}
    Next& operator=(Next&&) = delete;
    ~Next() {
      if (waits_) inbox_->strand_ = nullptr;
    }
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> handle) noexcept;
    Result<MqttMessage> await_resume() noexcept;

   private:
    MqttInboxBase* inbox_;
    bool waits_ = false;
  };

  /// `co_await inbox.next()`: the oldest message; waits for one. Its views are valid until the next call of
  /// `next`. Errors: `closed`, the client was disconnected and nothing is left; that of `error()`; `invalid`
  /// for a second strand that waits.
  [[nodiscard]] Next next() noexcept { return Next(*this); }
  /// Why it gets nothing, which the log has told: `invalid`, the filter; `no_memory` in
  /// `MqttLimits::subscription_bytes`.
  Error error() const noexcept { return error_; }
  /// Bytes of the messages that are there, the one that was taken last included.
  std::size_t used() const noexcept { return store_.used(); }
  /// Messages that it did not get, or that went for newer ones.
  std::uint32_t dropped() const noexcept { return dropped_; }

 protected:
  MqttInboxBase(MqttClient& client, std::string_view filter, const MqttInboxOptions& options,
                std::span<std::byte> block) noexcept;
  ~MqttInboxBase() = default;
  void leave() noexcept;

 private:
  void call(const MqttMessage& message) override;
  void on_disconnected() noexcept override;
  void end() noexcept override;
  void note_dropped() noexcept;
  void note_fill() noexcept;
  void release_taken() noexcept;
  bool has_ended() const noexcept;

  MqttClient* client_;
  detail::MqttFilter* filter_ = nullptr;
  detail::MqttStore store_;
  Strand* strand_ = nullptr;  // that waits
  std::uint32_t dropped_ = 0;
  MqttWhenFull when_full_;
  Error error_ = Error::none;
  bool taken_ = false;  // the first message was given out
  bool full_ = false;   // it makes the broker wait
};

/// A queue of messages, of `kBytes` in all (see `mqtt_message_bytes`), for a task that takes them:
///
///     MqttInbox<1024> inbox(mqtt, "hub/1/set", {.qos = 1});
///     while (auto message = co_await inbox.next()) co_await apply(message->payload);
///
/// It subscribes, and leaves with its scope. For use within one loop.
template <std::size_t kBytes>
class MqttInbox final : public MqttInboxBase {
  static_assert(kBytes >= mqtt_message_bytes(1, 0), "MqttInbox: room for a message");

 public:
  MqttInbox(MqttClient& client, std::string_view filter, const MqttInboxOptions& options = {}) noexcept
      : MqttInboxBase(client, filter, options, block_) {}
  ~MqttInbox() { this->leave(); }

 private:
  alignas(std::max_align_t) std::byte block_[kBytes];
};

}  // namespace microdot::inline MICRODOT_ABI
