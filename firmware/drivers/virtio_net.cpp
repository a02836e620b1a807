#include "drivers/virtio_net.hpp"

#include <lwip/pbuf.h>
#include <atomic>
#include <cstddef>

#include "core.hpp"

namespace firmware {
namespace {

// Registers, and the words that are written to them.
constexpr std::uint32_t kMagic = 0x00;
constexpr std::uint32_t kVersion = 0x04;
constexpr std::uint32_t kDeviceId = 0x08;
constexpr std::uint32_t kNetworkCard = 1;
constexpr std::uint32_t kDriverFeatures = 0x20;
constexpr std::uint32_t kDriverFeaturesWord = 0x24;
constexpr std::uint32_t kQueueSelect = 0x30;
constexpr std::uint32_t kQueueMost = 0x34;
constexpr std::uint32_t kQueueSize = 0x38;
constexpr std::uint32_t kQueueReady = 0x44;
constexpr std::uint32_t kQueueNotify = 0x50;
constexpr std::uint32_t kInterruptStatus = 0x60;
constexpr std::uint32_t kInterruptAcknowledge = 0x64;
constexpr std::uint32_t kStatus = 0x70;
constexpr std::uint32_t kQueueDescriptors = 0x80;  // 64 bits, as the next two
constexpr std::uint32_t kQueueAvailable = 0x90;
constexpr std::uint32_t kQueueUsed = 0xA0;

constexpr std::uint32_t kSeenAndDriven = 1 | 2;
constexpr std::uint32_t kFeaturesChosen = 8;
constexpr std::uint32_t kReady = 4;
constexpr std::uint32_t kVersion1 = 1;  // of the second word of features

constexpr std::uint16_t kWrittenByCard = 2;  // of a descriptor
constexpr std::uint16_t kNoInterrupt = 1;    // of the available ring

constexpr std::uint32_t kHeaderBytes = 12;  // before each frame: all zero, since no feature is used
constexpr std::uint32_t kBufferBytes = kHeaderBytes + 1516;

/// What was written before is there first.
void barrier() noexcept { std::atomic_thread_fence(std::memory_order_seq_cst); }

std::uint32_t address_of(const void* memory) noexcept {
  return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(memory));
}

}  // namespace

/// A ring of buffers (section 2.7), each of which is the card's or ours.
struct VirtioNet::Queue {
  static constexpr std::uint16_t kSize = 8;

  struct Descriptor {
    std::uint64_t address;
    std::uint32_t size;
    std::uint16_t flags;
    std::uint16_t next;
  };
  struct Available {
    std::uint16_t flags;
    std::uint16_t index;
    std::uint16_t ring[kSize];
  };
  struct UsedBuffer {
    std::uint32_t buffer;
    std::uint32_t size;
  };
  struct Used {
    alignas(4) std::uint16_t flags;
    std::uint16_t index;
    UsedBuffer ring[kSize];
  };

  /// The next one that the card has given back, or null.
  const UsedBuffer* take() noexcept {
    barrier();
    if (used.index == taken) return nullptr;
    barrier();  // what the index promises is read after it
    return &used.ring[taken++ % kSize];
  }

  std::uint32_t number;
  std::uint16_t buffer_flags;
  std::uint16_t taken;
  alignas(16) Descriptor descriptors[kSize];
  Available available;
  Used used;
  std::uint8_t buffers[kSize][kBufferBytes];
  std::uint32_t free[kSize];  ///< Ours, of the queue that sends.
  std::size_t free_count;
};

constinit VirtioNet::Queue VirtioNet::receive_queue;
constinit VirtioNet::Queue VirtioNet::send_queue;

volatile std::uint32_t& VirtioNet::at(std::uint32_t offset) const noexcept { return reg(base_ + offset); }

bool VirtioNet::add(Queue& queue) noexcept {
  at(kQueueSelect) = queue.number;
  if (at(kQueueMost) < Queue::kSize) return false;
  for (std::size_t i = 0; i < Queue::kSize; ++i)
    queue.descriptors[i] = {address_of(queue.buffers[i]), kBufferBytes, queue.buffer_flags, 0};
  at(kQueueSize) = Queue::kSize;
  at(kQueueDescriptors) = address_of(queue.descriptors);
  at(kQueueAvailable) = address_of(&queue.available);
  at(kQueueUsed) = address_of(&queue.used);
  at(kQueueReady) = 1;
  return true;
}

void VirtioNet::offer(Queue& queue, std::uint32_t buffer, std::uint32_t size) noexcept {
  queue.descriptors[buffer].size = size;
  queue.available.ring[queue.available.index % Queue::kSize] = static_cast<std::uint16_t>(buffer);
  barrier();
  ++queue.available.index;
  barrier();
  at(kQueueNotify) = queue.number;
}

bool VirtioNet::start(const MacAddress&) noexcept {
  if (at(kMagic) != 0x74726976 || at(kVersion) != 2 || at(kDeviceId) != kNetworkCard) return false;
  at(kStatus) = 0;  // reset
  at(kStatus) = kSeenAndDriven;
  at(kDriverFeaturesWord) = 0;
  at(kDriverFeatures) = 0;
  at(kDriverFeaturesWord) = 1;
  at(kDriverFeatures) = kVersion1;
  at(kStatus) = kSeenAndDriven | kFeaturesChosen;
  if ((at(kStatus) & kFeaturesChosen) == 0) return false;

  receive_queue.number = 0;
  receive_queue.buffer_flags = kWrittenByCard;
  send_queue.number = 1;
  send_queue.available.flags = kNoInterrupt;
  if (!add(receive_queue) || !add(send_queue)) return false;
  at(kStatus) = kSeenAndDriven | kFeaturesChosen | kReady;
  for (std::uint32_t i = 0; i < Queue::kSize; ++i) {
    offer(receive_queue, i, kBufferBytes);
    send_queue.free[send_queue.free_count++] = i;
  }
  return true;
}

void VirtioNet::acknowledge() noexcept { at(kInterruptAcknowledge) = at(kInterruptStatus); }

bool VirtioNet::send(const pbuf& frame) noexcept {
  Queue& queue = send_queue;
  while (const Queue::UsedBuffer* sent = queue.take()) queue.free[queue.free_count++] = sent->buffer;
  const std::uint32_t size = frame.tot_len;
  if (queue.free_count == 0 || size > kBufferBytes - kHeaderBytes) return false;
  const std::uint32_t buffer = queue.free[--queue.free_count];
  pbuf_copy_partial(&frame, queue.buffers[buffer] + kHeaderBytes, frame.tot_len, 0);
  offer(queue, buffer, kHeaderBytes + size);
  return true;
}

pbuf* VirtioNet::receive() noexcept {
  Queue& queue = receive_queue;
  const Queue::UsedBuffer* const used = queue.take();
  if (used == nullptr) return nullptr;
  const auto size = static_cast<u16_t>(used->size - kHeaderBytes);
  const std::uint32_t buffer = used->buffer;
  pbuf* const frame = pbuf_alloc(PBUF_RAW, size, PBUF_POOL);
  if (frame != nullptr)
    pbuf_take(frame, queue.buffers[buffer] + kHeaderBytes, size);
  else
    ++dropped_;
  offer(queue, buffer, kBufferBytes);
  return frame;
}

}  // namespace firmware
