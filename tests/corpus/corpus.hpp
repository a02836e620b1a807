#pragma once
// Loads the raw requests of tests/corpus/cases (the format: README.md). Host-only test code, without
// exceptions so that it serves in every build.

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace corpus {

/// What the connection does after the last reply.
enum class After { open, closed, waiting };

/// What a reply's header fields must be like.
struct Check {
  enum class Kind { header, list, has, absent };
  Kind kind;
  std::string name;
  std::string value;  ///< For `header` (the only value) and `list` (the same members in any order).
};

/// One expected reply.
struct Reply {
  std::string status;     ///< Three digits, or "4xx".
  bool optional = false;  ///< May be left out.
  bool head = false;      ///< Ends with its head, whatever that says: it answers a HEAD.
  std::optional<std::string> body;
  std::vector<Check> checks;
};

/// What the client does, in order.
struct Step {
  enum class Kind { bytes, wait, fin };
  Kind kind;
  std::string bytes;
  std::size_t replies = 0;  ///< For `wait`: go on when so many replies are complete.
};

struct Case {
  std::string name;
  std::string file;
  std::string rfc;
  std::string why;
  std::vector<Step> steps;  ///< Neighbouring `send:` fields are one step.
  std::vector<Reply> replies;
  std::optional<After> after;
  std::optional<std::size_t> calls;  ///< Handlers reached; after loading always set.
  bool fin() const {
    return std::any_of(steps.begin(), steps.end(), [](const Step& s) { return s.kind == Step::Kind::fin; });
  }
  std::size_t byte_count() const {
    std::size_t sum = 0;
    for (const Step& step : steps) sum += step.bytes.size();
    return sum;
  }
};

/// What loading gave: all cases, or the first error as "file:line: reason".
struct Corpus {
  std::vector<Case> cases;
  std::string error;
};

namespace detail {

inline std::optional<std::size_t> number(std::string_view text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return {};
  return value;
}

/// Appends the byte of the escape at the front of `text` (behind the backslash) and drops it.
inline bool unescape_one(std::string_view& text, std::string& out) {
  static constexpr std::string_view kNames = "rnt0s\\{}";
  static constexpr std::string_view kBytes{"\r\n\t\0 \\{}", 8};
  if (text.empty()) return false;
  if (const std::size_t i = kNames.find(text[0]); i != std::string_view::npos) {
    out += kBytes[i];
    text.remove_prefix(1);
    return true;
  }
  unsigned value = 0;
  if (text.size() < 3 || text[0] != 'x') return false;
  const auto [end, error] = std::from_chars(text.data() + 1, text.data() + 3, value, 16);
  if (error != std::errc{} || end != text.data() + 3) return false;
  out += static_cast<char>(value);
  text.remove_prefix(3);
  return true;
}

inline bool is_plain(char c) { return c >= ' ' && c <= '~' && c != '{' && c != '}' && c != '\\'; }

}  // namespace detail

/// Turns escapes (\r \n \t \0 \s \\ \{ \} \xHH) and repetitions ({3*ab}) into bytes; nothing if `text` is
/// wrong.
inline std::optional<std::string> unescape(std::string_view text) {
  std::string out;
  std::string unit;
  std::size_t times = 0;
  bool repeating = false;
  while (!text.empty()) {
    std::string& target = repeating ? unit : out;
    const char c = text[0];
    text.remove_prefix(1);
    if (c == '\\') {
      if (!detail::unescape_one(text, target)) return {};
    } else if (c == '{') {
      const std::size_t star = text.find('*');
      if (repeating || star == std::string_view::npos) return {};
      const auto n = detail::number(text.substr(0, star));
      if (!n) return {};
      times = *n;
      repeating = true;
      text.remove_prefix(star + 1);
    } else if (c == '}') {
      if (!repeating) return {};
      for (; times > 0; --times) out += unit;
      unit.clear();
      repeating = false;
    } else if (detail::is_plain(c)) {
      target += c;
    } else {
      return {};
    }
  }
  if (repeating) return {};
  return out;
}

/// Parses one file of cases; `file` is for messages.
class Loader {
 public:
  explicit Loader(std::string file) : file_(std::move(file)) {}

  /// False on the first error, which `error` then holds.
  bool parse(std::string_view text, std::vector<Case>& cases, std::string& error) {
    std::size_t line_number = 0;
    const char* problem = nullptr;
    while (!text.empty() && !problem) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      problem = line(text.substr(0, end), cases);
      text.remove_prefix(std::min(end + 1, text.size()));
      ++line_number;
    }
    if (!problem) problem = finish(cases);
    if (problem) error = file_ + ":" + std::to_string(line_number) + ": " + problem;
    return !problem;
  }

 private:
  const char* line(std::string_view text, std::vector<Case>& cases) {
    if (text.empty() || text[0] == '#') return nullptr;
    if (text.back() == ' ' || text.back() == '\t') return "white space at the end of a line";
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return "a line that is no field";
    const std::string_view key = text.substr(0, colon);
    std::string_view value = text.substr(colon + 1);
    if (!value.empty() && value[0] != ' ') return "no space behind the colon";
    value.remove_prefix(std::min<std::size_t>(1, value.size()));
    if (key == "case") {
      if (const char* problem = finish(cases)) return problem;
      if (value.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string_view::npos ||
          value.empty()) {
        return "a bad name";
      }
      cases.emplace_back();
      cases.back().name = value;
      cases.back().file = file_;
      started_ = true;
      return nullptr;
    }
    return started_ ? field(key, value, cases.back()) : "a field before the first case";
  }

  const char* field(std::string_view key, std::string_view value, Case& c) {
    if (key == "rfc") return c.rfc = value, nullptr;
    if (key == "why") return c.why = value, nullptr;
    if (key == "node") return nullptr;  // only the oracle reads it
    if (key == "send") return send(value, c);
    if (key == "fin") return c.steps.push_back({Step::Kind::fin, {}, 0}), nullptr;
    if (key == "reply") return reply(value, c);
    if (key == "wait") {
      const auto n = detail::number(value);
      if (!n) return "wait: wants a number";
      return c.steps.push_back({Step::Kind::wait, {}, *n}), nullptr;
    }
    if (key == "calls") {
      c.calls = detail::number(value);
      return c.calls ? nullptr : "calls: wants a number";
    }
    if (key == "then") {
      if (value == "open") c.after = After::open;
      if (value == "closed") c.after = After::closed;
      if (value == "waiting") c.after = After::waiting;
      return c.after ? nullptr : "then: wants open, closed or waiting";
    }
    return of_reply(key, value, c);
  }

  const char* send(std::string_view value, Case& c) {
    auto bytes = unescape(value);
    if (!bytes) return "a bad escape or repetition";
    if (c.steps.empty() || c.steps.back().kind != Step::Kind::bytes) {
      c.steps.push_back({Step::Kind::bytes, {}, 0});
    }
    c.steps.back().bytes += *bytes;
    return nullptr;
  }

  // STATUS[?][ head][ xN]
  const char* reply(std::string_view value, Case& c) {
    Reply r;
    std::size_t count = 1;
    if (value.size() < 3 || value[0] < '1' || value[0] > '5') return "a bad status";
    r.status = value.substr(0, 3);
    if (r.status.substr(1) != "xx" && !detail::number(r.status)) return "a bad status";
    value.remove_prefix(3);
    if (value.starts_with('?')) r.optional = true, value.remove_prefix(1);
    if (value.starts_with(" head")) r.head = true, value.remove_prefix(5);
    if (value.starts_with(" x")) {
      const auto n = detail::number(value.substr(2));
      if (!n || *n == 0) return "a bad repetition of a reply";
      count = *n;
      value = {};
    }
    if (!value.empty()) return "a reply with something behind it";
    c.replies.insert(c.replies.end(), count, r);
    last_ = count;
    return nullptr;
  }

  const char* of_reply(std::string_view key, std::string_view value, Case& c) {
    Check check{};
    if (key == "body") {
      const auto body = unescape(value);
      if (!body) return "a bad escape or repetition";
      return each_of_last(c, [&](Reply& r) { r.body = *body; });
    }
    if (key == "has" || key == "absent") {
      check.kind = key == "has" ? Check::Kind::has : Check::Kind::absent;
      check.name = value;
    } else if (key == "header" || key == "list") {
      check.kind = key == "list" ? Check::Kind::list : Check::Kind::header;
      const std::size_t colon = value.find(": ");
      const auto bytes = colon == std::string_view::npos ? std::nullopt : unescape(value.substr(colon + 2));
      if (!bytes || colon == 0) return "wants NAME: VALUE";
      check.name = value.substr(0, colon);
      check.value = *bytes;
    } else {
      return "an unknown field";
    }
    return each_of_last(c, [&](Reply& r) { r.checks.push_back(check); });
  }

  // Whatever follows "reply: … xN" is said of all N.
  template <typename F>
  const char* each_of_last(Case& c, F change) {
    if (c.replies.empty()) return "a field of a reply before any reply";
    std::for_each(c.replies.end() - static_cast<std::ptrdiff_t>(last_), c.replies.end(), change);
    return nullptr;
  }

  const char* finish(std::vector<Case>& cases) {
    if (!started_) return nullptr;
    Case& c = cases.back();
    if (c.rfc.empty() || c.why.empty() || c.steps.empty() || !c.after) {
      return "the case above lacks rfc, why, send or then";
    }
    if (!c.calls) {
      c.calls =
          static_cast<std::size_t>(std::count_if(c.replies.begin(), c.replies.end(), [](const Reply& r) {
            return r.status[0] == '2' && !r.optional;
          }));
    }
    return nullptr;
  }

  std::string file_;
  bool started_ = false;
  std::size_t last_ = 0;  // how many replies the last reply: made
};

/// Every case of every .txt file in `directory`, in the order of the files' names.
inline Corpus load(const std::filesystem::path& directory) {
  Corpus corpus;
  std::error_code error;
  std::vector<std::filesystem::path> files;
  for (std::filesystem::directory_iterator i(directory, error), end; !error && i != end; i.increment(error)) {
    if (i->path().extension() == ".txt") files.push_back(i->path());
  }
  if (files.empty()) corpus.error = "no cases in " + directory.string();
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    if (!Loader(file.filename().string()).parse(text, corpus.cases, corpus.error)) break;
  }
  for (const Case& c : corpus.cases) {
    const auto same = [&](const Case& other) { return other.name == c.name; };
    if (std::count_if(corpus.cases.begin(), corpus.cases.end(), same) > 1 && corpus.error.empty()) {
      corpus.error = c.file + ": the name " + c.name + " is taken";
    }
  }
  return corpus;
}

}  // namespace corpus
