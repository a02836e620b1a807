#pragma once
#include <microdot/limits.hpp>

#if defined(ESP_PLATFORM)
#include <sdkconfig.h>

namespace microdot::inline MICRODOT_ABI {

/// The limits that `idf.py menuconfig` sets (component microdot), for a StaticApp:
///
///     StaticApp<kConfiguredLimits> app;
inline constexpr Limits kConfiguredLimits = [] {
  Limits limits;
  limits.connections = CONFIG_MICRODOT_CONNECTIONS;
  limits.connections_per_client = CONFIG_MICRODOT_CONNECTIONS_PER_CLIENT;
  limits.exchanges = CONFIG_MICRODOT_EXCHANGES;
  limits.streams = CONFIG_MICRODOT_STREAMS;
  limits.stream_bytes = CONFIG_MICRODOT_STREAM_BYTES;
  limits.ws_message_bytes = CONFIG_MICRODOT_WS_MESSAGE_BYTES;
  limits.queue_length = CONFIG_MICRODOT_QUEUE_LENGTH;
  limits.background_tasks = CONFIG_MICRODOT_BACKGROUND_TASKS;
#if defined(CONFIG_MICRODOT_WHEN_FULL_REFUSE)
  limits.when_full = WhenFull::refuse;
#else
  limits.when_full = WhenFull::wait;
#endif
  limits.head_bytes = CONFIG_MICRODOT_HEAD_BYTES;
  limits.header_count = CONFIG_MICRODOT_HEADER_COUNT;
  limits.response_bytes = CONFIG_MICRODOT_RESPONSE_BYTES;
  limits.arena_bytes = CONFIG_MICRODOT_ARENA_BYTES;
  limits.routes = CONFIG_MICRODOT_ROUTES;
  limits.handler_bytes = CONFIG_MICRODOT_HANDLER_BYTES;
  limits.max_content_length = CONFIG_MICRODOT_MAX_CONTENT_LENGTH;
  limits.max_body_length = CONFIG_MICRODOT_MAX_BODY_LENGTH;
  limits.max_readline = CONFIG_MICRODOT_MAX_READLINE;
  limits.first_timeout = std::chrono::milliseconds(CONFIG_MICRODOT_FIRST_TIMEOUT);
  limits.head_timeout = std::chrono::milliseconds(CONFIG_MICRODOT_HEAD_TIMEOUT);
  limits.body_timeout = std::chrono::milliseconds(CONFIG_MICRODOT_BODY_TIMEOUT);
  limits.write_timeout = std::chrono::milliseconds(CONFIG_MICRODOT_WRITE_TIMEOUT);
  limits.body_rate = CONFIG_MICRODOT_BODY_RATE;
  limits.write_rate = CONFIG_MICRODOT_WRITE_RATE;
  limits.slow_grace = std::chrono::milliseconds(CONFIG_MICRODOT_SLOW_GRACE);
  limits.keep_alive_timeout = std::chrono::milliseconds(CONFIG_MICRODOT_KEEP_ALIVE_TIMEOUT);
  limits.queue_timeout = std::chrono::milliseconds(CONFIG_MICRODOT_QUEUE_TIMEOUT);
  limits.handler_timeout = std::chrono::milliseconds(CONFIG_MICRODOT_HANDLER_TIMEOUT);
  limits.linger_timeout = std::chrono::milliseconds(CONFIG_MICRODOT_LINGER_TIMEOUT);
  limits.shutdown_timeout = std::chrono::milliseconds(CONFIG_MICRODOT_SHUTDOWN_TIMEOUT);
  limits.linger_bytes = CONFIG_MICRODOT_LINGER_BYTES;
  return limits;
}();
static_assert(kConfiguredLimits.error() == LimitsError::none,
              "menuconfig: microdot's limits contradict each other");

}  // namespace microdot::inline MICRODOT_ABI
#endif
