// Arena: blocks of memory from a fixed block, with re-use.

#include <microdot/base/arena.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define TEST_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TEST_ASAN 1
#endif
#endif
#ifdef TEST_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace {

using namespace microdot;

constexpr std::size_t kCost = Arena::kOverhead;

class ArenaTest : public testing::Test {
 protected:
  alignas(Arena::kAlignment) std::byte block_[1024];
  Arena arena_{block_};
};

bool inside(const void* pointer, std::span<const std::byte> block) {
  const auto* byte = static_cast<const std::byte*>(pointer);
  return byte >= block.data() && byte < block.data() + block.size();
}

TEST_F(ArenaTest, BlocksAreAlignedAndApart) {
  auto* a = static_cast<char*>(arena_.allocate(1));
  auto* b = static_cast<char*>(arena_.allocate(17));
  auto* c = static_cast<char*>(arena_.allocate(0));
  for (void* p : {static_cast<void*>(a), static_cast<void*>(b), static_cast<void*>(c)}) {
    ASSERT_NE(p, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(p) % alignof(std::max_align_t), 0u);
    EXPECT_TRUE(inside(p, block_));
    EXPECT_EQ(&Arena::owner_of(p), &arena_);
  }
  EXPECT_GE(b, a + 1);
  EXPECT_GE(c, b + 17);
}

TEST_F(ArenaTest, LastTakenAndFirstGivenBackCostsNothing) {
  void* a = arena_.allocate(100);
  const std::size_t used = arena_.used();
  for (int i = 0; i < 1000; ++i) {
    void* b = arena_.allocate(200);
    ASSERT_NE(b, nullptr);
    Arena::free(b);
    EXPECT_EQ(arena_.used(), used);
  }
  Arena::free(a);
  EXPECT_EQ(arena_.used(), 0u);
  EXPECT_EQ(arena_.high_water(), 112 + 208 + 2 * kCost);
}

TEST_F(ArenaTest, FreedBlocksAreUsedAgainAndSplit) {
  void* a = arena_.allocate(256);
  void* b = arena_.allocate(16);
  const std::size_t used = arena_.used();
  Arena::free(a);
  void* c = arena_.allocate(64);
  void* d = arena_.allocate(256 - 64 - kCost);  // all of the rest
  EXPECT_EQ(c, a);
  EXPECT_TRUE(inside(d, block_));
  EXPECT_EQ(arena_.used(), used);
  for (void* p : {b, c, d}) Arena::free(p);
  EXPECT_EQ(arena_.used(), 0u);
}

TEST_F(ArenaTest, NeighboursGrowTogetherInEveryOrder) {
  int order[] = {0, 1, 2, 3};
  do {
    void* p[4];
    for (void*& q : p) q = arena_.allocate(64);
    void* guard = arena_.allocate(16);
    const std::size_t used = arena_.used();
    for (const int i : order) Arena::free(p[i]);
    void* whole = arena_.allocate(4 * 64 + 3 * kCost);
    EXPECT_EQ(whole, p[0]) << order[0] << order[1] << order[2] << order[3];
    EXPECT_EQ(arena_.used(), used);
    Arena::free(guard);
    Arena::free(whole);
    EXPECT_EQ(arena_.used(), 0u);
  } while (std::next_permutation(std::begin(order), std::end(order)));
}

TEST_F(ArenaTest, TopGoesDownOverFreedNeighbours) {
  int order[] = {0, 1, 2};
  do {
    void* p[3];
    for (void*& q : p) q = arena_.allocate(48);
    for (const int i : order) Arena::free(p[i]);
    EXPECT_EQ(arena_.used(), 0u);
  } while (std::next_permutation(std::begin(order), std::end(order)));
}

