#pragma once
// An update: what comes goes into the slot that is not in use, and takes its place only when it is whole and
// right.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "flash.hpp"
#include "image.hpp"

class Updater {
 public:
  enum class State : std::uint8_t { idle, receiving, installed, refused };

  explicit Updater(Flash flash) noexcept : flash_(flash) {}

  /// An update, for as long as it lives. One that ends before it is complete is refused.
  class Session {
   public:
    explicit Session(Updater& updater) noexcept : updater_(updater.begin() ? &updater : nullptr) {}
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session() {
      if (updater_ != nullptr && updater_->state_ == State::receiving)
        updater_->refuse("the upload ended early");
    }
    /// No other one is under way.
    explicit operator bool() const noexcept { return updater_ != nullptr; }

   private:
    Updater* updater_;
  };

  /// The next bytes of the image: a sink. Each page is written as soon as it is full.
  microdot::Task<microdot::Result<void>> operator()(std::string_view bytes) {
    while (!bytes.empty() && state_ == State::receiving) {
      const std::size_t taken = bytes.copy(&page_[used_], page_.size() - used_);
      bytes.remove_prefix(taken);
      used_ += taken;
      if (used_ == page_.size()) co_await write_page();
    }
    co_return state_ == State::receiving ? microdot::Error::none : microdot::Error::invalid;
  }

  /// All has come. Whether it is installed.
  microdot::Task<bool> finish() {
    if (state_ == State::receiving && used_ != 0) co_await write_page();
    if (state_ != State::receiving) co_return false;
    ImageHeader header;
    if (!header.parse({first_.data(), first_.size()})) {
      refuse("no image");
    } else if (written_ != ImageHeader::kBytes + header.size) {
      refuse("an image of another size than it says");
    } else if (crc_.value() != header.crc) {
      refuse("an image with a wrong checksum");
    } else if (!flash_.program(spare(), 0, {first_.data(), first_.size()})) {
      refuse("the flash is worn out");
    } else {
      // Only now, for without its header it is no image: whatever happens before, the old one is in use.
      active_ = spare();
      state_ = State::installed;
    }
    co_return state_ == State::installed;
  }

  State state() const noexcept { return state_; }
  std::string_view reason() const noexcept { return reason_; }
  std::size_t written() const noexcept { return written_; }
  std::size_t expected() const noexcept { return expected_; }
  /// The image in use, header and all; "" if there is none.
  std::string_view active() const noexcept {
    ImageHeader header;
    if (active_ < 0 || !header.parse(flash_.slot(active_))) return {};
    return flash_.slot(active_).substr(0, ImageHeader::kBytes + header.size);
  }
  std::string_view version() const noexcept {
    ImageHeader header;
    return header.parse(active()) ? header.version : "none";
  }

 private:
  int spare() const noexcept { return active_ == 0 ? 1 : 0; }

  bool begin() noexcept {
    if (state_ == State::receiving) return false;
    state_ = State::receiving;
    reason_ = "";
    used_ = written_ = expected_ = 0;
    crc_ = {};
    first_.fill('\0');
    return true;
  }

  void refuse(const char* reason) noexcept {
    state_ = State::refused;
    reason_ = reason;
  }

  // The page is full, or the last one.
  microdot::Task<> write_page() {
    std::string_view bytes(page_.data(), used_);
    std::size_t offset = written_;
    if (offset == 0) {
      ImageHeader header;
      if (!header.parse(bytes)) co_return refuse("no image");
      if (header.size > Flash::kSlotBytes - ImageHeader::kBytes)
        co_return refuse("an image that is too large");
      expected_ = ImageHeader::kBytes + header.size;
      // The header is kept, and written last.
      bytes.copy(first_.data(), first_.size());
      bytes.remove_prefix(first_.size());
      offset = first_.size();
    }
    if (written_ + used_ > expected_) co_return refuse("an image of another size than it says");
    if (written_ % Flash::kSectorBytes == 0) co_await flash_.erase_sector(spare(), written_);
    if (!flash_.program(spare(), offset, bytes)) co_return refuse("the flash is worn out");
    crc_.add(bytes);
    written_ += used_;
    used_ = 0;
  }

  Flash flash_;
  int active_ = -1;
  State state_ = State::idle;
  const char* reason_ = "";
  std::size_t used_ = 0;      // bytes in page_
  std::size_t written_ = 0;   // bytes before those
  std::size_t expected_ = 0;  // as the header says; 0 before that
  Crc32 crc_;
  std::array<char, ImageHeader::kBytes> first_{};
  std::array<char, Flash::kPageBytes> page_{};
};
