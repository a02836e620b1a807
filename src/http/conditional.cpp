#include <microdot/http/conditional.hpp>

#include <microdot/http/date.hpp>
#include <microdot/http/etag.hpp>

namespace microdot::inline MICRODOT_ABI {
namespace {

// Whether one of the fields called `field` names the representation. Several fields are one list.
bool any_matches(const HeaderTable& headers, const char* field, const Validators& validators,
                 EtagComparison comparison) noexcept {
  const std::string_view name = field;
  for (std::size_t i = headers.find(name); i != HeaderTable::npos; i = headers.find(name, i + 1)) {
    const std::string_view list = headers.value(i);
    if (list == "*" ? validators.exists : etag_in_list(list, validators.etag, comparison)) return true;
  }
  return false;
}

// The date in a field; none when it is missing, repeated or no date.
std::optional<std::int64_t> date_of(const HeaderTable& headers, const char* name, std::int64_t now) noexcept {
  if (headers.count(name) != 1) return std::nullopt;
  return parse_http_date(headers[name], now);
}

}  // namespace

Precondition evaluate_preconditions(Method method, const HeaderTable& headers, const Validators& validators,
                                    std::int64_t now) noexcept {
  const bool reads = method == Method::get || method == Method::head;
  if (headers.contains("If-Match")) {
    if (!any_matches(headers, "If-Match", validators, EtagComparison::strong)) return Precondition::failed;
  } else if (validators.last_modified) {
    const auto since = date_of(headers, "If-Unmodified-Since", now);
    if (since && *validators.last_modified > *since) return Precondition::failed;
  }
  if (headers.contains("If-None-Match")) {
    if (any_matches(headers, "If-None-Match", validators, EtagComparison::weak)) {
      return reads ? Precondition::not_modified : Precondition::failed;
    }
  } else if (reads && validators.last_modified) {
    const auto since = date_of(headers, "If-Modified-Since", now);
    if (since && *validators.last_modified <= *since) return Precondition::not_modified;
  }
  return Precondition::proceed;
}

std::string_view applicable_range(Method method, const HeaderTable& headers, const Validators& validators,
                                  std::int64_t now) noexcept {
  if (method != Method::get || headers.count("Range") != 1) return {};
  if (headers.contains("If-Range")) {
    const std::string_view value = headers["If-Range"];
    if (headers.count("If-Range") != 1) return {};
    if (is_valid_etag(value)) {
      if (!etags_equal_strong(value, validators.etag)) return {};
    } else {
      const auto date = parse_http_date(value, now);
      if (!date || validators.last_modified != date) return {};
    }
  }
  return headers["Range"];
}

}  // namespace microdot::inline MICRODOT_ABI
