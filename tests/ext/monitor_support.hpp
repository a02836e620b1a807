#pragma once
/// What the tests of the monitor share.

#include <string>
#include <string_view>

#include <microdot/ext/monitor.hpp>

#include "../server/sim_server.hpp"

namespace microdot_test {

inline constexpr std::string_view kMe = "10.9.9.9";
inline constexpr Limits kSmall{.connections = 8, .exchanges = 3, .queue_length = 2, .background_tasks = 4};

inline std::string field_of(std::string_view answer, std::string_view name) {
  const std::string_view head = answer.substr(0, answer.find("\r\n\r\n") + 2);
  const std::string start = "\r\n" + std::string(name) + ": ";
  const std::size_t at = head.find(start);
  if (at == std::string_view::npos) return {};
  const std::size_t begin = at + start.size();
  return std::string(head.substr(begin, head.find("\r\n", begin) - begin));
}

}  // namespace microdot_test