TEST_F(ArenaTest, ExhaustionAsksTheFallbackThenGivesNull) {
  alignas(16) std::byte second_block[256];
  alignas(16) std::byte third_block[128];
  Arena third(third_block);
  Arena second(second_block, &third);
  Arena first{std::span(block_).first(128), &second};
  EXPECT_TRUE(inside(first.allocate(100), block_));
  void* b = first.allocate(200);
  EXPECT_TRUE(inside(b, second_block));
  EXPECT_EQ(&Arena::owner_of(b), &second);
  void* c = first.allocate(100);
  EXPECT_TRUE(inside(c, third_block)) << "a fallback's fallback is asked, too";
  EXPECT_EQ(first.failures(), 0u);
  EXPECT_EQ(first.allocate(100), nullptr);
  EXPECT_EQ(first.failures(), 1u);
  first.reset();  // takes nothing from the others
  EXPECT_NE(second.used(), 0u);
  Arena::free(b);
  Arena::free(c);
  EXPECT_EQ(second.used(), 0u);
  EXPECT_EQ(third.used(), 0u);
}

TEST_F(ArenaTest, AllOfTheBlockCanBeTaken) {
  EXPECT_EQ(arena_.capacity(), sizeof block_);
  EXPECT_EQ(arena_.allocate(sizeof block_ - kCost + 1), nullptr);
  void* all = arena_.allocate(sizeof block_ - kCost);
  ASSERT_NE(all, nullptr);
  EXPECT_EQ(arena_.used(), arena_.capacity());
  EXPECT_EQ(arena_.allocate(1), nullptr);
  Arena::free(all);
  EXPECT_EQ(arena_.allocate(SIZE_MAX), nullptr);
  EXPECT_EQ(arena_.allocate(SIZE_MAX - 15), nullptr);
}

TEST(Arena, TakesAnyBlockHoweverSmallOrMisaligned) {
  alignas(16) std::byte block[80];
  for (std::size_t skip = 0; skip <= sizeof block; ++skip) {
    for (std::size_t size = 0; size <= sizeof block - skip; ++size) {
      Arena arena{std::span(block).subspan(skip, size)};
      EXPECT_LE(arena.capacity(), size);
      void* p = arena.allocate(1);
      EXPECT_EQ(p != nullptr, arena.capacity() >= kCost + Arena::kAlignment);
      if (p != nullptr) {
        EXPECT_TRUE(inside(p, std::span(block).subspan(skip, size)));
      }
    }
  }
  Arena none;
  EXPECT_EQ(none.allocate(1), nullptr);
  EXPECT_TRUE(none.rest().empty());
  none.reset();
  Arena::free(nullptr);
}

TEST_F(ArenaTest, ResetFreesAllAndKeepsTheHighWaterMark) {
  for (int i = 0; i < 4; ++i) static_cast<void>(arena_.allocate(100));
  const std::size_t high = arena_.high_water();
  EXPECT_EQ(high, 4 * (112 + kCost));
  arena_.reset();
  EXPECT_EQ(arena_.used(), 0u);
  EXPECT_EQ(arena_.high_water(), high);
  EXPECT_NE(arena_.allocate(1000), nullptr);
}

TEST_F(ArenaTest, Copy) {
  std::string text = "value";
  const std::string_view copy = arena_.copy(text);
  text = "other";
  EXPECT_EQ(copy, "value");
  EXPECT_TRUE(inside(copy.data(), block_));
  const std::size_t used = arena_.used();
  EXPECT_NE(arena_.copy("").data(), nullptr);
  EXPECT_EQ(arena_.copy(std::string_view()).size(), 0u);
  EXPECT_EQ(arena_.used(), used) << "an empty text needs no room";
  EXPECT_EQ(arena_.copy(std::string(2000, 'x')).data(), nullptr);
}

