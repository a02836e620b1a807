#pragma once
/// A `Channel` shared by several processes or machines through an MQTT broker: what is published at one node
/// reaches the subscribers, and so the WebSocket and SSE clients, of all:
///
///     Channel<Line> room;
///     create_task("cluster", [] { return share(room, mqtt, "chat/lobby"); });
///
/// Nothing of the channel's users changes, and nodes keep nothing but what is on its way.

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <span>
#include <string_view>
#include <type_traits>

#include <microdot/async/channel.hpp>
#include <microdot/async/event.hpp>
#include <microdot/async/task_group.hpp>
#include <microdot/ext/mqtt.hpp>
#include <microdot/http/utf8.hpp>

namespace microdot::inline MICRODOT_ABI {

/// The memory of a shared channel: a template argument of `share`. All of it lies in the task pool.
struct ShareLimits {
  std::uint32_t queue = 64;               ///< Messages of this node that wait for the client's outbox.
  std::uint32_t message_bytes = 1024;     ///< The largest encoding of a message.
  std::uint32_t inbox_bytes = 16 * 1024;  ///< Messages of other nodes that have come: `MqttInbox`.
  std::uint32_t nodes = 32;  ///< Other nodes that are known at a time; those not heard for longest go first.

  friend constexpr bool operator==(const ShareLimits&, const ShareLimits&) noexcept = default;
  static constexpr ShareLimits device() noexcept {
    return {.queue = 4, .message_bytes = 128, .inbox_bytes = 512, .nodes = 8};
  }
};

/// What a shared channel has done.
struct ShareStats {
  std::uint64_t sent = 0;      ///< Messages of this node that went into the client's outbox.
  std::uint64_t unsent = 0;    ///< Those that did not: too large, refused, or the queue was full.
  std::uint64_t received = 0;  ///< Messages of other nodes that the channel was given.
  std::uint64_t own = 0;       ///< Messages of this node that came back, of an earlier run, too.
  std::uint64_t repeated = 0;  ///< Messages that had come before.
  std::uint64_t missed = 0;    ///< Messages of other nodes, known before, that never came.
  std::uint64_t rejected = 0;  ///< What came and was no message of this channel, or of another version.
};

/// How a channel is shared.
struct ShareOptions {
  std::uint8_t qos = 1;  ///< 0: what is on its way when a connection is lost goes with it.
  /// Of what messages mean: raise it when `T` changes. Nodes of other versions don't understand each other.
  std::uint16_t version = 0;
  ShareStats* stats = nullptr;  ///< Is written to, as long as the channel is shared. Null: nobody asks.
};

/// How messages of type `T` become bytes and come back. By default texts (what can be made of a
/// `std::string_view` and converts to it: `std::string`, a class of yours with room for a line) are sent as
/// they are and must be UTF-8; numbers, and structs that can be copied as bytes, as their bytes. For others,
/// specialise it. Bytes that came are somebody's: `decode` trusts none of them. A struct that is copied as
/// bytes gets any: with a `bool`, an index or a length in it, it needs a `decode` that looks.
///
///     template <> struct microdot::ShareCodec<Reading> {
///       static std::size_t encode(const Reading& reading, std::span<char> room);
///       static Result<Reading> decode(std::string_view bytes);
///     };
///
/// `encode` gives the size of the whole; one larger than `room` is not sent. `decode` gives an error
/// (`invalid`) for what is no message.
template <typename T>
struct ShareCodec {
  static constexpr bool kIsText =
      std::convertible_to<const T&, std::string_view> && std::constructible_from<T, std::string_view>;
  static_assert(!std::is_pointer_v<T> && !std::is_same_v<T, std::string_view>,
                "share: T points to bytes of this process; take one that has them, like std::string");
  static_assert(!std::is_same_v<T, bool>, "share: a bool has not all values of a byte; take a number");
  static_assert(kIsText || std::is_trivially_copyable_v<T>,
                "share: T is no text and can't be copied as bytes: specialise microdot::ShareCodec<T>");

