#pragma once
#include <coroutine>
#include <cstdint>
#include <utility>

#include <microdot/async/strand.hpp>
#include <microdot/base/list.hpp>
#include <microdot/base/result.hpp>

namespace microdot::inline MICRODOT_ABI {

/// The latest value of something, for any number of readers that want to know when it changes: a sensor's
/// reading, a state, settings.
///
///     Watch<Reading> reading;
///
///     reading.set(sensor.read());                 // never waits
///     show(reading.value());                      // the latest, at any time
///
///     auto changes = reading.watch();             // what is there now counts as seen
///     while (auto latest = co_await changes.next()) publish(*latest);
///
/// There is no queue: a reader that is slow gets the latest value only, and costs the others nothing (see
/// `Channel` for each value). For use within one loop.
template <typename T>
class Watch {
 public:
  class Reader;

  explicit Watch(T initial = T()) : value_(std::move(initial)) {}
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  /// Readers that are left get `closed`.
  ~Watch() {
    while (!readers_.empty()) readers_.front().leave_watch();
  }

  /// Replaces the value, and wakes all readers, even if it is the same.
  void set(T value) {
    value_ = std::move(value);
    ++version_;
    readers_.for_each([](Reader& reader) { reader.wake(); });
  }
  const T& value() const noexcept { return value_; }
  /// How often it has been set.
  std::uint32_t version() const noexcept { return version_; }

  /// A reader, which ends with its scope; it may outlive the watch.
  [[nodiscard]] Reader watch() noexcept { return Reader(*this); }

 private:
  T value_;
  std::uint32_t version_ = 0;
  List<Reader> readers_;
};

/// See `Watch::watch`.
template <typename T>
class Watch<T>::Reader : public ListHook {
 public:
  class Next {
   public:
    explicit Next(Reader& reader) noexcept : reader_(&reader) {}
    /// Of one that does not wait yet: for `wait_for` and `gather`.
    Next(Next&& other) noexcept : reader_(other.reader_) {}
    Next& operator=(Next&&) = delete;
    ~Next() {
      if (waits_) reader_->strand_ = nullptr;
    }
    bool await_ready() const noexcept {
      return reader_->watch_ == nullptr || reader_->changed() || reader_->strand_ != nullptr;
    }
    void await_suspend(std::coroutine_handle<> handle) noexcept {
      reader_->strand_ = &Strand::running();
      reader_->strand_->park(handle);
      waits_ = true;
    }
    Result<T> await_resume() {
      if (std::exchange(waits_, false)) reader_->strand_ = nullptr;
      if (reader_->watch_ == nullptr) return Error::closed;
      if (!reader_->changed()) return Error::invalid;
      reader_->seen_ = reader_->watch_->version_;
      return reader_->watch_->value_;
    }

   private:
    Reader* reader_;
    bool waits_ = false;
  };

  explicit Reader(Watch& watch) noexcept : watch_(&watch), seen_(watch.version_) {
    watch.readers_.push_back(*this);
  }

  /// The latest value, once there is one that this reader has not seen. `closed`: the watch is gone, and its
  /// value with it. One strand may wait at a time; another one gets `invalid`.
  [[nodiscard]] Next next() noexcept { return Next(*this); }
  /// There is a value that it has not seen: `next` would not wait.
  bool changed() const noexcept { return watch_ != nullptr && seen_ != watch_->version_; }

 private:
  friend class Watch;
  void wake() noexcept {
    if (strand_ != nullptr) strand_->wake();
  }
  void leave_watch() noexcept {
    unlink();
    watch_ = nullptr;
    wake();
  }

  Watch* watch_;
  std::uint32_t seen_;
  Strand* strand_ = nullptr;  // that waits
};

}  // namespace microdot::inline MICRODOT_ABI
