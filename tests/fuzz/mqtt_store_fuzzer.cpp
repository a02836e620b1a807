// A store of messages holds what a list of them would, to the byte, whatever is taken out of its middle; and
// the first stays where it is once it was settled.
#include <cstddef>
#include <cstdint>
#include <list>
#include <string>

#include <microdot/ext/mqtt_store.hpp>

#include "fuzz.hpp"

using namespace microdot;
using fuzz::require;

namespace {

struct Held {
  std::string topic;
  std::string payload;
  std::size_t bytes() const { return mqtt_message_bytes(topic.size(), payload.size()); }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  alignas(std::max_align_t) std::byte block[255];
  detail::MqttStore store(std::span(block).first(input.byte()));
  std::list<Held> held;
  std::size_t used = 0;
  const detail::MqttEntry* settled = nullptr;
  while (!input.empty()) {
    const std::uint8_t what = input.byte();
    if (what < 128) {
      Held message{std::string(1 + what % 3, 'a'),
                   std::string(what / 3, static_cast<char>('a' + held.size() % 26))};
      const MqttMessage given{.topic = message.topic, .payload = message.payload};
      const bool fits = used + message.bytes() <= store.capacity();
      require(store.can_hold(given) == (message.bytes() <= store.capacity()));
      require((store.append(given) != nullptr) == fits);
      if (fits) {
        used += message.bytes();
        held.push_back(message);
      }
    } else if (what < 192) {
      settled = store.settle_first();
      require((settled == nullptr) == held.empty());
    } else if (!held.empty()) {
      std::size_t index = what % held.size();
      detail::MqttEntry* entry = store.first();
      auto at = held.begin();
      if (index == 0) settled = nullptr;
      for (; index != 0; --index, ++at) entry = store.next(*entry);
      used -= at->bytes();
      held.erase(at);
      store.remove(*entry);
    }
    require(store.used() == used && store.empty() == held.empty());
    if (settled != nullptr) require(store.first() == settled);
    detail::MqttEntry* entry = store.first();
    for (const Held& message : held) {
      require(entry != nullptr && entry->topic() == message.topic && entry->payload() == message.payload);
      entry = store.next(*entry);
    }
    require(entry == nullptr);
  }
  return 0;
}
