#include <microdot/http/method.hpp>

#include <cstring>

namespace microdot::inline MICRODOT_ABI {
namespace {
constexpr std::string_view kNames[] = {"GET",    "HEAD",    "POST",    "PUT",   "PATCH",
                                       "DELETE", "OPTIONS", "CONNECT", "TRACE", ""};
constexpr unsigned kCount = static_cast<unsigned>(Method::other);
}  // namespace

Method parse_method(std::string_view text) noexcept {
  std::size_t place = 0;
  while (place != kCount && kNames[place] != text) ++place;
  return static_cast<Method>(place);  // kCount: other
}

std::string_view to_string(Method method) noexcept {
  const auto index = static_cast<unsigned>(method);
  return kNames[index < kCount ? index : kCount];
}

std::string_view write_allow(MethodSet methods, std::span<char> out) noexcept {
  std::size_t size = 0;
  for (unsigned i = 0; i < kCount; ++i) {
    if (!methods.contains(static_cast<Method>(i))) continue;
    const std::string_view separator = size == 0 ? "" : ", ";
    if (out.size() - size < separator.size() + kNames[i].size()) break;
    std::memcpy(out.data() + size, separator.data(), separator.size());
    size += separator.size();
    std::memcpy(out.data() + size, kNames[i].data(), kNames[i].size());
    size += kNames[i].size();
  }
  return {out.data(), size};
}

}  // namespace microdot::inline MICRODOT_ABI
