#pragma once
enum esp_log_level_t { ESP_LOG_NONE, ESP_LOG_ERROR, ESP_LOG_WARN, ESP_LOG_INFO, ESP_LOG_DEBUG };
void stub_log(esp_log_level_t, const char* tag, const char* format, ...);
#define ESP_LOG_LEVEL(...) stub_log(__VA_ARGS__)
#define ESP_LOGI(tag, ...) stub_log(ESP_LOG_INFO, tag, __VA_ARGS__)
#define ESP_LOGW(tag, ...) stub_log(ESP_LOG_WARN, tag, __VA_ARGS__)
