#include "drivers/lan9118.hpp"

#include <lwip/pbuf.h>

#include "core.hpp"
#include "drivers/frames.hpp"

namespace firmware {
namespace {

// Registers, and the words that are written to them.
constexpr std::uint32_t kRxData = 0x00;
constexpr std::uint32_t kTxData = 0x20;
constexpr std::uint32_t kRxStatus = 0x40;
constexpr std::uint32_t kTxStatus = 0x48;
constexpr std::uint32_t kIrqConfig = 0x54;
constexpr std::uint32_t kIrqPushPullActiveHigh = 0x111;  // as the board's wire wants it
constexpr std::uint32_t kIntStatus = 0x58;
constexpr std::uint32_t kIntEnable = 0x5C;
constexpr std::uint32_t kRxStatusLevel = 1U << 3;
constexpr std::uint32_t kByteTest = 0x64;
constexpr std::uint32_t kFifoInt = 0x68;
constexpr std::uint32_t kTxConfig = 0x70;
constexpr std::uint32_t kTxOn = 2;
constexpr std::uint32_t kHwConfig = 0x74;
constexpr std::uint32_t kSoftReset = 1;
constexpr std::uint32_t kTxFifo5K = 5U << 16;
constexpr std::uint32_t kRxFifoInfo = 0x7C;
constexpr std::uint32_t kTxFifoInfo = 0x80;
constexpr std::uint32_t kMacCommand = 0xA4;
constexpr std::uint32_t kMacData = 0xA8;
constexpr std::uint32_t kMacBusy = 1U << 31;
constexpr std::uint32_t kMacRead = 1U << 30;

constexpr std::uint32_t kMacControl = 1;
constexpr std::uint32_t kMacAddressHigh = 2;
constexpr std::uint32_t kMacAddressLow = 3;
constexpr std::uint32_t kPhyCommand = 6;
constexpr std::uint32_t kPhyBusy = 1;
constexpr std::uint32_t kPhyStatus = 1U << 11 | 1U << 6;  // PHY 1, register 1 (IEEE 802.3 clause 22)
constexpr std::uint32_t kPhyData = 7;
constexpr std::uint32_t kLinkUp = 1U << 2;
constexpr std::uint32_t kFullDuplexTxRxOn = 0x0010000C;

constexpr std::uint32_t kWholeFrame = 0x3000;  // the buffer is the frame's first and last
constexpr std::uint32_t kChecksumBytes = 4;

}  // namespace

volatile std::uint32_t& Lan9118::at(std::uint32_t offset) const noexcept { return reg(base_ + offset); }

void Lan9118::write_mac(std::uint32_t index, std::uint32_t value) noexcept {
  at(kMacData) = value;
  at(kMacCommand) = kMacBusy | index;
  while ((at(kMacCommand) & kMacBusy) != 0) continue;
}

std::uint32_t Lan9118::read_mac(std::uint32_t index) noexcept {
  at(kMacCommand) = kMacBusy | kMacRead | index;
  while ((at(kMacCommand) & kMacBusy) != 0) continue;
  return at(kMacData);
}

bool Lan9118::start(const MacAddress& address) noexcept {
  if (at(kByteTest) != 0x87654321) return false;
  at(kHwConfig) = kSoftReset;
  while ((at(kHwConfig) & kSoftReset) != 0) continue;
  at(kHwConfig) = kTxFifo5K;
  at(kIrqConfig) = kIrqPushPullActiveHigh;
  at(kFifoInt) = 0x48FF0000;  // an interrupt for the first frame already
  at(kTxConfig) = kTxOn;
  write_mac(kMacAddressLow, little_endian(address, 0, 4));
  write_mac(kMacAddressHigh, little_endian(address, 4, 2));
  write_mac(kMacControl, kFullDuplexTxRxOn);
  at(kIntStatus) = 0xFFFFFFFF;
  at(kIntEnable) = kRxStatusLevel;
  return true;
}

bool Lan9118::link_up() noexcept {
  write_mac(kPhyCommand, kPhyStatus | kPhyBusy);
  while ((read_mac(kPhyCommand) & kPhyBusy) != 0) continue;
  return (read_mac(kPhyData) & kLinkUp) != 0;
}

void Lan9118::acknowledge() noexcept { at(kIntStatus) = kRxStatusLevel; }

bool Lan9118::send(const pbuf& frame) noexcept {
  while ((at(kTxFifoInfo) >> 16 & 0xFF) != 0) {
    [[maybe_unused]] const std::uint32_t how_it_went = at(kTxStatus);
  }
  const std::uint32_t size = frame.tot_len;
  const std::uint32_t words = (size + 3) / 4;
  if ((at(kTxFifoInfo) & 0xFFFF) < (words + 2) * 4) return false;

  at(kTxData) = kWholeFrame | size;
  at(kTxData) = size;
  FrameReader reader(&frame);
  reader.put_words(words, at(kTxData));
  return true;
}

pbuf* Lan9118::receive() noexcept {
  if ((at(kRxFifoInfo) >> 16 & 0xFF) == 0) return nullptr;
  const std::uint32_t size = at(kRxStatus) >> 16 & 0x3FFF;
  pbuf* const frame = size > kChecksumBytes
                          ? pbuf_alloc(PBUF_RAW, static_cast<u16_t>(size - kChecksumBytes), PBUF_POOL)
                          : nullptr;
  if (frame == nullptr) ++dropped_;
  FrameWriter writer(frame);
  writer.take_words((size + 3) / 4, at(kRxData));
  return frame;
}

}  // namespace firmware
