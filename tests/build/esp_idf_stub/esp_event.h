#pragma once
#include <cstdint>
#include "esp_err.h"
using esp_event_base_t = const char*;
using esp_event_handler_t = void (*)(void*, esp_event_base_t, std::int32_t, void*);
#define ESP_EVENT_ANY_BASE nullptr
#define ESP_EVENT_ANY_ID -1
esp_err_t esp_event_handler_register(esp_event_base_t, std::int32_t, esp_event_handler_t, void*);
esp_err_t esp_event_handler_unregister(esp_event_base_t, std::int32_t, esp_event_handler_t);
esp_err_t esp_event_loop_create_default();
