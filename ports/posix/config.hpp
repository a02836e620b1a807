#pragma once
// What differs between the systems of this port. Each may be defined by the build, too.

#include <microdot/base/config.hpp>

#if defined(ESP_PLATFORM)
#include <sdkconfig.h>
#endif

/// How other threads end a poll: a pipe; an eventfd, which ESP-IDF has instead; or a datagram to oneself over
/// the loopback, where there is neither.
#define MICRODOT_POSIX_PIPE 1
#define MICRODOT_POSIX_EVENTFD 2
#define MICRODOT_POSIX_DATAGRAM 3
#ifndef MICRODOT_POSIX_WAKE
#if defined(ESP_PLATFORM)
#define MICRODOT_POSIX_WAKE MICRODOT_POSIX_EVENTFD
#else
#define MICRODOT_POSIX_WAKE MICRODOT_POSIX_PIPE
#endif
#endif

/// How many descriptors a poller without a heap can wait for: all sockets there are, and the wake.
#ifndef MICRODOT_POSIX_SOCKETS
#if defined(CONFIG_LWIP_MAX_SOCKETS)
#define MICRODOT_POSIX_SOCKETS CONFIG_LWIP_MAX_SOCKETS
#else
#define MICRODOT_POSIX_SOCKETS 16
#endif
#endif

/// 1 where poll(2) tells of resets only if it was asked for some event (ESP-IDF's, which is select(2)
/// inside).
#ifndef MICRODOT_POSIX_POLL_IS_SELECT
#if defined(ESP_PLATFORM)
#define MICRODOT_POSIX_POLL_IS_SELECT 1
#else
#define MICRODOT_POSIX_POLL_IS_SELECT 0
#endif
#endif
