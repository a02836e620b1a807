#pragma once
#include <cstddef>
#include "esp_err.h"
#define EFD_SUPPORT_ISR 0  // no flag of Linux, whose eventfd this is here
struct esp_vfs_eventfd_config_t {
  std::size_t max_fds;
};
#define ESP_VFS_EVENTD_CONFIG_DEFAULT() \
  (esp_vfs_eventfd_config_t) { .max_fds = 5 }
esp_err_t esp_vfs_eventfd_register(const esp_vfs_eventfd_config_t*);
extern "C" int eventfd(unsigned, int);
