#pragma once
#include <coroutine>
#include <functional>
#include <new>
#include <type_traits>
#include <utility>

#include <microdot/async/gather.hpp>
#include <microdot/async/spawn.hpp>

namespace microdot::inline MICRODOT_ABI {

/// Any number of tasks that end with the scope they were started in.
///
///     TaskGroup group;
///     for (Sensor& sensor : sensors) group.create_task(poll, std::ref(sensor));
///     co_await group.join();
///
/// The destructor ends what still runs and never blocks. The group belongs to the strand that made it; its
/// tasks may start more tasks in it, but must not `cancel` or `join` it.
class TaskGroup {
 public:
  TaskGroup() noexcept : set_(Strand::running()) {}
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  ~TaskGroup() { cancel(); }

  /// Starts a task, or a coroutine function with its arguments, which are kept beside it. Without room for it
  /// it gives false, and the awaiting strand ends at `join` (in a handler: 503).
  bool create_task(Task<> task) { return add(make<TaskOnlyNode>(set_, std::move(task))); }
  template <typename F, typename... Args>
  requires detail::TaskFunction<F, Args...>
  bool create_task(F&& f, Args&&... args) {
    static_assert(std::is_void_v<typename detail::TaskOf<F, Args...>::value_type>,
                  "TaskGroup::create_task: give results through arguments");
    return add(make<CallableNode<std::decay_t<F>, std::decay_t<Args>...>>(set_, std::forward<F>(f),
                                                                          std::forward<Args>(args)...));
  }
  /// Ends all tasks now. Not from one of them.
  void cancel() noexcept {
    while (first_ != nullptr) {
      Node* node = std::exchange(first_, first_->next);
      node->destroy();
    }
    set_.reset();
  }

  class [[nodiscard]] Join {
   public:
    explicit Join(TaskGroup& group) noexcept : group_(&group) {}
    Join(Join&& other) noexcept : group_(other.group_) {}
    Join& operator=(Join&&) = delete;
    ~Join() {
      if (waiting_) group_->set_.wait_no_more();
    }
    bool await_ready() const noexcept { return group_->set_.complete() && !group_->out_of_memory_; }
    void await_suspend(std::coroutine_handle<> awaiting) noexcept {
      Strand& strand = Strand::running();
      strand.park(awaiting);
      if (group_->out_of_memory_) return detail::stop_for_memory(strand);
      waiting_ = true;
      group_->set_.wait(strand);
    }
    void await_resume() {
      waiting_ = false;
      group_->finish();
    }

   private:
    TaskGroup* group_;
    bool waiting_ = false;
  };
  /// Waits until all tasks are done. The first that throws ends the others, and its exception is rethrown.
  Join join() noexcept { return Join(*this); }

 private:
  struct Node {
    Node(detail::BranchSet& set, Task<> task) noexcept
        : branch(detail::BranchInit<void>{set, std::move(task)}) {}
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;
    virtual void destroy() noexcept = 0;
    template <typename T>
    static void destroy_as(T* node) noexcept {
      node->branch.cancel();
      node->~T();
      Arena::free(node);
    }

    Node* next = nullptr;
    detail::Branch<void> branch;

   protected:
    ~Node() = default;
  };

  struct TaskOnlyNode final : public Node {
    using Node::Node;
    void destroy() noexcept override { Node::destroy_as(this); }
  };

  template <typename F, typename... Args>
  struct Closure {
    template <typename G, typename... Brgs>
    explicit Closure(G&& g, Brgs&&... brgs) : f(std::forward<G>(g)), args(std::forward<Brgs>(brgs)...) {}
    Task<> call() {
      return std::apply([this](Args&... stored) { return std::invoke(f, std::move(stored)...); }, args);
    }
    F f;
    std::tuple<Args...> args;
  };

  // The closure is a base in front of the branch: it is made before the task and destroyed after it.
  template <typename F, typename... Args>
  struct CallableNode final : private Closure<F, Args...>, public Node {
    template <typename G, typename... Brgs>
    CallableNode(detail::BranchSet& set, G&& g, Brgs&&... brgs)
        : Closure<F, Args...>(std::forward<G>(g), std::forward<Brgs>(brgs)...), Node(set, this->call()) {}
    void destroy() noexcept override { Node::destroy_as(this); }
  };

  template <typename T, typename... Args>
  Node* make(Args&&... args) {
    drop_finished();
    return detail::make_in<T>(set_.parent().arena(), std::forward<Args>(args)...);
  }
  bool add(Node* node) noexcept {
    if (node == nullptr || !node->branch.valid()) {
      out_of_memory_ = true;
      if (node != nullptr) node->destroy();
      return false;
    }
    node->next = std::exchange(first_, node);
    node->branch.start();
    return true;
  }
  // So that a group that lives long needs no more memory than its tasks that run.
  void drop_finished() noexcept {
    if (set_.failed() != nullptr) return;
    for (Node** at = &first_; *at != nullptr;) {
      Node* const node = *at;
      if (node->branch.done()) {
        *at = node->next;
        node->destroy();
      } else {
        at = &node->next;
      }
    }
  }
  void finish() {
#if MICRODOT_EXCEPTIONS
    if (set_.failed() != nullptr) {
      const std::exception_ptr exception = set_.failed()->take_exception();
      cancel();
      std::rethrow_exception(exception);
    }
#endif
    cancel();
  }

  detail::BranchSet set_;
  Node* first_ = nullptr;
  bool out_of_memory_ = false;
};

}  // namespace microdot::inline MICRODOT_ABI
