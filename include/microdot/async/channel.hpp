#pragma once
#include <atomic>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <type_traits>
#include <utility>

#include <microdot/async/waiter.hpp>
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
/// one that is slow costs the others nothing.
///
/// Publishers and subscribers may be of several loops, as with several workers; a thread without a loop may
/// publish, too. Each subscriber gets what one publisher has sent in its order. The channel must outlive what
/// other threads do with it. Messages are copied and destroyed under its lock: a message must not use the
/// channel then.
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
  ~Channel() {
    const Guard guard(&lock_);
    while (!subscribers_.empty()) subscribers_.front().end();
    while (!ended_.empty()) ended_.pop_front().channel_ = nullptr;
    wake_senders();
  }

  /// Gives `message` to all subscribers. One that is full and whose policy is `wait` does not get it, and
  /// counts it as dropped: use `send` for those. `except` does not get it: whoever passes on what it takes
  /// from the channel, and brings what comes from there. Returns how many have it.
  std::size_t publish(const T& message, const Subscriber* except = nullptr) {
    const Guard guard(&lock_);
    return publish_locked(message, except);
  }

  class Send;
  /// `co_await channel.send(message)`: the same, once all subscribers whose policy is `wait` have room.
  [[nodiscard]] Send send(T message) { return Send(*this, std::move(message)); }

  /// Ends all subscriptions: what they have is still given, then `closed`.
  void close() noexcept {
    const Guard guard(&lock_);
    while (!subscribers_.empty()) subscribers_.front().end();
    wake_senders();
  }
  std::size_t subscribers() const noexcept {
    const Guard guard(&lock_);
    return count_;
  }
  /// Messages that slow subscribers did not get, of all that there ever were.
  std::uint64_t dropped() const noexcept {
    const Guard guard(&lock_);
    return dropped_;
  }
  /// Subscribers that were closed since they were slow.
  std::uint64_t closed_slow() const noexcept {
    const Guard guard(&lock_);
    return closed_slow_;
  }

 private:
  using Guard = detail::SharedLock::Guard;

  // From here on all is under the lock.

  std::size_t publish_locked(const T& message, const Subscriber* except = nullptr) {
    std::size_t reached = 0;
    subscribers_.for_each([&](Subscriber& subscriber) {
      if (&subscriber != except && subscriber.take(message)) ++reached;
    });
    return reached;
  }
  bool all_have_room() noexcept {
    return subscribers_.find([](Subscriber& subscriber) { return subscriber.makes_wait(); }) == nullptr;
  }
  void wake_senders() noexcept {
    while (!senders_.empty() && all_have_room()) senders_.pop_front().finish();
  }

  [[no_unique_address]] mutable detail::SharedLock lock_;
  List<Subscriber> subscribers_;
  List<Subscriber> ended_;  // whose objects are still there
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
  ~Send() {
    if (!waited_) return;
    {
      const Guard guard(sent_.load(std::memory_order_acquire) ? nullptr : &channel_->lock_);
      this->unlink();
      waiter_.wait_no_more();
    }
    waiter_.forget();
  }
  bool await_ready() {
    const Guard guard(&channel_->lock_);
    if (!may_send()) return false;
    channel_->publish_locked(message_);
    return true;
  }
  bool await_suspend(std::coroutine_handle<> handle) noexcept {
    const Guard guard(&channel_->lock_);
    if (may_send()) {  // another thread has made room meanwhile
      deliver();
      return false;
    }
    waited_ = true;
    waiter_.wait(handle);
    channel_->senders_.push_back(*this);
    return true;
  }
  /// Throws what the copy of a message threw.
  void await_resume() const {
#if MICRODOT_EXCEPTIONS
    if (exception_) std::rethrow_exception(exception_);
#endif
  }

 private:
  friend class Channel;
  bool may_send() const noexcept { return channel_->senders_.empty() && channel_->all_have_room(); }
  // Perhaps in another thread: by whoever made room.
  void finish() noexcept {
    deliver();
    waiter_.wake();
    sent_.store(true, std::memory_order_release);  // the last that is done to it
  }
  void deliver() noexcept {
#if MICRODOT_EXCEPTIONS
    try {
      channel_->publish_locked(message_);
    } catch (...) {
      exception_ = std::current_exception();
    }
#else
    channel_->publish_locked(message_);
#endif
  }

  Channel* channel_;
  detail::SharedWaiter waiter_;
  bool waited_ = false;
  std::atomic<bool> sent_{false};
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
      if (!waits_) return;
      const Guard guard(subscriber_->lock());
      subscriber_->waiter_.wait_no_more();
    }
    bool await_ready() const noexcept { return detail::load_shared(subscriber_->size_) != 0; }
    bool await_suspend(std::coroutine_handle<> handle) noexcept {
      const Guard guard(subscriber_->lock());
      if (subscriber_->size_ != 0 || subscriber_->ended_ || subscriber_->waiter_.waits()) return false;
      waits_ = true;
      subscriber_->waiter_.wait(handle);
      return true;
    }
    Result<T> await_resume() {
      const Guard guard(subscriber_->lock());
      if (waits_) subscriber_->waiter_.wait_no_more();
      waits_ = false;
      if (subscriber_->size_ != 0) return subscriber_->pop();
      return subscriber_->ended_ ? Error::closed : Error::invalid;
    }

   private:
    Subscriber* subscriber_;
    bool waits_ = false;
  };

  /// The oldest message that waits; waits for one if there is none. `closed`: the channel has ended, or this
  /// subscriber was closed since it was slow. One strand may wait at a time; another one gets `invalid`.
  [[nodiscard]] Next next() noexcept { return Next(*this); }
  std::size_t size() const noexcept {
    const Guard guard(lock());
    return size_;
  }
  /// Messages that it did not get.
  std::uint32_t dropped() const noexcept {
    const Guard guard(lock());
    return dropped_;
  }

 protected:
  Subscriber(Channel& channel, std::byte* storage, std::size_t capacity, WhenSlow when_slow) noexcept
      : channel_(&channel), storage_(storage), capacity_(capacity), when_slow_(when_slow) {
    const Guard guard(lock());
    channel.subscribers_.push_back(*this);
    ++channel.count_;
  }
  ~Subscriber() = default;
  void leave() noexcept {
    {
      const Guard guard(lock());
      while (size_ != 0) drop();
      if (!ended_) end();
      this->unlink();
      if (channel_ != nullptr) channel_->wake_senders();
    }
    waiter_.forget();
  }

 private:
  friend class Channel;
  using Guard = detail::SharedLock::Guard;

  detail::SharedLock* lock() const noexcept { return channel_ != nullptr ? &channel_->lock_ : nullptr; }
  // From here on all is under the lock.
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
    detail::count_up(size_);
    waiter_.wake();
    return true;
  }
  void drop() noexcept {
    at(0)->~T();
    first_ = (first_ + 1) % capacity_;
    detail::count_down(size_);
  }
  T pop() {
    T value = std::move(*at(0));
    drop();
    if (channel_ != nullptr) channel_->wake_senders();
    return value;
  }
  void end() noexcept {
    ended_ = true;
    this->unlink();
    channel_->ended_.push_back(*this);
    --channel_->count_;
    waiter_.wake();
  }

  Channel* channel_;  // also after the end; null when it is gone
  std::byte* storage_;
  std::size_t capacity_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
  detail::SharedWaiter waiter_;
  std::uint32_t dropped_ = 0;
  WhenSlow when_slow_;
  bool ended_ = false;
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
