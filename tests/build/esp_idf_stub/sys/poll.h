#pragma once
#include_next <sys/poll.h>
// ESP-IDF's are unsigned.
#undef POLLIN
#undef POLLPRI
#undef POLLOUT
#undef POLLERR
#undef POLLHUP
#undef POLLNVAL
#define POLLIN 0x01u
#define POLLPRI 0x02u
#define POLLOUT 0x04u
#define POLLERR 0x08u
#define POLLHUP 0x10u
#define POLLNVAL 0x20u
