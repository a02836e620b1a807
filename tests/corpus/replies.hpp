#pragma once
// Judges what a server sent: a small strict parser of response streams, independent of the library's own
// code, and the comparison with the expected replies of a case.

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "corpus.hpp"

namespace corpus {

/// One response, as far as its framing allows to tell it.
struct Message {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::size_t used = 0;  ///< Bytes that it took of the stream.
};

/// A message, or none while bytes are missing, or an error.
struct Parsed {
  std::optional<Message> message;
  std::string error;
};

/// How far the stream fulfils the expectation.
struct Verdict {
  enum class State { more, done, failed };
  State state = State::more;
  std::size_t count = 0;  ///< Replies that are complete.
  std::string error;      ///< Why it failed.
  std::optional<Message> last;
};

/// Bytes as one would write them in a case, shortened.
inline std::string show(std::string_view bytes, std::size_t limit = 200) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : bytes.substr(0, limit)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\r')
      out += "\\r";
    else if (c == '\n')
      out += "\\n";
    else if (byte < 32 || byte > 126)
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    else
      out += c;
  }
  return out + (bytes.size() > limit ? "\"… (" + std::to_string(bytes.size()) + " bytes)" : "\"");
}

namespace detail {

inline bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

inline std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

inline bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return c < 127 && (std::isalnum(c) || std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) !=
                                              std::string_view::npos);
  });
}

inline bool is_field_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return c == '\t' || (c >= ' ' && c != 127); });
}

inline std::vector<std::string> values_of(const Message& message, std::string_view name) {
  std::vector<std::string> values;
  for (const auto& [n, value] : message.headers) {
    if (equals_ignoring_case(n, name)) values.push_back(value);
  }
  return values;
}

