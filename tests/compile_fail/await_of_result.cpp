// expect-error: a Result is there already, as of try_publish: leave out the co_await
#include <microdot/ext/mqtt.hpp>
#include <microdot/microdot.hpp>

using namespace microdot;

Task<> main_task(MqttClient& mqtt) { co_await mqtt.try_publish("topic", "payload"); }
