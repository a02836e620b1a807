#pragma once
#include <cstddef>
void esp_fill_random(void*, std::size_t);
