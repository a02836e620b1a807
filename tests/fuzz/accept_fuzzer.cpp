// Qualities stay within 0–1000; no coding is chosen that is not available or not accepted, nor one that is
// wanted less than another.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <microdot/http/accept.hpp>
#include <microdot/http/mime.hpp>

using namespace microdot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view field(reinterpret_cast<const char*>(data + 1), size - 1);
  for (const std::string_view coding : {"gzip", "br", "identity"}) {
    const int quality = encoding_quality(field, coding);
    if (quality < 0 || quality > 1000) std::abort();
  }
  const bool has_gzip = (data[0] & 1) != 0;
  const bool has_br = (data[0] & 2) != 0;
  const Encoding encoding = choose_encoding(field, has_gzip, has_br);
  if (encoding == Encoding::gzip && !has_gzip) std::abort();
  if (encoding == Encoding::br && !has_br) std::abort();
  if (encoding != Encoding::identity && encoding_quality(field, to_string(encoding)) == 0) std::abort();
  const auto wanted = [&](Encoding one) {
    return encoding_quality(field, one == Encoding::identity ? "identity" : to_string(one));
  };
  if (has_gzip && wanted(Encoding::gzip) > wanted(encoding)) std::abort();
  if (has_br && wanted(Encoding::br) > wanted(encoding)) std::abort();
  (void)is_compressible(field);
  return 0;
}
