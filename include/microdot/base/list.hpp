#pragma once
#include <cassert>

#include <microdot/base/config.hpp>

namespace microdot::inline MICRODOT_ABI {

/// Membership in one `List`; unlinks itself when destroyed. Base class of what is to be listed.
class ListHook {
 public:
  ListHook() noexcept = default;
  ListHook(const ListHook&) = delete;
  ListHook& operator=(const ListHook&) = delete;
  ~ListHook() { unlink(); }

  bool linked() const noexcept { return next_ != nullptr; }
  void unlink() noexcept {
    if (next_ == nullptr) return;
    next_->prev_ = prev_;
    prev_->next_ = next_;
    next_ = prev_ = nullptr;
  }

 private:
  template <typename T, typename Hook>
  friend class List;

  ListHook* next_ = nullptr;
  ListHook* prev_ = nullptr;
};

/// An intrusive doubly linked list: owns nothing, allocates nothing. `Hook` tells the lists of one object
/// apart.
template <typename T, typename Hook = ListHook>
class List {
 public:
  List() noexcept { head_.next_ = head_.prev_ = &head_; }
  List(const List&) = delete;
  List& operator=(const List&) = delete;
  ~List() { clear(); }

  bool empty() const noexcept { return head_.next_ == &head_; }
  T& front() noexcept { return *to_item(head_.next_); }
  void push_back(T& item) noexcept { insert(head_.prev_, item); }
  void push_front(T& item) noexcept { insert(&head_, item); }
  T& pop_front() noexcept {
    assert(!empty());
    T& item = front();
    static_cast<Hook&>(item).unlink();
    return item;
  }
  /// Moves all of `other` behind what is here.
  void splice_back(List& other) noexcept {
    while (!other.empty()) push_back(other.pop_front());
  }
  void clear() noexcept {
    while (!empty()) pop_front();
  }
  /// The first for which `f(T&)` is true; null if there is none.
  template <typename F>
  T* find(F f) {
    for (ListHook* at = head_.next_; at != &head_; at = at->next_) {
      if (f(*to_item(at))) return to_item(at);
    }
    return nullptr;
  }
  /// Calls `f(T&)` for each; `f` may unlink the item it was given.
  template <typename F>
  void for_each(F f) {
    for (ListHook* at = head_.next_; at != &head_;) {
      ListHook* next = at->next_;
      f(*to_item(at));
      at = next;
    }
  }

 private:
  static T* to_item(ListHook* hook) noexcept { return static_cast<T*>(static_cast<Hook*>(hook)); }
  void insert(ListHook* after, T& item) noexcept {
    ListHook& hook = static_cast<Hook&>(item);
    assert(!hook.linked());
    hook.prev_ = after;
    hook.next_ = after->next_;
    after->next_->prev_ = &hook;
    after->next_ = &hook;
  }

  ListHook head_;
};

}  // namespace microdot::inline MICRODOT_ABI