  static std::size_t encode(const T& message, std::span<char> room) noexcept {
    if constexpr (kIsText) {
      const std::string_view text = message;
      std::copy_n(text.data(), std::min(text.size(), room.size()), room.data());
      return text.size();
    } else {
      if (sizeof(T) <= room.size()) std::memcpy(room.data(), &message, sizeof(T));
      return sizeof(T);
    }
  }
  static Result<T> decode(std::string_view bytes) {
    if constexpr (kIsText) {
      if (!is_utf8(bytes)) return Error::invalid;
      T message(bytes);
      if (std::string_view(message) != bytes) return Error::invalid;  // it did not take all
      return message;
    } else {
      std::array<char, sizeof(T)> copy;
      if (bytes.size() != copy.size()) return Error::invalid;
      std::copy_n(bytes.data(), copy.size(), copy.data());
      return std::bit_cast<T>(copy);
    }
  }
};

namespace detail {

/// Whose a message is.
struct ShareId {
  std::uint64_t node = 0;  // of its client id: the same after a restart; 0: none
  std::uint32_t run = 0;   // random

  friend constexpr bool operator==(const ShareId&, const ShareId&) noexcept = default;
};

/// What stands before each message: whose it is, and its number there.
struct ShareHead {
  static constexpr std::size_t kBytes = 20;

  ShareId id;
  std::uint32_t number = 0;
  std::uint16_t version = 0;

  void write(std::span<char, kBytes> out) const noexcept;
  /// `invalid`: that is no head of this format.
  static Result<ShareHead> read(std::string_view payload) noexcept;
};

/// Another node, and the number of its last message.
struct ShareNode {
  ShareId id;
  std::uint32_t number = 0;
};

/// Of a node whose client has this id; of a random one if that is empty.
ShareId make_share_id(std::string_view client_id) noexcept;
/// Whether a message is new. Notes it, and counts what was missed; `nodes` are in the order they were heard,
/// the latest first.
bool note_share_number(std::span<ShareNode> nodes, const ShareHead& head, ShareStats& stats) noexcept;

/// A channel while it is shared.
template <typename T, ShareLimits kLimits>
class SharedChannel {
  static_assert(kLimits.queue > 0 && kLimits.message_bytes > 0 && kLimits.nodes > 0, "share: ShareLimits");
  static_assert(kLimits.inbox_bytes >= 2 * mqtt_message_bytes(64, ShareHead::kBytes + kLimits.message_bytes),
                "share: ShareLimits::inbox_bytes holds two messages at least, each with its topic");

 public:
  SharedChannel(Channel<T>& channel, MqttClient& mqtt, std::string_view topic,
                const ShareOptions& options) noexcept
      : channel_(&channel),
        mqtt_(&mqtt),
        topic_(topic),
        options_(options),
        id_(make_share_id(mqtt.client_id())),
        stats_(options.stats != nullptr ? options.stats : &own_stats_),
        out_(channel, WhenSlow::drop_oldest),
        in_(mqtt, topic, {.qos = options.qos, .when_full = MqttWhenFull::wait}) {}

  Error error() const noexcept { return in_.error(); }
  Event& ended() noexcept { return ended_; }
  void rethrow() const {
#if MICRODOT_EXCEPTIONS
    if (exception_) std::rethrow_exception(exception_);
#endif
  }

  static Task<> send(SharedChannel* shared) { return shared->run(shared->send_all()); }
  static Task<> receive(SharedChannel* shared) { return shared->run(shared->receive_all()); }

 private:
  /// Either way ends both.
  Task<> run(Task<> way) {
#if MICRODOT_EXCEPTIONS
    try {
      co_await way;
    } catch (...) {
      exception_ = std::current_exception();
    }
#else
    co_await way;
#endif
    ended_.set();
  }

