// expect-ok
// The twin of share_of_views.cpp and share_of_others.cpp, right.
#include <string>

#include <microdot/ext/cluster.hpp>

using namespace microdot;

Task<> main_task(Channel<std::string>& texts, Channel<double>& numbers, MqttClient& mqtt) {
  co_await share(texts, mqtt, "texts");
  co_await share(numbers, mqtt, "numbers");
}
