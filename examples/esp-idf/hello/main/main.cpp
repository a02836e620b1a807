// A server on an ESP32 that tells in the log when Wi-Fi goes and comes back.
#include <cstring>

#include <esp_event.h>
#include <esp_log.h>
#include <esp_netif.h>
#include <esp_wifi.h>
#include <nvs_flash.h>

#include <microdot/configured_limits.hpp>
#include <microdot/microdot.hpp>

using namespace microdot;

static StaticApp<kConfiguredLimits> app;

static void on_wifi(void*, esp_event_base_t base, int32_t id, void*) {
  if (base == WIFI_EVENT && (id == WIFI_EVENT_STA_START || id == WIFI_EVENT_STA_DISCONNECTED))
    esp_wifi_connect();
}

static void start_wifi() {
  ESP_ERROR_CHECK(nvs_flash_init());
  ESP_ERROR_CHECK(esp_netif_init());
  ESP_ERROR_CHECK(esp_event_loop_create_default());
  esp_netif_create_default_wifi_sta();
  const wifi_init_config_t config = WIFI_INIT_CONFIG_DEFAULT();
  ESP_ERROR_CHECK(esp_wifi_init(&config));
  ESP_ERROR_CHECK(esp_event_handler_register(WIFI_EVENT, ESP_EVENT_ANY_ID, on_wifi, nullptr));
  wifi_config_t station = {};
  std::strncpy(reinterpret_cast<char*>(station.sta.ssid), CONFIG_EXAMPLE_WIFI_SSID, sizeof station.sta.ssid);
  std::strncpy(reinterpret_cast<char*>(station.sta.password), CONFIG_EXAMPLE_WIFI_PASSWORD,
               sizeof station.sta.password);
  ESP_ERROR_CHECK(esp_wifi_set_mode(WIFI_MODE_STA));
  ESP_ERROR_CHECK(esp_wifi_set_config(WIFI_IF_STA, &station));
  ESP_ERROR_CHECK(esp_wifi_start());
}

extern "C" void app_main() {
  start_wifi();
  app.get("/", [](Request&) { return "Hello from an ESP32!\n"; });
  // The port sees the events of the network itself.
  app.on_network_lost([] { ESP_LOGW("hello", "the network is gone"); });
  app.on_network_up([] { ESP_LOGI("hello", "the network is back"); });
  app.run({.port = 80});
}
