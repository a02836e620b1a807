#pragma once
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <type_traits>
#include <utility>

#include <microdot/async/strand.hpp>
#include <microdot/base/list.hpp>
#include <microdot/base/result.hpp>

namespace microdot::inline MICRODOT_ABI {

/// What is done with a message for somebody who takes them too slowly.
enum class WhenSlow : std::uint8_t {
  wait,         ///< Whoever sends waits.
  drop_oldest,  ///< The oldest message that waits is dropped for it, and counted.
  close,        ///< The slow one is closed.
};

/// Hands each message to all who have subscribed: chat rooms, live values, anything that is broadcast.
///
///     Channel<Reading> readings;
///
///     readings.publish(reading);                          // never waits
///     co_await readings.send(reading);                    // waits for subscribers whose policy is `wait`
///
///     Channel<Reading>::Subscription<8> subscription(readings, WhenSlow::drop_oldest);
///     while (auto reading = co_await subscription.next()) show(*reading);
///
/// A subscription lies where it is used, with room for `N` messages; it takes memory from nowhere else, and
/// one that is slow costs the others nothing. For use within one loop.
template <typename T>
class Channel {
 public:
  class Subscriber;
  template <std::size_t N>
  class Subscription;

  Channel() noexcept = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  /// Subscriptions that are left get `closed`.
  ~Channel() { close(); }

  /// Gives `message` to all subscribers. One that is full and whose policy is `wait` does not get it, and
  /// counts it as dropped: use `send` for those. `except` does not get it: whoever passes on what it takes
  /// from the channel, and brings what comes from there. Returns how many have it.
  std::size_t publish(const T& message, const Subscriber* except = nullptr) {
    std::size_t reached = 0;
    subscribers_.for_each([&](Subscriber& subscriber) {
      if (&subscriber != except && subscriber.take(message)) ++reached;
    });
    return reached;
  }

  class Send;
  /// `co_await channel.send(message)`: the same, once all subscribers whose policy is `wait` have room.
  [[nodiscard]] Send send(T message) { return Send(*this, std::move(message)); }

  /// Ends all subscriptions: what they have is still given, then `closed`.
  void close() noexcept {
    while (!subscribers_.empty()) subscribers_.front().end();
    wake_senders();
  }
  std::size_t subscribers() const noexcept { return count_; }
  /// Messages that slow subscribers did not get, of all that there ever were.
  std::uint64_t dropped() const noexcept { return dropped_; }
  /// Subscribers that were closed since they were slow.
  std::uint64_t closed_slow() const noexcept { return closed_slow_; }

 private:
  bool all_have_room() noexcept {
    return subscribers_.find([](Subscriber& subscriber) { return subscriber.makes_wait(); }) == nullptr;
  }
  void wake_senders() noexcept {
    while (!senders_.empty() && all_have_room()) senders_.pop_front().finish();
  }

  List<Subscriber> subscribers_;
  List<Send> senders_;
  std::size_t count_ = 0;
  std::uint64_t dropped_ = 0;
  std::uint64_t closed_slow_ = 0;
};

/// See `Channel::send`.
template <typename T>
class Channel<T>::Send : public ListHook {
 public:
  Send(Channel& channel, T message) : channel_(&channel), message_(std::move(message)) {}
  /// Of one that does not wait yet: for `wait_for` and `gather`.
  Send(Send&& other) noexcept(std::is_nothrow_move_constructible_v<T>)
      : channel_(other.channel_), message_(std::move(other.message_)) {}
  Send& operator=(Send&&) = delete;
  bool await_ready() {
    if (!channel_->senders_.empty() || !channel_->all_have_room()) return false;
    channel_->publish(message_);
    return true;
  }
  void await_suspend(std::coroutine_handle<> handle) noexcept {
    strand_ = &Strand::running();
    strand_->park(handle);
    channel_->senders_.push_back(*this);
  }
  /// Throws what the copy of a message threw.
  void await_resume() const {
#if MICRODOT_EXCEPTIONS
    if (exception_) std::rethrow_exception(exception_);
#endif
  }

 private:
  friend class Channel;
  void finish() noexcept {
#if MICRODOT_EXCEPTIONS
    try {
      channel_->publish(message_);
    } catch (...) {
      exception_ = std::current_exception();
    }
#else
    channel_->publish(message_);
#endif
    strand_->wake();
  }

