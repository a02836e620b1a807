// Decoding, comparing without a copy, and encoding agree with each other.
#include <cstdint>
#include <cstdlib>
#include <string>

#include <microdot/http/mime.hpp>
#include <microdot/http/request_parser.hpp>
#include <microdot/http/url.hpp>

using namespace microdot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  std::string decoded(size, '\0');
  const auto r = percent_decode(text, decoded);
  if (!r && r.error() != Error::invalid) std::abort();
  if (decoded_equals(text, r ? *r : std::string_view(text)) != r.has_value()) std::abort();
  std::string in_place = text;
  const auto again = percent_decode(in_place, in_place);
  if (again.has_value() != r.has_value() || (r && *again != *r)) std::abort();

  std::string encoded(3 * size, '\0');
  const auto e = percent_encode(text, encoded);
  if (!e) std::abort();
  std::string back(size, '\0');
  const auto b = percent_decode(*e, back);
  if (!b || *b != text || !decoded_equals(*e, text)) std::abort();

  if (is_local_path(text) && (text.front() == '/' || text == ".." || text.find("/../") != text.npos))
    std::abort();
  (void)is_valid_host(text);
  (void)mime_type(text);
  return 0;
}