TEST_F(ArenaTest, TextIsBuiltInPlace) {
  void* a = arena_.allocate(10);
  const std::span<char> rest = arena_.rest();
  ASSERT_EQ(rest.size(), sizeof block_ - arena_.used() - kCost);
  std::fill(rest.begin(), rest.end(), 'x');  // all of it may be written
  std::memcpy(rest.data(), "hello", 5);
  const std::string_view kept = arena_.keep(5);
  EXPECT_EQ(kept, "hello");
  auto* b = static_cast<char*>(arena_.allocate(1));
  EXPECT_GE(b, kept.data() + 5);
  *b = '!';
  EXPECT_EQ(kept, "hello");
  Arena::free(a);
  EXPECT_EQ(arena_.keep(0).size(), 0u);
  Arena::free(b);
  Arena::free(const_cast<char*>(kept.data()));  // may be given back like any block
  EXPECT_EQ(arena_.used(), 0u);
  const std::size_t all = arena_.rest().size();
  EXPECT_EQ(arena_.keep(all).size(), all);
  EXPECT_TRUE(arena_.rest().empty());
  EXPECT_EQ(arena_.keep(1).data(), nullptr) << "no room";
  EXPECT_NE(arena_.keep(0).data(), nullptr) << "an empty text needs none";
}

TEST_F(ArenaTest, RequestsCanBeMadeToFail) {
  alignas(Arena::kAlignment) std::byte other[1024];
  Arena fallback{other};
  Arena arena{block_, &fallback};
  const std::uint32_t failures = arena.failures();
  arena.fail_after(2, 3);
  void* first = arena.allocate(1);
  EXPECT_NE(first, nullptr);
  EXPECT_EQ(arena.copy("text"), "text");
  EXPECT_EQ(arena.allocate(1), nullptr);
  EXPECT_EQ(arena.copy("text").data(), nullptr);
  EXPECT_FALSE(arena.rest().empty());
  EXPECT_EQ(arena.keep(1).data(), nullptr);
  EXPECT_EQ(arena.failures(), failures + 3);
  void* next = arena.allocate(1);
  ASSERT_NE(next, nullptr) << "only three of them";
  EXPECT_EQ(&Arena::owner_of(next), &arena);
  EXPECT_EQ(arena.keep(1).size(), 1u);
  EXPECT_EQ(&Arena::owner_of(arena.allocate(950)), &fallback);

  arena.fail_after(0);
  EXPECT_EQ(arena.allocate(0), nullptr) << "of whatever size";
  arena.fail_after(1);
  arena.reset();
  EXPECT_NE(arena.allocate(1), nullptr) << "counting goes on after a reset";
  EXPECT_EQ(arena.allocate(1), nullptr);
  arena.fail_after(0);
  arena.fail_after(0, 0);
  EXPECT_NE(arena.allocate(1), nullptr) << "called off";
  EXPECT_EQ(arena.allocate(SIZE_MAX), nullptr);
}

TEST_F(ArenaTest, TheLastBlockCanGrowWhereItLies) {
  void* a = arena_.allocate(10);
  auto* b = static_cast<char*>(arena_.allocate(10));
  EXPECT_TRUE(Arena::extend(a, 16)) << "it has as many";
  EXPECT_FALSE(Arena::extend(a, 17)) << "another one lies behind it";
  EXPECT_TRUE(Arena::extend(b, 200));
  std::memset(b, 'b', 200);
  EXPECT_EQ(arena_.used(), 2 * kCost + 16 + 208);
  EXPECT_EQ(arena_.high_water(), arena_.used());
  void* c = arena_.allocate(1);
  EXPECT_FALSE(Arena::extend(b, 209));
  Arena::free(c);
  const std::size_t all = arena_.capacity() - 2 * kCost - 16;
  EXPECT_FALSE(Arena::extend(b, all + 1));
  EXPECT_FALSE(Arena::extend(b, SIZE_MAX));
  EXPECT_TRUE(Arena::extend(b, all));
  EXPECT_EQ(arena_.used(), arena_.capacity());
  Arena::free(b);
  Arena::free(a);
  EXPECT_EQ(arena_.used(), 0u);

  void* d = arena_.allocate(1);
  arena_.fail_after(0);
  EXPECT_FALSE(Arena::extend(d, 100)) << "so that whoever asks comes to where it fails";
  EXPECT_EQ(arena_.allocate(100), nullptr);
  EXPECT_TRUE(Arena::extend(d, 100));
}

