#pragma once
#include <microdot/microdot.hpp>

namespace microdot_test {

using namespace microdot;

/// `start_server` as a strand of its own.
class ServerRun final : private Strand::Owner {
 public:
  ServerRun(App& app, Loop& loop, const ServerOptions& options)
      : strand_(*this, task_pool()), task_(app.start_server(options)) {
    strand_.start(loop, task_.handle());
  }
  bool done() const { return done_; }
  Result<void> result() { return task_.take(); }

 private:
  void on_finished(Strand&) noexcept override { done_ = true; }
  void on_stopped(Strand&) noexcept override { done_ = true; }

  Strand strand_;
  Task<Result<void>> task_;
  bool done_ = false;
};

}  // namespace microdot_test
