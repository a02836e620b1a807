#pragma once
/// Names and filters of topics (MQTT 3.1.1 section 4.7). Pure bytes.

#include <string_view>

#include <microdot/base/config.hpp>

namespace microdot::inline MICRODOT_ABI {

/// Whether messages may be published under this name: 1 to 65535 bytes of UTF-8 without NUL, `+` and `#`.
bool is_mqtt_topic(std::string_view topic) noexcept;

/// Whether this can be subscribed to: as a topic, but a whole level may be `+` (any one level), and the last
/// one `#` (any number of levels, also none: "a/#" is "a", too).
bool is_mqtt_filter(std::string_view filter) noexcept;

/// Whether `filter` takes in `topic`; both must be valid. Names that begin with '$' are the broker's own: no
/// filter that begins with a wildcard takes them in.
bool matches_mqtt_filter(std::string_view filter, std::string_view topic) noexcept;

}  // namespace microdot::inline MICRODOT_ABI
