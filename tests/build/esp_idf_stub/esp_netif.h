#pragma once
#include <cstdint>
#include "esp_err.h"
struct esp_netif_t;
struct esp_netif_ip_info_t {
  struct {
    std::uint32_t addr;
  } ip, netmask, gw;
};
using esp_netif_find_predicate_t = bool (*)(esp_netif_t*, void*);
esp_netif_t* esp_netif_find_if(esp_netif_find_predicate_t, void*);
bool esp_netif_is_netif_up(esp_netif_t*);
esp_err_t esp_netif_get_ip_info(esp_netif_t*, esp_netif_ip_info_t*);
esp_err_t esp_netif_init();
