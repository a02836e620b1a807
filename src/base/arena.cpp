#include <microdot/base/arena.hpp>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define MICRODOT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MICRODOT_ASAN 1
#endif
#endif
#ifdef MICRODOT_ASAN
#include <sanitizer/asan_interface.h>
#define MICRODOT_POISON(pointer, size) ASAN_POISON_MEMORY_REGION(pointer, size)
#define MICRODOT_UNPOISON(pointer, size) ASAN_UNPOISON_MEMORY_REGION(pointer, size)
#else
#define MICRODOT_POISON(pointer, size) static_cast<void>(0)
#define MICRODOT_UNPOISON(pointer, size) static_cast<void>(0)
#endif

#ifndef MICRODOT_TASK_POOL_BYTES
#if MICRODOT_HOSTED
#define MICRODOT_TASK_POOL_BYTES (1024 * 1024)
#else
#define MICRODOT_TASK_POOL_BYTES 4096
#endif
#endif

namespace microdot::inline MICRODOT_ABI {

namespace {

MICRODOT_THREAD_LOCAL Arena* current = nullptr;

constexpr std::size_t round_up(std::size_t size) {
  return (size + Arena::kAlignment - 1) & ~(Arena::kAlignment - 1);
}

}  // namespace

struct Arena::Block {
  Arena* owner;
  std::uint32_t size;  // payload bytes, a multiple of kAlignment

