// expect-error: the function of a task must be a coroutine: it must return a Task
#include <microdot/microdot.hpp>

using namespace microdot;

void start() {
  create_task([] { return 1; });
}
