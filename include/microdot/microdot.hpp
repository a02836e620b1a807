#pragma once
/// All of microdot's core: include this, and what you use of <microdot/ext/…>.

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>

#include <microdot/app.hpp>
#include <microdot/async/channel.hpp>
#include <microdot/async/event.hpp>
#include <microdot/async/every.hpp>
#include <microdot/async/gather.hpp>
#include <microdot/async/generator.hpp>
#include <microdot/async/lock.hpp>
#include <microdot/async/queue.hpp>
#include <microdot/async/run.hpp>
#include <microdot/async/semaphore.hpp>
#include <microdot/async/sleep.hpp>
#include <microdot/async/spawn.hpp>
#include <microdot/async/supervise.hpp>
#include <microdot/async/task.hpp>
#include <microdot/async/task_group.hpp>
#include <microdot/async/watch.hpp>
#include <microdot/embedded_files.hpp>
#include <microdot/request.hpp>
#include <microdot/response.hpp>
#include <microdot/router.hpp>

#if MICRODOT_HOSTED
#include <microdot/async/signal.hpp>
#include <microdot/async/thread.hpp>
#endif

namespace microdot::inline MICRODOT_ABI {

/// `100ms`, `5s` … for all who are `using namespace microdot`.
using namespace std::chrono_literals;

}  // namespace microdot::inline MICRODOT_ABI
