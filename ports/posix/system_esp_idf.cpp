// ESP-IDF: lwIP's sockets, one task.

#include <esp_event.h>
#include <esp_log.h>
#include <esp_netif.h>
#include <esp_random.h>
#include <algorithm>
#include <cstring>

#include "poller.hpp"
#include "system.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

esp_log_level_t to_esp(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::debug: return ESP_LOG_DEBUG;
    case LogLevel::info: return ESP_LOG_INFO;
    case LogLevel::warning: return ESP_LOG_WARN;
    case LogLevel::error: return ESP_LOG_ERROR;
  }
  return ESP_LOG_ERROR;
}

// Whatever it is: the network is asked what it means. In the task of the events.
void on_event(void* poller, esp_event_base_t, std::int32_t, void*) {
  static_cast<PosixPoller*>(poller)->network_changed();
}

/// An interface that is looked for.
struct Wanted {
  std::uint32_t address = 0;  // network order; 0: any
  bool known = false;         // one has the address, up or not
};

bool serves(esp_netif_t* interface, void* context) noexcept {
  auto& wanted = *static_cast<Wanted*>(context);
  esp_netif_ip_info_t info{};
  if (esp_netif_get_ip_info(interface, &info) != ESP_OK || info.ip.addr == 0) return false;
  if (wanted.address != 0 && info.ip.addr != wanted.address) return false;
  wanted.known = true;
  return esp_netif_is_netif_up(interface);
}

}  // namespace

void fill_system_random(std::span<unsigned char> bytes) noexcept {
  esp_fill_random(bytes.data(), bytes.size());  // true random numbers while Wi-Fi or Bluetooth is on
}

void write_system_log(LogLevel level, std::string_view line) noexcept {
  ESP_LOG_LEVEL(to_esp(level), "microdot", "%.*s", static_cast<int>(line.size()), line.data());
}

void discard_system_memory(std::span<std::byte>) noexcept {}  // nobody would have it

// Takes from the heap, when a server starts. Without the default event loop there is no news.
void watch_system_network(PosixPoller& poller, bool on) noexcept {
  if (on) {
    (void)esp_event_handler_register(ESP_EVENT_ANY_BASE, ESP_EVENT_ANY_ID, on_event, &poller);
  } else {
    (void)esp_event_handler_unregister(ESP_EVENT_ANY_BASE, ESP_EVENT_ANY_ID, on_event);
  }
}

Error check_system_address(const Endpoint& local) noexcept {
  const bool any =
      std::all_of(local.address.begin(), local.address.end(), [](std::uint8_t byte) { return byte == 0; });
  if (!any && (local.family != Endpoint::Family::ipv4 || local.address[0] == 127)) return Error::unsupported;
  Wanted wanted;
  std::memcpy(&wanted.address, local.address.data(), sizeof wanted.address);
  if (esp_netif_find_if(serves, &wanted) != nullptr) return Error::none;
  return any || wanted.known ? Error::network_down : Error::address_unavailable;
}

}  // namespace microdot::inline MICRODOT_ABI