TEST(Arena, ScopesNestAndEndWithTheTaskPool) {
  Arena a, b;
  EXPECT_EQ(&current_arena(), &task_pool());
  {
    const ArenaScope outer(a);
    EXPECT_EQ(&current_arena(), &a);
    {
      const ArenaScope inner(b);
      EXPECT_EQ(&current_arena(), &b);
    }
    EXPECT_EQ(&current_arena(), &a);
  }
  EXPECT_EQ(&current_arena(), &task_pool());
}

#ifdef TEST_ASAN
TEST_F(ArenaTest, WhatIsFreeIsPoisoned) {
  auto* a = static_cast<char*>(arena_.allocate(64));
  auto* b = static_cast<char*>(arena_.allocate(64));
  EXPECT_FALSE(__asan_address_is_poisoned(a + 63));
  EXPECT_TRUE(__asan_address_is_poisoned(b + 64));
  Arena::free(a);
  EXPECT_TRUE(__asan_address_is_poisoned(a + 63));
  EXPECT_FALSE(__asan_address_is_poisoned(b));
  arena_.reset();
  EXPECT_TRUE(__asan_address_is_poisoned(b));
  const std::span<char> rest = arena_.rest();
  EXPECT_FALSE(__asan_address_is_poisoned(&rest.back()));
  static_cast<void>(arena_.keep(1));
  EXPECT_TRUE(__asan_address_is_poisoned(&rest.back()));
}
#endif

// Random takes and gives, against a model: blocks never overlap and keep their bytes, a block that fits into
// what is free at the end is never refused, and at last everything is one piece again.
TEST(Arena, RandomTakesAndGives) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    std::vector<std::byte> memory(8192 + 16);
    Arena arena{std::span(memory).subspan(seed % 16, 8192)};
    struct Taken {
      std::size_t size;
      unsigned char mark;
    };
    std::map<char*, Taken> model;
    for (int step = 0; step < 5000; ++step) {
      if (model.empty() || random() % 100 < 55) {
        const std::size_t size = random() % (random() % 4 == 0 ? 2000 : 100);
        const std::size_t rest = arena.rest().size();
        auto* p = static_cast<char*>(arena.allocate(size));
        if (p == nullptr) {
          ASSERT_GT(size, rest);
          continue;
        }
        const auto mark = static_cast<unsigned char>(random());
        std::memset(p, mark, size);
        const auto next = model.lower_bound(p);
        if (next != model.end()) {
          ASSERT_LE(p + size, next->first);
        }
        if (next != model.begin()) {
          ASSERT_GE(p, std::prev(next)->first + std::prev(next)->second.size);
        }
        model[p] = {size, mark};
      } else if (random() % 4 == 0) {
        const auto last = std::prev(model.end());
        const std::size_t size = last->second.size + random() % 100;
        if (!Arena::extend(last->first, size)) continue;
        std::memset(last->first, last->second.mark, size);
        last->second.size = size;
      } else {
        auto it = std::next(model.begin(), static_cast<long>(random() % model.size()));
        for (std::size_t i = 0; i < it->second.size; ++i) {
          ASSERT_EQ(static_cast<unsigned char>(it->first[i]), it->second.mark);
        }
        Arena::free(it->first);
        model.erase(it);
      }
      ASSERT_LE(arena.used(), arena.high_water());
    }
    for (const auto& [p, taken] : model) Arena::free(p);
    ASSERT_EQ(arena.used(), 0u);
    ASSERT_NE(arena.allocate(arena.capacity() - kCost), nullptr);
  }
}

}  // namespace
