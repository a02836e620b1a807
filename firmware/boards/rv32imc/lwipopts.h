/* lwIP's options for this board: those of ports/lwip. */
#define LWIP_DHCP 1

#include "options.h"
