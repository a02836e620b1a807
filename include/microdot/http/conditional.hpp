#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include <microdot/base/config.hpp>
#include <microdot/http/header_table.hpp>
#include <microdot/http/method.hpp>

/// Conditional requests (RFC 9110 13).
namespace microdot::inline MICRODOT_ABI {

/// What is known of the representation that would be sent now.
struct Validators {
  std::string_view etag = {};                      ///< With its quotes; "" when there is none.
  std::optional<std::int64_t> last_modified = {};  ///< In seconds since 1970.
  bool exists = true;                              ///< False for a resource that a PUT would create.
};

/// What the preconditions of a request come to.
enum class Precondition : std::uint8_t {
  proceed,       ///< Do what was asked.
  not_modified,  ///< Answer 304 without content, with the ETag.
  failed,        ///< Answer 412 and change nothing.
};

/// Evaluates If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since in the order of RFC
/// 9110 13.2.2. To be called only where the answer would be a 2xx without them. Dates that are no dates are
/// ignored. `now` (seconds since 1970) settles the century of two-digit years.
Precondition evaluate_preconditions(Method method, const HeaderTable& headers, const Validators& validators,
                                    std::int64_t now) noexcept;

/// The Range field to obey, or "": only for GET, and only when If-Range (RFC 9110 13.1.5) is absent or names
/// the representation exactly (a strong entity tag, or the date of its last change).
std::string_view applicable_range(Method method, const HeaderTable& headers, const Validators& validators,
                                  std::int64_t now) noexcept;

}  // namespace microdot::inline MICRODOT_ABI
