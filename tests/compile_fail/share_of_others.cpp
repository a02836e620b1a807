// expect-error: specialise microdot::ShareCodec
#include <vector>

#include <microdot/ext/cluster.hpp>

using namespace microdot;

Task<> main_task(Channel<std::vector<int>>& channel, MqttClient& mqtt) {
  co_await share(channel, mqtt, "lists");
}