  std::byte* payload() { return reinterpret_cast<std::byte*>(this) + kOverhead; }
  std::byte* end() { return payload() + size; }
  static Block* of(void* payload) {
    return reinterpret_cast<Block*>(static_cast<std::byte*>(payload) - kOverhead);
  }
};

// The link of a free block lies in its payload, which is at least kAlignment bytes.
struct Arena::FreeBlock : Block {
  FreeBlock*& next() { return *reinterpret_cast<FreeBlock**>(payload()); }
};

Arena::~Arena() { MICRODOT_UNPOISON(begin_, capacity()); }

void Arena::assign(std::span<std::byte> block, Arena* fallback) noexcept {
  static_assert(sizeof(Block) <= kOverhead && sizeof(FreeBlock*) <= kAlignment);
  assert(used() == 0 && "assign: something is still taken");
  MICRODOT_UNPOISON(begin_, capacity());
  const auto address = reinterpret_cast<std::uintptr_t>(block.data());
  std::size_t skip = round_up(address) - address;
  if (skip > block.size()) skip = block.size();
  const std::size_t size = std::min<std::size_t>(block.size() - skip, UINT32_MAX) & ~(kAlignment - 1);
  begin_ = top_ = block.data() + skip;
  end_ = begin_ + size;
  largest_ = static_cast<std::uint32_t>(size);
  served_ = failing_ = 0;
  fallback_ = fallback;
  MICRODOT_POISON(begin_, capacity());
}

// `size` is rounded up. Null if there is no room at the top.
inline void* Arena::allocate_at_top(std::size_t size) noexcept {
  if (static_cast<std::size_t>(end_ - top_) < size + kOverhead) return nullptr;
  MICRODOT_UNPOISON(top_, size + kOverhead);
  auto* block = ::new (static_cast<void*>(top_)) Block{this, static_cast<std::uint32_t>(size)};
  top_ += kOverhead + size;
  note_top();
  return block->payload();
}

// `size`: from 1 to `largest_`, as it is without `fail_after`.
inline void* Arena::allocate_here(std::size_t size) noexcept {
  size = round_up(size);
  FreeBlock* before = nullptr;
  for (FreeBlock* at = free_; at != nullptr; before = at, at = at->next()) {
    if (at->size < size) continue;
    FreeBlock* next = at->next();
    if (at->size - size >= kOverhead + kAlignment) {
      MICRODOT_UNPOISON(at->payload() + size, kOverhead + kAlignment);
      auto* tail = reinterpret_cast<FreeBlock*>(at->payload() + size);
      tail->owner = this;
      tail->size = static_cast<std::uint32_t>(at->size - size - kOverhead);
      tail->next() = next;
      next = tail;
      at->size = static_cast<std::uint32_t>(size);
    }
    (before != nullptr ? before->next() : free_) = next;
    MICRODOT_UNPOISON(at->payload(), at->size);
    return at->payload();
  }
  return allocate_at_top(size);
}

void* Arena::allocate(std::size_t size) noexcept {
  // As nearly always: nothing lies free below the top.
  if (size - 1 < largest_ && free_ == nullptr) {  // none of 0 bytes
    if (void* pointer = allocate_at_top(round_up(size))) return pointer;
  }
  return allocate_anywhere(size);
}

void* Arena::allocate_anywhere(std::size_t size) noexcept {
  if (size == 0) size = 1;
  bool may_fit = size <= largest_;
  if (!may_fit && faulty()) {
    if (next_fails()) return nullptr;
    may_fit = size <= capacity();
  }
  if (may_fit) {
    if (void* pointer = allocate_here(size)) return pointer;
  }
  if (fallback_ != nullptr) {
    if (void* pointer = fallback_->allocate(size)) return pointer;
  }
  ++failures_;
  return nullptr;
}

void Arena::fail_after(std::uint16_t served, std::uint16_t failing) noexcept {
  served_ = failing != 0 ? served : std::uint16_t{0};
  failing_ = failing;
  largest_ = faulty() ? 0 : static_cast<std::uint32_t>(capacity());
}

bool Arena::next_fails() noexcept {
  if (served_ != 0) {
    --served_;
    return false;
  }
  ++failures_;
  fail_after(0, static_cast<std::uint16_t>(failing_ - 1));
  return true;
}

void Arena::free(void* pointer) noexcept {
  if (pointer == nullptr) return;
  Block* block = Block::of(pointer);
  block->owner->release(block);
}

bool Arena::extend(void* pointer, std::size_t size) noexcept {
  Block* block = Block::of(pointer);
  if (size <= block->size) return true;
  Arena& arena = *block->owner;
  // `largest_` is 0 where a request may have to fail: `allocate` counts them.
  if (block->end() != arena.top_ || size > arena.largest_) return false;
  size = round_up(size);
  if (size - block->size > static_cast<std::size_t>(arena.end_ - arena.top_)) return false;
  MICRODOT_UNPOISON(arena.top_, size - block->size);
  arena.top_ += size - block->size;
  block->size = static_cast<std::uint32_t>(size);
  arena.note_top();
  return true;
}

Arena& Arena::owner_of(void* pointer) noexcept { return *Block::of(pointer)->owner; }

void Arena::release(Block* block) noexcept {
  // As nearly always: the last one taken, and nothing lies free below it.
  if (free_ == nullptr && block->end() == top_) {
    top_ = reinterpret_cast<std::byte*>(block);
    MICRODOT_POISON(top_, static_cast<std::size_t>(end_ - top_));
    return;
  }
  FreeBlock* before = nullptr;
  FreeBlock* after = free_;
  while (after != nullptr && static_cast<Block*>(after) < block) before = after, after = after->next();
  auto* freed = static_cast<FreeBlock*>(block);
  freed->next() = after;
  (before != nullptr ? before->next() : free_) = freed;
  if (after != nullptr && freed->end() == reinterpret_cast<std::byte*>(after)) {
    freed->size += static_cast<std::uint32_t>(kOverhead) + after->size;
    freed->next() = after->next();
  }
  if (before != nullptr && before->end() == reinterpret_cast<std::byte*>(freed)) {
    before->size += static_cast<std::uint32_t>(kOverhead) + freed->size;
    before->next() = freed->next();
    freed = before;
    before = nullptr;
    for (FreeBlock* at = free_; at != freed; at = at->next()) before = at;
  }
  // The last free block gives its room back to the unused end.
  if (freed->end() == top_) {
    (before != nullptr ? before->next() : free_) = nullptr;
    top_ = reinterpret_cast<std::byte*>(freed);
    MICRODOT_POISON(top_, static_cast<std::size_t>(end_ - top_));
    return;
  }
  MICRODOT_POISON(freed->payload() + sizeof(FreeBlock*), freed->size - sizeof(FreeBlock*));
}

void Arena::reset() noexcept {
  top_ = begin_;
  free_ = nullptr;
  MICRODOT_POISON(begin_, capacity());
}

std::string_view Arena::copy(std::string_view text) noexcept {
  if (text.empty()) return "";
  auto* bytes = static_cast<char*>(allocate(text.size()));
  if (bytes == nullptr) return {};
  std::memcpy(bytes, text.data(), text.size());
  return {bytes, text.size()};
}

std::span<char> Arena::rest() noexcept {
  if (static_cast<std::size_t>(end_ - top_) <= kOverhead) return {};
  std::span<char> bytes(reinterpret_cast<char*>(top_ + kOverhead),
                        static_cast<std::size_t>(end_ - top_) - kOverhead);
  MICRODOT_UNPOISON(bytes.data(), bytes.size());
  return bytes;
}

std::string_view Arena::keep(std::size_t size) noexcept {
  if (size == 0) return "";
  if ((faulty() && next_fails()) || size > rest().size()) return {};
  MICRODOT_UNPOISON(top_, kOverhead);
  auto* block = ::new (static_cast<void*>(top_)) Block{this, static_cast<std::uint32_t>(round_up(size))};
  top_ = block->end();
  note_top();
  MICRODOT_POISON(top_, static_cast<std::size_t>(end_ - top_));  // what `rest` opened
  return {reinterpret_cast<char*>(block->payload()), size};
}

Arena& task_pool() noexcept {
#if MICRODOT_HOSTED
  struct Pool {
    Pool() {
      // nothrow: without memory every task is empty, which is reported where it is awaited.
      if (block != nullptr) arena.assign({block, MICRODOT_TASK_POOL_BYTES});
    }
    ~Pool() {
      // A task handle with static storage lives longer than this: then the block stays, too.
      if (arena.used() != 0) return;
      arena.assign({});
      delete[] block;
    }
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;
    std::byte* block = new (std::nothrow) std::byte[MICRODOT_TASK_POOL_BYTES];
    union {
      Arena arena{};  // never destroyed: see above
    };
  };
  thread_local Pool pool;
  return pool.arena;
#else
  // Neither a guard nor a destructor at exit: a device has no use for them.
  alignas(Arena::kAlignment) static std::byte block[MICRODOT_TASK_POOL_BYTES];
  alignas(Arena) static std::byte storage[sizeof(Arena)];
  static Arena* arena = nullptr;
  if (arena == nullptr) arena = ::new (static_cast<void*>(storage)) Arena(block);
  return *arena;
#endif
}

Arena& current_arena() noexcept { return current != nullptr ? *current : task_pool(); }

void* detail::allocate_frame(std::size_t size) noexcept { return current_arena().allocate(size); }

ArenaScope::ArenaScope(Arena& arena) noexcept : before_(current) { current = &arena; }

ArenaScope::~ArenaScope() { current = before_; }

}  // namespace microdot::inline MICRODOT_ABI
