// expect-error: share: T points to bytes of this process
#include <microdot/ext/cluster.hpp>

using namespace microdot;

Task<> main_task(Channel<std::string_view>& channel, MqttClient& mqtt) {
  co_await share(channel, mqtt, "texts");
}
