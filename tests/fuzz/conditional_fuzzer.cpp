// Preconditions come to what a second reading of RFC 9110 13.2.2 says; entity tags are compared alike however
// their lists are cut into fields; a range is obeyed only where If-Range allows it.
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <microdot/http/conditional.hpp>
#include <microdot/http/date.hpp>
#include <microdot/http/etag.hpp>
#include <microdot/http/request_parser.hpp>

#include "fuzz.hpp"

using namespace microdot;
using fuzz::require;

namespace {

// ---- A second reading, which may be slow ------------------------------------------------------------

bool is_tag(std::string_view text) {
  if (text.starts_with("W/")) text.remove_prefix(2);
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return false;
  for (const char c : text.substr(1, text.size() - 2)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte != 0x21 && (byte < 0x23 || byte == 0x7f)) return false;
  }
  return true;
}

/// The tags in front of the first thing that is none.
std::vector<std::string_view> tags_of(std::string_view list) {
  std::vector<std::string_view> tags;
  for (;;) {
    list.remove_prefix(std::min(list.find_first_not_of(" \t,"), list.size()));
    const std::size_t open = list.find('"');
    const std::size_t close = open == list.npos ? list.npos : list.find('"', open + 1);
    if (close == list.npos || !is_tag(list.substr(0, close + 1))) return tags;
    tags.push_back(list.substr(0, close + 1));
    list.remove_prefix(close + 1);
    const std::size_t comma = list.find_first_not_of(" \t");
    if (comma == list.npos || list[comma] != ',') return tags;
  }
}

bool in_list(std::string_view list, std::string_view etag, bool strong) {
  const auto opaque = [](std::string_view tag) { return tag.substr(tag.starts_with("W/") ? 2 : 0); };
  for (const std::string_view tag : tags_of(list)) {
    if (strong ? tag == etag && tag.front() == '"' : opaque(tag) == opaque(etag)) return true;
  }
  return false;
}

std::vector<std::string_view> values_of(const HeaderTable& headers, std::string_view name) {
  std::vector<std::string_view> values;
  for (const auto& [key, value] : headers) {
    if (equals_ignore_case(key, name)) values.push_back(value);
  }
  return values;
}

bool any_matches(const std::vector<std::string_view>& values, const Validators& validators, bool strong) {
  for (const std::string_view value : values) {
    if (value == "*" ? validators.exists : in_list(value, validators.etag, strong)) return true;
  }
  return false;
}

std::optional<std::int64_t> date_of(const std::vector<std::string_view>& values, std::int64_t now) {
  return values.size() == 1 ? parse_http_date(values[0], now) : std::nullopt;
}

Precondition expected_outcome(Method method, const HeaderTable& headers, const Validators& validators,
                              std::int64_t now) {
  const bool reads = method == Method::get || method == Method::head;
  const auto match = values_of(headers, "If-Match");
  const auto none_match = values_of(headers, "If-None-Match");
  const auto unmodified = date_of(values_of(headers, "If-Unmodified-Since"), now);
  const auto modified = date_of(values_of(headers, "If-Modified-Since"), now);
  const auto& changed = validators.last_modified;
  const bool fails =
      match.empty() ? unmodified && changed && *changed > *unmodified : !any_matches(match, validators, true);
  if (fails) return Precondition::failed;
  if (!none_match.empty()) {
    if (!any_matches(none_match, validators, false)) return Precondition::proceed;
    return reads ? Precondition::not_modified : Precondition::failed;
  }
  return reads && modified && changed && *changed <= *modified ? Precondition::not_modified
                                                               : Precondition::proceed;
}

void check_tags(std::string_view list, std::string_view etag) {
  const bool strong = etag_in_list(list, etag, EtagComparison::strong);
  const bool weak = etag_in_list(list, etag, EtagComparison::weak);
  require(strong == in_list(list, etag, true) && weak == in_list(list, etag, false));
  require(!strong || weak);
  require(is_valid_etag(list) == is_tag(list));
  require(etags_equal_weak(list, etag) == etags_equal_weak(etag, list) || list.empty() || etag.empty());
  require(!etags_equal_strong(list, etag) || etags_equal_weak(list, etag));
}

}  // namespace

// Method, the resource's change and size (its tag), whether it exists, and header lines.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  constexpr std::string_view kMethods[] = {"GET", "HEAD", "PUT", "DELETE", "POST"};
  const std::string_view method = input.pick(kMethods);
  const std::uint8_t how = input.byte();
  const std::int64_t now = 1'700'000'000;
  std::array<char, kMaxEtag> written;
  const std::int64_t changed = 784111777 + input.byte() - 128;
  const std::string_view file_tag = write_etag(changed, input.byte(), written);
  require(is_valid_etag(file_tag) && is_tag(file_tag) && file_tag.front() == '"');
  const std::string_view own_tag = input.until('\n');

  Validators validators;
  validators.exists = (how & 1) == 0;
  if ((how & 2) == 0) validators.last_modified = changed;
  validators.etag = (how & 12) == 0   ? std::string_view("\"a\"")
                    : (how & 12) == 4 ? file_tag
                                      : std::string_view{};
  if ((how & 12) == 12 && is_valid_etag(own_tag)) validators.etag = own_tag;

  constexpr std::string_view kNames[] = {
      "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range"};
  std::string head = std::string(method) + " / HTTP/1.1\r\nHost: a\r\n";
  while (!input.empty()) {
    const std::string_view name = input.pick(kNames);
    const std::string_view value = input.until('\n');
    check_tags(value, validators.etag);
    head.append(name).append(": ").append(value).append("\r\n");
  }
  head += "\r\n";

  std::array<HeaderField, 32> fields;
  RequestParser parser(fields, {.max_readline = 4096, .head_bytes = 65535});
  if (parser.parse(head) != ParseStatus::complete) return 0;
  const HeaderTable& headers = parser.headers();
  require(evaluate_preconditions(parser.method(), headers, validators, now) ==
          expected_outcome(parser.method(), headers, validators, now));

  const std::string_view range = applicable_range(parser.method(), headers, validators, now);
  if (range.empty()) return 0;
  require(parser.method() == Method::get && headers.count("Range") == 1 && range == headers["Range"]);
  if (headers.contains("If-Range")) {
    const std::string_view condition = headers["If-Range"];
    require(headers.count("If-Range") == 1);
    require((condition == validators.etag && is_tag(condition) && condition.front() == '"') ||
            (validators.last_modified && parse_http_date(condition, now) == validators.last_modified));
  }
  return 0;
}
