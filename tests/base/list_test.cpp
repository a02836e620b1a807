#include <microdot/base/list.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace {

using namespace microdot;

struct Item : ListHook {
  explicit Item(char n) : name(n) {}
  char name;
};

std::string names(List<Item>& list) {
  std::string all;
  list.for_each([&](Item& item) { all += item.name; });
  return all;
}

TEST(List, KeepsOrder) {
  List<Item> list;
  Item a('a'), b('b'), c('c');
  EXPECT_TRUE(list.empty());
  list.push_back(b);
  list.push_back(c);
  list.push_front(a);
  EXPECT_EQ(names(list), "abc");
  EXPECT_EQ(list.pop_front().name, 'a');
  EXPECT_FALSE(a.linked());
  EXPECT_EQ(list.front().name, 'b');
}

TEST(List, ItemsLeaveWhenTheyAreDestroyed) {
  List<Item> list;
  Item a('a'), c('c');
  {
    Item b('b');
    for (Item* item : {&a, &b, &c}) list.push_back(*item);
  }
  EXPECT_EQ(names(list), "ac");
  a.unlink();
  a.unlink();  // does nothing
  EXPECT_EQ(names(list), "c");
}

TEST(List, ItemsOutliveTheirList) {
  Item a('a');
  {
    List<Item> list;
    list.push_back(a);
  }
  EXPECT_FALSE(a.linked());
}

TEST(List, ForEachMayUnlinkItsItem) {
  List<Item> list;
  Item a('a'), b('b'), c('c');
  for (Item* item : {&a, &b, &c}) list.push_back(*item);
  list.for_each([](Item& item) {
    if (item.name != 'b') item.unlink();
  });
  EXPECT_EQ(names(list), "b");
}

TEST(List, SpliceMovesAllBehind) {
  List<Item> one, two;
  Item a('a'), b('b'), c('c');
  one.push_back(a);
  two.push_back(b);
  two.push_back(c);
  one.splice_back(two);
  EXPECT_EQ(names(one), "abc");
  EXPECT_TRUE(two.empty());
}

}  // namespace