  Channel* channel_;
  Strand* strand_ = nullptr;
#if MICRODOT_EXCEPTIONS
  std::exception_ptr exception_;
#endif
  T message_;
};

/// A subscription of any size: what a `Channel` knows of it.
template <typename T>
class Channel<T>::Subscriber : public ListHook {
 public:
  class Next {
   public:
    explicit Next(Subscriber& subscriber) noexcept : subscriber_(&subscriber) {}
    /// Of one that does not wait yet: for `wait_for` and `gather`.
    Next(Next&& other) noexcept : subscriber_(other.subscriber_) {}
    Next& operator=(Next&&) = delete;
    ~Next() {
      if (waits_) subscriber_->strand_ = nullptr;
    }
    bool await_ready() const noexcept {
      return subscriber_->size_ != 0 || subscriber_->channel_ == nullptr || subscriber_->strand_ != nullptr;
    }
    void await_suspend(std::coroutine_handle<> handle) noexcept {
      subscriber_->strand_ = &Strand::running();
      subscriber_->strand_->park(handle);
      waits_ = true;
    }
    Result<T> await_resume() {
      if (waits_) subscriber_->strand_ = nullptr;
      waits_ = false;
      if (subscriber_->size_ != 0) return subscriber_->pop();
      return subscriber_->channel_ == nullptr ? Error::closed : Error::invalid;
    }

   private:
    Subscriber* subscriber_;
    bool waits_ = false;
  };

  /// The oldest message that waits; waits for one if there is none. `closed`: the channel has ended, or this
  /// subscriber was closed since it was slow. One strand may wait at a time; another one gets `invalid`.
  [[nodiscard]] Next next() noexcept { return Next(*this); }
  std::size_t size() const noexcept { return size_; }
  /// Messages that it did not get.
  std::uint32_t dropped() const noexcept { return dropped_; }

 protected:
  Subscriber(Channel& channel, std::byte* storage, std::size_t capacity, WhenSlow when_slow) noexcept
      : channel_(&channel), storage_(storage), capacity_(capacity), when_slow_(when_slow) {
    channel.subscribers_.push_back(*this);
    ++channel.count_;
  }
  ~Subscriber() = default;
  void leave() noexcept {
    while (size_ != 0) drop();
    Channel* const channel = channel_;
    end();
    if (channel != nullptr) channel->wake_senders();
  }

 private:
  friend class Channel;

  T* at(std::size_t i) noexcept {
    return std::launder(reinterpret_cast<T*>(storage_ + (first_ + i) % capacity_ * sizeof(T)));
  }
  bool makes_wait() const noexcept { return when_slow_ == WhenSlow::wait && size_ == capacity_; }
  bool take(const T& given) {
    T message(given);  // may throw: before anything goes
    if (size_ == capacity_) {
      if (when_slow_ == WhenSlow::close) {
        ++channel_->closed_slow_;
        end();
        return false;
      }
      ++dropped_;
      ++channel_->dropped_;
      if (when_slow_ == WhenSlow::wait) return false;
      drop();
    }
    ::new (static_cast<void*>(storage_ + (first_ + size_) % capacity_ * sizeof(T))) T(std::move(message));
    ++size_;
    if (strand_ != nullptr) strand_->wake();
    return true;
  }
  void drop() noexcept {
    at(0)->~T();
    first_ = (first_ + 1) % capacity_;
    --size_;
  }
  T pop() {
    T value = std::move(*at(0));
    drop();
    if (channel_ != nullptr) channel_->wake_senders();
    return value;
  }
  void end() noexcept {
    unlink();
    if (channel_ != nullptr) --channel_->count_;
    channel_ = nullptr;
    if (strand_ != nullptr) strand_->wake();
  }

  Channel* channel_;
  std::byte* storage_;
  std::size_t capacity_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
  Strand* strand_ = nullptr;  // that waits
  std::uint32_t dropped_ = 0;
  WhenSlow when_slow_;
};

/// A subscriber with room for `N` messages. Ends with its scope.
template <typename T>
template <std::size_t N>
class Channel<T>::Subscription : public Channel<T>::Subscriber {
  static_assert(N > 0, "Channel: a subscription has at least one place");

 public:
  explicit Subscription(Channel& channel, WhenSlow when_slow = WhenSlow::drop_oldest) noexcept
      : Subscriber(channel, places_, N, when_slow) {}
  ~Subscription() { this->leave(); }

 private:
  alignas(T) std::byte places_[N * sizeof(T)];
};

}  // namespace microdot::inline MICRODOT_ABI
