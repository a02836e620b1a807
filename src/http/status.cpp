#include <microdot/http/status.hpp>

#include <algorithm>
#include <array>

#include "../base/packed_texts.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

struct Status {
  std::uint16_t code;
  std::string_view reason;
};

// Sorted by code.
constexpr Status kStatuses[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {102, "Processing"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {208, "Already Reported"},
    {226, "IM Used"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {305, "Use Proxy"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {418, "I'm a teapot"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {506, "Variant Also Negotiates"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
    {510, "Not Extended"},
    {511, "Network Authentication Required"},
};
constexpr auto kReasons = detail::pack_texts<kStatuses, &Status::reason>();
constexpr auto kCodes = [] {
  std::array<std::uint16_t, std::size(kStatuses)> codes{};
  std::transform(std::begin(kStatuses), std::end(kStatuses), codes.begin(),
                 [](const Status& status) { return status.code; });
  return codes;
}();
static_assert(std::is_sorted(kCodes.begin(), kCodes.end()));

constexpr std::string_view kClasses[] = {"Unknown",     "Informational", "Success",
                                         "Redirection", "Client Error",  "Server Error"};
constexpr auto kClassNames = detail::pack_texts<kClasses>();

}  // namespace

std::string_view reason_phrase(int status) noexcept {
  const auto found = std::lower_bound(kCodes.begin(), kCodes.end(), status);
  if (found != kCodes.end() && *found == status)
    return kReasons[static_cast<std::size_t>(found - kCodes.begin())];
  return kClassNames[status >= 100 && status <= 599 ? static_cast<std::size_t>(status / 100) : 0];
}

}  // namespace microdot::inline MICRODOT_ABI
