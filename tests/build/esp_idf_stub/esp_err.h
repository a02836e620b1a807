#pragma once
#include <cstdlib>
using esp_err_t = int;
#define ESP_OK 0
#define ESP_ERR_INVALID_STATE 0x103
#define ESP_ERROR_CHECK(call) \
  do { \
    if ((call) != ESP_OK) std::abort(); \
  } while (0)
