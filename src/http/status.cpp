#include <microdot/http/status.hpp>

namespace microdot::inline MICRODOT_ABI {

std::string_view status_line(int status) noexcept {
  switch (status) {
#define MICRODOT_STATUS(code, reason) \
  case code: return "HTTP/1.1 " #code " " reason "\r\n"
    MICRODOT_STATUS(100, "Continue");
    MICRODOT_STATUS(101, "Switching Protocols");
    MICRODOT_STATUS(102, "Processing");
    MICRODOT_STATUS(103, "Early Hints");
    MICRODOT_STATUS(200, "OK");
    MICRODOT_STATUS(201, "Created");
    MICRODOT_STATUS(202, "Accepted");
    MICRODOT_STATUS(203, "Non-Authoritative Information");
    MICRODOT_STATUS(204, "No Content");
    MICRODOT_STATUS(205, "Reset Content");
    MICRODOT_STATUS(206, "Partial Content");
    MICRODOT_STATUS(207, "Multi-Status");
    MICRODOT_STATUS(208, "Already Reported");
    MICRODOT_STATUS(226, "IM Used");
    MICRODOT_STATUS(300, "Multiple Choices");
    MICRODOT_STATUS(301, "Moved Permanently");
    MICRODOT_STATUS(302, "Found");
    MICRODOT_STATUS(303, "See Other");
    MICRODOT_STATUS(304, "Not Modified");
    MICRODOT_STATUS(305, "Use Proxy");
    MICRODOT_STATUS(307, "Temporary Redirect");
    MICRODOT_STATUS(308, "Permanent Redirect");
    MICRODOT_STATUS(400, "Bad Request");
    MICRODOT_STATUS(401, "Unauthorized");
    MICRODOT_STATUS(402, "Payment Required");
    MICRODOT_STATUS(403, "Forbidden");
    MICRODOT_STATUS(404, "Not Found");
    MICRODOT_STATUS(405, "Method Not Allowed");
    MICRODOT_STATUS(406, "Not Acceptable");
    MICRODOT_STATUS(407, "Proxy Authentication Required");
    MICRODOT_STATUS(408, "Request Timeout");
    MICRODOT_STATUS(409, "Conflict");
    MICRODOT_STATUS(410, "Gone");
    MICRODOT_STATUS(411, "Length Required");
    MICRODOT_STATUS(412, "Precondition Failed");
    MICRODOT_STATUS(413, "Content Too Large");
    MICRODOT_STATUS(414, "URI Too Long");
    MICRODOT_STATUS(415, "Unsupported Media Type");
    MICRODOT_STATUS(416, "Range Not Satisfiable");
    MICRODOT_STATUS(417, "Expectation Failed");
    MICRODOT_STATUS(418, "I'm a teapot");
    MICRODOT_STATUS(421, "Misdirected Request");
    MICRODOT_STATUS(422, "Unprocessable Content");
    MICRODOT_STATUS(423, "Locked");
    MICRODOT_STATUS(424, "Failed Dependency");
    MICRODOT_STATUS(425, "Too Early");
    MICRODOT_STATUS(426, "Upgrade Required");
    MICRODOT_STATUS(428, "Precondition Required");
    MICRODOT_STATUS(429, "Too Many Requests");
    MICRODOT_STATUS(431, "Request Header Fields Too Large");
    MICRODOT_STATUS(451, "Unavailable For Legal Reasons");
    MICRODOT_STATUS(500, "Internal Server Error");
    MICRODOT_STATUS(501, "Not Implemented");
    MICRODOT_STATUS(502, "Bad Gateway");
    MICRODOT_STATUS(503, "Service Unavailable");
    MICRODOT_STATUS(504, "Gateway Timeout");
    MICRODOT_STATUS(505, "HTTP Version Not Supported");
    MICRODOT_STATUS(506, "Variant Also Negotiates");
    MICRODOT_STATUS(507, "Insufficient Storage");
    MICRODOT_STATUS(508, "Loop Detected");
    MICRODOT_STATUS(510, "Not Extended");
    MICRODOT_STATUS(511, "Network Authentication Required");
#undef MICRODOT_STATUS
    default: return {};
  }
}

std::string_view reason_phrase(int status) noexcept {
  std::string_view line = status_line(status);
  if (!line.empty()) {
    line.remove_prefix(sizeof("HTTP/1.1 200 ") - 1);
    line.remove_suffix(2);
    return line;
  }
  switch (status / 100) {
    case 1: return "Informational";
    case 2: return "Success";
    case 3: return "Redirection";
    case 4: return "Client Error";
    case 5: return "Server Error";
    default: return "Unknown";
  }
}

}  // namespace microdot::inline MICRODOT_ABI
