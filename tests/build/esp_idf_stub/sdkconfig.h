#pragma once
#define CONFIG_LWIP_MAX_SOCKETS 10
