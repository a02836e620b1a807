#pragma once
#include <cassert>

#include <microdot/base/config.hpp>

namespace microdot::inline MICRODOT_ABI {

class ListHook;
template <typename T, typename Hook = ListHook>
class List;

namespace detail {

/// A place in a ring: an item's, or a list's own end. What does not depend on the items' type is in here,
/// once for all lists.
class ListNode {
 public:
  ListNode() noexcept = default;
  ListNode(const ListNode&) = delete;
  ListNode& operator=(const ListNode&) = delete;

  bool linked() const noexcept { return next_ != nullptr; }
  void unlink() noexcept {
    if (next_ == nullptr) return;
    next_->prev_ = prev_;
    prev_->next_ = next_;
    next_ = prev_ = nullptr;
  }

 protected:
  ~ListNode() = default;

 private:
  friend class ListEnd;
  template <typename T, typename Hook>
  friend class microdot::List;

  void insert_after(ListNode& before) noexcept {
    assert(!linked());
    prev_ = &before;
    next_ = before.next_;
    before.next_->prev_ = this;
    before.next_ = this;
  }

  ListNode* next_ = nullptr;
  ListNode* prev_ = nullptr;
};

class ListEnd : public ListNode {
 public:
  ListEnd() noexcept { next_ = prev_ = this; }
  ~ListEnd() { clear(); }

  bool empty() const noexcept { return next_ == this; }
  void clear() noexcept {
    while (!empty()) next_->unlink();
  }
  void splice_back(ListEnd& other) noexcept {
    if (other.empty()) return;
    prev_->next_ = other.next_;
    other.next_->prev_ = prev_;
    prev_ = other.prev_;
    prev_->next_ = this;
    other.next_ = other.prev_ = &other;
  }
};

}  // namespace detail

/// Membership in one `List`; unlinks itself when destroyed. Base class of what is to be listed.
class ListHook : public detail::ListNode {
 public:
  ~ListHook() { unlink(); }
};

/// An intrusive doubly linked list: owns nothing, allocates nothing. `Hook` tells the lists of one object
/// apart.
template <typename T, typename Hook>
class List {
 public:
  bool empty() const noexcept { return end_.empty(); }
  T& front() noexcept { return to_item(*end_.next_); }
  void push_back(T& item) noexcept { static_cast<Hook&>(item).insert_after(*end_.prev_); }
  void push_front(T& item) noexcept { static_cast<Hook&>(item).insert_after(end_); }
  T& pop_front() noexcept {
    assert(!empty());
    detail::ListNode& node = *end_.next_;
    node.unlink();
    return to_item(node);
  }
  /// Moves all of `other` behind what is here.
  void splice_back(List& other) noexcept { end_.splice_back(other.end_); }
  void clear() noexcept { end_.clear(); }
  /// The first for which `f(T&)` is true; null if there is none.
  template <typename F>
  T* find(F f) {
    for (detail::ListNode* at = end_.next_; at != &end_; at = at->next_) {
      if (f(to_item(*at))) return &to_item(*at);
    }
    return nullptr;
  }
  /// Calls `f(T&)` for each; `f` may unlink the item it was given.
  template <typename F>
  void for_each(F f) {
    for (detail::ListNode* at = end_.next_; at != &end_;) {
      detail::ListNode* next = at->next_;
      f(to_item(*at));
      at = next;
    }
  }

 private:
  static T& to_item(detail::ListNode& node) noexcept {
    return static_cast<T&>(static_cast<Hook&>(static_cast<ListHook&>(node)));
  }

  detail::ListEnd end_;
};

}  // namespace microdot::inline MICRODOT_ABI
