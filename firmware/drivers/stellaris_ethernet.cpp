#include "drivers/stellaris_ethernet.hpp"

#include <lwip/pbuf.h>

#include "core.hpp"
#include "drivers/frames.hpp"

namespace firmware {
namespace {

constexpr std::uint32_t kInterrupts = 0x00;  // what has happened; written: is known
constexpr std::uint32_t kInterruptMask = 0x04;
constexpr std::uint32_t kReceived = 1;
constexpr std::uint32_t kRxControl = 0x08;
constexpr std::uint32_t kRxFifoReset = 0x10;
constexpr std::uint32_t kRxOnMulticastRejectBad = 0x0B;
constexpr std::uint32_t kTxControl = 0x0C;
constexpr std::uint32_t kTxOnPaddedCrcDuplex = 0x17;
constexpr std::uint32_t kData = 0x10;
constexpr std::uint32_t kAddressLow = 0x14;
constexpr std::uint32_t kAddressHigh = 0x18;
constexpr std::uint32_t kTxThreshold = 0x1C;
constexpr std::uint32_t kWholeFrame = 0x3F;
constexpr std::uint32_t kFrames = 0x34;
constexpr std::uint32_t kTxRequest = 0x38;

// Clocks of the controller and its PHY.
constexpr std::uintptr_t kRunModeClocks2 = 0x400FE108;
constexpr std::uint32_t kEthernetClocks = 1U << 28 | 1U << 30;

constexpr std::uint32_t kHeaderBytes = 14;       // not counted by the length that is sent
constexpr std::uint32_t kLengthAndChecksum = 6;  // counted by the one that is received

}  // namespace

volatile std::uint32_t& StellarisEthernet::at(std::uint32_t offset) const noexcept {
  return reg(base_ + offset);
}

bool StellarisEthernet::start(const MacAddress& address) noexcept {
  reg(kRunModeClocks2) = reg(kRunModeClocks2) | kEthernetClocks;
  at(kInterruptMask) = 0;
  at(kAddressLow) = little_endian(address, 0, 4);
  at(kAddressHigh) = little_endian(address, 4, 2);
  at(kTxThreshold) = kWholeFrame;
  at(kTxControl) = kTxOnPaddedCrcDuplex;
  at(kRxControl) = kRxFifoReset;
  at(kRxControl) = kRxOnMulticastRejectBad;
  acknowledge();
  at(kInterruptMask) = kReceived;
  return true;
}

void StellarisEthernet::acknowledge() noexcept { at(kInterrupts) = at(kInterrupts); }

bool StellarisEthernet::send(const pbuf& frame) noexcept {
  if ((at(kTxRequest) & 1) != 0 || frame.tot_len < kHeaderBytes) return false;
  FrameReader reader(&frame);
  // The length and the frame's first two bytes share a word.
  at(kData) = (frame.tot_len - kHeaderBytes) | reader.next_bytes(2) << 16;
  reader.put_words((frame.tot_len - 2U + 3) / 4, at(kData));
  at(kTxRequest) = 1;
  return true;
}

pbuf* StellarisEthernet::receive() noexcept {
  if (at(kFrames) == 0) return nullptr;
  const std::uint32_t first = at(kData);
  const std::uint32_t size = first & 0xFFFF;
  pbuf* const frame = size > kLengthAndChecksum
                          ? pbuf_alloc(PBUF_RAW, static_cast<u16_t>(size - kLengthAndChecksum), PBUF_POOL)
                          : nullptr;
  if (frame == nullptr) ++dropped_;
  FrameWriter writer(frame);
  writer.put_bytes(first >> 16, 2);
  if (size > 4) writer.take_words((size + 3) / 4 - 1, at(kData));
  return frame;
}

}  // namespace firmware
