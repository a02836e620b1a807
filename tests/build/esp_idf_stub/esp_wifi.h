#pragma once
#include "esp_event.h"
#include "esp_netif.h"
enum wifi_mode_t { WIFI_MODE_NULL, WIFI_MODE_STA };
enum wifi_interface_t { WIFI_IF_STA };
enum { WIFI_EVENT_STA_START = 2, WIFI_EVENT_STA_DISCONNECTED = 5 };
extern const esp_event_base_t WIFI_EVENT;
struct wifi_init_config_t {
  int magic;
};
#define WIFI_INIT_CONFIG_DEFAULT() \
  { .magic = 1 }
union wifi_config_t {
  struct {
    std::uint8_t ssid[32];
    std::uint8_t password[64];
  } sta;
};
esp_netif_t* esp_netif_create_default_wifi_sta();
esp_err_t esp_wifi_init(const wifi_init_config_t*);
esp_err_t esp_wifi_set_mode(wifi_mode_t);
esp_err_t esp_wifi_set_config(wifi_interface_t, wifi_config_t*);
esp_err_t esp_wifi_start();
esp_err_t esp_wifi_connect();
