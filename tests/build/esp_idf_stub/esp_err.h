#pragma once
using esp_err_t = int;
#define ESP_OK 0
#define ESP_ERR_INVALID_STATE 0x103
