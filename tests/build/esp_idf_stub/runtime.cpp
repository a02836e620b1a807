// ESP-IDF's functions on Linux, as far as the examples need them: a network that is there from the start.
#include <esp_event.h>
#include <esp_log.h>
#include <esp_netif.h>
#include <esp_random.h>
#include <esp_vfs_eventfd.h>
#include <esp_wifi.h>
#include <nvs_flash.h>
#include <sys/random.h>
#include <cstdarg>
#include <cstdio>

struct esp_netif_t {};
static esp_netif_t station;
extern const esp_event_base_t WIFI_EVENT = "WIFI_EVENT";

void esp_fill_random(void* bytes, std::size_t size) {
  if (getrandom(bytes, size, 0) != static_cast<ssize_t>(size)) std::abort();
}
void stub_log(esp_log_level_t, const char* tag, const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  std::printf("%s: ", tag);
  std::vprintf(format, arguments);
  std::puts("");
  std::fflush(stdout);
  va_end(arguments);
}
esp_err_t esp_event_loop_create_default() { return ESP_OK; }
esp_err_t esp_event_handler_register(esp_event_base_t, std::int32_t, esp_event_handler_t, void*) {
  return ESP_OK;
}
esp_err_t esp_event_handler_unregister(esp_event_base_t, std::int32_t, esp_event_handler_t) { return ESP_OK; }
esp_err_t esp_netif_init() { return ESP_OK; }
esp_netif_t* esp_netif_create_default_wifi_sta() { return &station; }
esp_netif_t* esp_netif_find_if(esp_netif_find_predicate_t matches, void* context) {
  return matches(&station, context) ? &station : nullptr;
}
bool esp_netif_is_netif_up(esp_netif_t*) { return true; }
esp_err_t esp_netif_get_ip_info(esp_netif_t*, esp_netif_ip_info_t* info) {
  info->ip.addr = 0x0100000a;  // 10.0.0.1
  return ESP_OK;
}
esp_err_t esp_vfs_eventfd_register(const esp_vfs_eventfd_config_t*) { return ESP_OK; }
esp_err_t esp_wifi_init(const wifi_init_config_t*) { return ESP_OK; }
esp_err_t esp_wifi_set_mode(wifi_mode_t) { return ESP_OK; }
esp_err_t esp_wifi_set_config(wifi_interface_t, wifi_config_t*) { return ESP_OK; }
esp_err_t esp_wifi_start() { return ESP_OK; }
esp_err_t esp_wifi_connect() { return ESP_OK; }
esp_err_t nvs_flash_init() { return ESP_OK; }

extern "C" void app_main();
int main() { app_main(); }
