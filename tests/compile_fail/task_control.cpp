// expect-ok
// The twin of task_*, supervise_* and await_of_result.cpp, right.
#include <functional>

#include <microdot/ext/mqtt.hpp>
#include <microdot/microdot.hpp>

using namespace microdot;

struct Hub {};
Task<> sample(Hub& hub);
Task<> wait_for_value(int value, const Hub& hub);

Task<> main_task(Hub& hub, MqttClient& mqtt) {
  create_task("sensor", sample, std::ref(hub));
  create_task(sample, std::ref(hub));
  create_task("value", wait_for_value, 1, hub);
  create_task(sample(hub));
  create_task("sensor", sample(hub));
  supervise("sensor", {}, sample, std::ref(hub));
  supervise({}, wait_for_value, 1, hub);
  (void)mqtt.try_publish("topic", "payload");
  co_await mqtt.publish("topic", "payload");
}