  // Messages of this node that were dropped have numbers, too: so others know that they missed some.
  Task<> send_all() {
    std::uint32_t taken = 0;
    std::uint32_t dropped = 0;
    while (auto message = co_await out_.next()) {
      const std::uint32_t dropped_now = out_.dropped();
      stats_->unsent += dropped_now - dropped;
      dropped = dropped_now;
      const ShareHead head{.id = id_, .number = ++taken + dropped, .version = options_.version};
      const std::size_t size = encode(head, *message);
      Result<void> sent = Error::too_large;
      if (size <= sizeof payload_)
        sent = co_await mqtt_->publish(topic_, std::string_view(payload_, size), {.qos = options_.qos});
      if (!sent && sent.error() == Error::closed) co_return;
      ++(sent ? stats_->sent : stats_->unsent);
    }
  }
  std::size_t encode(const ShareHead& head, const T& message) {
    const std::span<char, sizeof payload_> payload(payload_);
    head.write(payload.template first<ShareHead::kBytes>());
    return ShareHead::kBytes +
           ShareCodec<T>::encode(message, std::span<char>(payload.template subspan<ShareHead::kBytes>()));
  }

  Task<> receive_all() {
    while (auto message = co_await in_.next()) take(*message);
  }
  void take(const MqttMessage& message) {
    const Result<ShareHead> head = ShareHead::read(message.payload);
    // Shared messages are never retained: such a one is somebody else's.
    if (!head || head->version != options_.version || message.retain) {
      ++stats_->rejected;
      return;
    }
    if (head->id.node == id_.node) {
      ++stats_->own;
      return;
    }
    // Looked at first: what is no message tells nothing about a node either.
    const Result<T> decoded = ShareCodec<T>::decode(message.payload.substr(ShareHead::kBytes));
    if (!decoded) {
      ++stats_->rejected;
    } else if (note_share_number(nodes_, *head, *stats_)) {
      ++stats_->received;
      channel_->publish(*decoded, &out_);
    }
  }

  Channel<T>* channel_;
  MqttClient* mqtt_;
  std::string_view topic_;
  ShareOptions options_;
  ShareId id_;
  ShareStats own_stats_;
  ShareStats* stats_;
  ShareNode nodes_[kLimits.nodes];
  Event ended_;
#if MICRODOT_EXCEPTIONS
  std::exception_ptr exception_;
#endif
  typename Channel<T>::template Subscription<kLimits.queue> out_;
  MqttInbox<kLimits.inbox_bytes> in_;
  char payload_[ShareHead::kBytes + kLimits.message_bytes];
};

}  // namespace detail

/// Shares `channel` with all nodes that share one of the same `T` under the same `topic`, until the channel
/// is closed or the client disconnected: to be run as a task, in the client's loop. Local subscribers get
/// what is published here at once, broker or not; no node gets a message twice; each gets those of another
/// node in its order. While the broker is away messages wait in the client's outbox, as
/// `MqttLimits::when_full` says, and behind it in a queue that drops its oldest. A channel is shared under
/// one topic, by one task; the topic's text must stay valid. Each node's client has a `client_id` of its own,
/// which stays after a restart: messages of one's own id are not heard again. Results: `invalid`, that is no
/// topic; `no_memory`, for a subscription (see `MqttLimits::subscription_bytes`) or for a task.
///
///     create_task("cluster", share<Reading, ShareLimits::device()>, std::ref(readings), std::ref(mqtt),
///     "site/readings",
///                 ShareOptions{.qos = 0});
template <typename T, ShareLimits kLimits = ShareLimits{}>
Task<Result<void>> share(Channel<T>& channel, MqttClient& mqtt, std::string_view topic,
                         ShareOptions options = {}) {
  if (!is_mqtt_topic(topic) || options.qos > 2) co_return Error::invalid;
  using Shared = detail::SharedChannel<T, kLimits>;
  Shared shared(channel, mqtt, topic, options);
  if (shared.error() != Error::none) co_return shared.error();
  TaskGroup group;
  if (!group.create_task(Shared::send, &shared) || !group.create_task(Shared::receive, &shared))
    co_return Error::no_memory;
  co_await shared.ended().wait();
  group.cancel();
  shared.rethrow();
  co_return Result<void>();
}

}  // namespace microdot::inline MICRODOT_ABI
