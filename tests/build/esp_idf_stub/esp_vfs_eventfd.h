#pragma once
#include <cstddef>
#include "esp_err.h"
#define EFD_SUPPORT_ISR (1 << 4)
struct esp_vfs_eventfd_config_t {
  std::size_t max_fds;
};
#define ESP_VFS_EVENTD_CONFIG_DEFAULT() \
  (esp_vfs_eventfd_config_t) { .max_fds = 5 }
esp_err_t esp_vfs_eventfd_register(const esp_vfs_eventfd_config_t*);
int eventfd(unsigned, int);
