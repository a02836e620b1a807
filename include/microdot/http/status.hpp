#pragma once
#include <cstdint>
#include <string_view>

#include <microdot/base/config.hpp>

namespace microdot::inline MICRODOT_ABI {

/// The registered reason phrase of a status code (RFC 9110 15 and IANA), e.g. "Not Found" for 404. An
/// unregistered code gets the name of its class, e.g. "Client Error"; anything outside 100–599 gets
/// "Unknown". Static storage.
std::string_view reason_phrase(int status) noexcept;

/// Whether an answer with this status never has content (1xx, 204, 304; RFC 9110 6.4.1).
constexpr bool has_no_content(int status) noexcept { return status < 200 || status == 204 || status == 304; }

}  // namespace microdot::inline MICRODOT_ABI
