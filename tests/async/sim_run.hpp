#pragma once
/// What the tests of async/ share: programs that run on the simulator, and what they do, noted line by line.

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <microdot/async/run.hpp>
#include <microdot/async/sleep.hpp>
#include <microdot/async/spawn.hpp>
#include <microdot/testing/sim_port.hpp>

namespace microdot_test {

using namespace microdot;
using namespace std::chrono_literals;

/// A copy in the global list of failures, for it is a plain function that is called.
inline std::vector<std::string>& task_errors() {
  static std::vector<std::string> errors;
  return errors;
}

class AsyncTest : public testing::Test {
 protected:
  AsyncTest() {
    task_errors().clear();
    on_task_error([](const TaskError& error) {
      task_errors().push_back(std::string(error.name) + ": " + std::string(error.reason));
    });
  }
  ~AsyncTest() override {
    on_task_error(nullptr);
    EXPECT_EQ(task_pool().used(), pool_before_) << "frames or tasks were leaked";
  }

  /// Runs the coroutine `f()` as the main task.
  template <typename F>
  int run(F f) {
    return microdot::run(f(), sim_);
  }
  void note(std::string_view what) { notes_ += notes_.empty() ? std::string(what) : " " + std::string(what); }
  /// Virtual milliseconds since the simulator's start.
  long long ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(sim_.clock().now() - start_).count();
  }
  std::string log() { return std::string(sim_.log_text()); }

  SimPort sim_;
  TimePoint start_ = sim_.clock().now();
  std::string notes_;
  std::size_t pool_before_ = task_pool().used();
};

/// Notes its end.
class Tracer {
 public:
  Tracer(std::string& notes, std::string_view name) : notes_(&notes), name_(name) {}
  Tracer(Tracer&& other) noexcept : notes_(std::exchange(other.notes_, nullptr)), name_(other.name_) {}
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;
  ~Tracer() {
    if (notes_ != nullptr) *notes_ += (notes_->empty() ? "~" : " ~") + name_;
  }

 private:
  std::string* notes_;
  std::string name_;
};

}  // namespace microdot_test
