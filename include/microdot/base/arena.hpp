#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include <microdot/base/config.hpp>
#include <microdot/base/shared.hpp>

namespace microdot::inline MICRODOT_ABI {

/// Memory for one exchange, stream or task pool: a fixed block that coroutine frames, header fields and
/// formatted text are taken from. Freed blocks are used again; what is never freed goes with `reset`. When
/// the block is full the `fallback` arena is asked, and its fallback; then there is none: callers get null,
/// nothing aborts.
///
/// Cost: `kOverhead` bytes for each block taken. Not for use from several threads.
class Arena {
 public:
  static constexpr std::size_t kAlignment = alignof(std::max_align_t);
  /// Bytes of book-keeping before each block.
  static constexpr std::size_t kOverhead = kAlignment;

  Arena() noexcept = default;
  /// `block` must stay valid as long as the arena.
  explicit Arena(std::span<std::byte> block, Arena* fallback = nullptr) noexcept { assign(block, fallback); }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena();

  /// Gives an arena that nothing is taken from its block (at most 4 GiB of it are used), or another one.
  void assign(std::span<std::byte> block, Arena* fallback = nullptr) noexcept;
  /// `size` bytes aligned for any type, or null. Valid until `free` or `reset`.
  [[nodiscard]] void* allocate(std::size_t size) noexcept;
  /// Gives back what any arena's `allocate` returned (null is allowed).
  static void free(void* pointer) noexcept;
  /// Makes a block larger where it lies, to `size` bytes. False if it is not the last one taken, if there is
  /// no room, or if `fail_after` counts: then it is as it was.
  static bool extend(void* pointer, std::size_t size) noexcept;
  /// Which arena `pointer` came from.
  static Arena& owner_of(void* pointer) noexcept;
  /// Makes all of the block free. What was taken from the fallback stays taken.
  void reset() noexcept;
  /// Keeps what has been taken so far for good: `reset` goes back to here.
  void seal() noexcept { begin_ = top_; }
  /// A copy of `text` that lives until `reset`; a view with null data if there is no room. An empty text
  /// needs none.
  std::string_view copy(std::string_view text) noexcept;

  /// The unused end of the block, to build text in place before its length is known; `keep` takes the first
  /// `size` bytes of it, and gives a view with null data if `rest` has not as many. Nothing may be allocated
  /// in between.
  std::span<char> rest() noexcept;
  std::string_view keep(std::size_t size) noexcept;

  std::size_t capacity() const noexcept { return static_cast<std::size_t>(end_ - begin_); }
  /// Bytes between the block's start and the end of the last block taken.
  std::size_t used() const noexcept { return static_cast<std::size_t>(top_ - begin_); }
  /// The most that `used` has ever been. May be asked for by any thread.
  std::size_t high_water() const noexcept { return detail::load_shared(high_water_); }
  /// How often there was no room, in the fallback neither.
  std::uint32_t failures() const noexcept { return failures_; }

  /// For tests of what happens without memory: the next `served` requests (`allocate`, `copy`, `keep`) are
  /// served, then `failing` of them find no room, in the fallback neither; all later ones are served again.
  /// `fail_after(0, 0)` ends it.
  void fail_after(std::uint16_t served, std::uint16_t failing = 1) noexcept;

 private:
  struct Block;      // the header of a block
  struct FreeBlock;  // a block on the free list, sorted by address

  void* allocate_at_top(std::size_t size) noexcept;
  void* allocate_here(std::size_t size) noexcept;
  // Inlined, it would make each caller save registers, also one that does without it.
  [[gnu::noinline]] void* allocate_anywhere(std::size_t size) noexcept;
  bool faulty() const noexcept { return (served_ | failing_) != 0; }
  bool next_fails() noexcept;
  void release(Block* block) noexcept;
  [[gnu::always_inline]] void note_top() noexcept {
    detail::raise(high_water_, static_cast<std::uint32_t>(used()));
  }

  std::byte* begin_ = nullptr;
  std::byte* top_ = nullptr;
  std::byte* end_ = nullptr;
  FreeBlock* free_ = nullptr;
  Arena* fallback_ = nullptr;
  std::uint32_t high_water_ = 0;
  std::uint32_t failures_ = 0;
  // What is larger is refused before its size is rounded up, which might overflow. `fail_after` makes it 0,
  // so that every request comes to where one is refused, and only there requests are counted: those that are
  // served pay nothing for it, in the library that programs use.
  std::uint32_t largest_ = 0;
  std::uint16_t served_ = 0;   // see `fail_after`
  std::uint16_t failing_ = 0;  // after those
};

/// The memory of background tasks and of everything made while no strand runs: one arena for each thread. Its
/// size is `MICRODOT_TASK_POOL_BYTES` (a compile definition of the library; 1 MiB on hosts, touched only as
/// it is used).
Arena& task_pool() noexcept;

/// Where frames and header fields are taken from now: the running exchange's arena, or the task pool.
Arena& current_arena() noexcept;

namespace detail {
/// `current_arena().allocate(size)`, for coroutines: in one call, as each of them begins with it.
void* allocate_frame(std::size_t size) noexcept;
}  // namespace detail

/// Makes `arena` the current one for a scope.
class ArenaScope {
 public:
  explicit ArenaScope(Arena& arena) noexcept;
  ArenaScope(const ArenaScope&) = delete;
  ArenaScope& operator=(const ArenaScope&) = delete;
  ~ArenaScope();

 private:
  Arena* before_;
};

}  // namespace microdot::inline MICRODOT_ABI