inline std::vector<std::string> members(const std::vector<std::string>& values) {
  std::vector<std::string> out;
  for (std::string_view rest : values) {
    while (!rest.empty()) {
      const std::size_t comma = std::min(rest.find(','), rest.size());
      if (const auto member = trim(rest.substr(0, comma)); !member.empty()) out.emplace_back(member);
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

inline bool is_status_line(std::string_view line) {
  const auto digit = [&](std::size_t i) { return line[i] >= '0' && line[i] <= '9'; };
  return line.size() >= 13 && (line.starts_with("HTTP/1.1 ") || line.starts_with("HTTP/1.0 ")) &&
         line[9] >= '1' && line[9] <= '5' && digit(10) && digit(11) && line[12] == ' ' &&
         is_field_value(line);
}

inline std::string parse_chunks(std::string_view in, std::size_t at, bool closed, Parsed& out) {
  Message& message = *out.message;
  for (;;) {
    const std::size_t eol = in.find("\r\n", at);
    if (eol == std::string_view::npos) break;
    std::size_t size = 0;
    const std::string_view digits = in.substr(at, eol - at);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size, 16);
    if (digits.empty() || digits.size() > 8 || error != std::errc{} || end != digits.data() + digits.size()) {
      return "a bad chunk size: " + show(digits);
    }
    at = eol + 2;
    if (in.size() < at + size + 2) break;
    if (in.substr(at + size, 2) != "\r\n") return "chunk data that does not end with CRLF";
    message.body += in.substr(at, size);
    at += size + 2;
    message.used = at;
    if (size == 0) return {};
  }
  out.message.reset();
  return closed ? "the connection ended inside of a body" : "";
}

inline std::string parse_body(std::string_view in, bool head, bool closed, Parsed& out) {
  Message& message = *out.message;
  const auto coding = values_of(message, "Transfer-Encoding");
  const auto length = values_of(message, "Content-Length");
  const bool bodiless = message.status < 200 || message.status == 204;
  if (coding.size() + length.size() > 1) return "more than one of Content-Length, Transfer-Encoding";
  if (bodiless && coding.size() + length.size() > 0) return "framing fields where no body can be";
  if (!coding.empty() && coding[0] != "chunked") return "a bad Transfer-Encoding: " + coding[0];
  std::size_t size = std::string_view::npos;  // to the end
  if (!length.empty()) {
    const auto given = number(length[0]);
    if (!given) return "a bad Content-Length: " + length[0];
    size = *given;
  }

  if (bodiless || head || message.status == 304) return {};
  if (!coding.empty()) return parse_chunks(in, message.used, closed, out);
  const std::string_view rest = in.substr(message.used);
  if (length.empty() ? !closed : rest.size() < size) {
    out.message.reset();
    return closed ? "the connection ended inside of a body" : "";
  }
  message.body = rest.substr(0, size);
  message.used += message.body.size();
  return {};
}

}  // namespace detail

/// Reads one response from the front of `in`. `head`: it answers a HEAD; `closed`: no more bytes will come.
inline Parsed parse_response(std::string_view in, bool head, bool closed) {
  const std::size_t end = in.find("\r\n\r\n");
  if (end == std::string_view::npos) {
    return {{}, closed ? "the connection ended inside of a head: " + show(in) : ""};
  }
  Parsed out{Message{}, {}};
  out.message->used = end + 4;
  std::string_view rest = in.substr(0, end + 2);
  for (bool first = true; !rest.empty(); first = false) {
    const std::size_t eol = rest.find("\r\n");
    const std::string_view line = rest.substr(0, eol);
    rest.remove_prefix(eol + 2);
    if (first) {
      if (!detail::is_status_line(line)) return {{}, "a bad status line: " + show(line)};
      out.message->status = static_cast<int>(*detail::number(line.substr(9, 3)));
      continue;
    }
    const std::size_t colon = std::min(line.find(':'), line.size());
    const std::string_view value = detail::trim(line.substr(std::min(colon + 1, line.size())));
    if (!detail::is_token(line.substr(0, colon)) || colon == line.size() || !detail::is_field_value(value)) {
      return {{}, "a bad header line: " + show(line)};
    }
    out.message->headers.emplace_back(line.substr(0, colon), value);
  }
  out.error = detail::parse_body(in, head, closed, out);
  if (!out.error.empty()) out.message.reset();
  return out;
}

/// What is wrong with a complete reply; empty if nothing.
inline std::string check_reply(const Reply& expected, const Message& message) {
  if (expected.body && *expected.body != message.body) {
    return "body " + show(message.body) + " instead of " + show(*expected.body);
  }
  for (const Check& check : expected.checks) {
    const auto values = detail::values_of(message, check.name);
    bool good = false;
    switch (check.kind) {
      case Check::Kind::has: good = !values.empty(); break;
      case Check::Kind::absent: good = values.empty(); break;
      case Check::Kind::header: good = values.size() == 1 && values[0] == check.value; break;
      case Check::Kind::list:
        good = !values.empty() && detail::members(values) == detail::members({check.value});
        break;
    }
    if (!good) return "the field " + check.name + " is not as expected: " + check.value;
  }
  return {};
}

/// Holds the bytes received so far against the expected replies. `closed`: the server has closed.
inline Verdict match(const std::vector<Reply>& replies, std::string_view received, bool closed) {
  Verdict verdict;
  const auto fail = [&](std::string why) {
    verdict.state = Verdict::State::failed;
    verdict.error = std::move(why);
    return verdict;
  };
  std::string_view rest = received;
  for (const Reply& expected : replies) {
    if (rest.empty()) {
      if (expected.optional) continue;
      return closed ? fail("closed before the reply " + expected.status) : verdict;
    }
    if (rest.size() >= 12) {
      const std::string_view status = rest.substr(9, 3);
      const bool any = expected.status.ends_with("xx");
      if (status.substr(0, any ? 1 : 3) != std::string_view(expected.status).substr(0, any ? 1 : 3)) {
        if (expected.optional) continue;
        return fail("reply " + std::to_string(verdict.count + 1) + " is " + std::string(status) +
                    " instead of " + expected.status);
      }
    }
    Parsed parsed = parse_response(rest, expected.head, closed);
    if (!parsed.error.empty()) return fail(parsed.error);
    if (!parsed.message) return verdict;
    if (std::string why = check_reply(expected, *parsed.message); !why.empty()) return fail(std::move(why));
    rest.remove_prefix(parsed.message->used);
    verdict.last = std::move(*parsed.message);
    ++verdict.count;
  }
  if (!rest.empty()) return fail("unexpected bytes after the last reply: " + show(rest));
  verdict.state = Verdict::State::done;
  return verdict;
}

/// The request that finds out whether a connection is still served, and its answer.
inline constexpr std::string_view kProbe = "GET /probe HTTP/1.1\r\nHost: probe\r\n\r\n";
inline Reply probe_reply() { return {"200", false, false, "probe", {}}; }

/// Whether `message` says that the connection closes.
inline bool says_close(const Message& message) {
  const auto options = detail::members(detail::values_of(message, "Connection"));
  return std::any_of(options.begin(), options.end(),
                     [](const std::string& o) { return detail::equals_ignoring_case(o, "close"); });
}

}  // namespace corpus
