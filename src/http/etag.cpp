#include <microdot/http/etag.hpp>

#include <microdot/http/chars.hpp>

namespace microdot::inline MICRODOT_ABI {
namespace {

// The size of the entity tag at the front of `text`, or 0.
std::size_t etag_size(std::string_view text) noexcept {
  std::size_t i = text.starts_with("W/") ? 2 : 0;
  if (i >= text.size() || text[i] != '"') return 0;
  while (++i < text.size()) {
    if (text[i] == '"') return i + 1;
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte <= 0x20 || byte == 0x7f) return 0;
  }
  return 0;
}

std::string_view opaque(std::string_view etag) noexcept {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  return etag;
}

}  // namespace

std::string_view write_etag(std::int64_t mtime_ns, std::uint64_t size,
                            std::span<char, kMaxEtag> out) noexcept {
  char* p = out.data();
  *p++ = '"';
  p += write_hex(p, static_cast<std::uint64_t>(mtime_ns));
  *p++ = '-';
  p += write_hex(p, size);
  *p++ = '"';
  return {out.data(), static_cast<std::size_t>(p - out.data())};
}

bool is_valid_etag(std::string_view text) noexcept { return !text.empty() && etag_size(text) == text.size(); }

bool etags_equal_strong(std::string_view a, std::string_view b) noexcept {
  return a == b && !a.empty() && a.front() == '"';
}

bool etags_equal_weak(std::string_view a, std::string_view b) noexcept {
  return !a.empty() && opaque(a) == opaque(b);
}

bool etag_in_list(std::string_view list, std::string_view etag, EtagComparison comparison) noexcept {
  while (true) {
    while (!list.empty() && (list.front() == ' ' || list.front() == '\t' || list.front() == ','))
      list.remove_prefix(1);
    const std::size_t size = etag_size(list);
    if (size == 0) return false;
    const std::string_view tag = list.substr(0, size);
    if (comparison == EtagComparison::weak ? etags_equal_weak(tag, etag) : etags_equal_strong(tag, etag))
      return true;
    list = trim_ows(list.substr(size));
    if (!list.empty() && list.front() != ',') return false;
  }
}

}  // namespace microdot::inline MICRODOT_ABI
