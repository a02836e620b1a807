// The head of a request in one piece and in pieces has the same outcome, and every view lies in the input.
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include <microdot/http/request_parser.hpp>

#include "fuzz.hpp"

using namespace microdot;
using fuzz::require;

namespace {

void check_inside(std::string_view part, std::string_view whole) {
  require(part.empty() || part == "/" || part == "*" || fuzz::inside(part, whole));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t step = data[0] % 32 + 1;
  const RequestParserLimits limits{.max_readline = static_cast<std::uint16_t>(data[1] * 4),
                                   .head_bytes = static_cast<std::uint16_t>(data[1] * 16 + 1)};
  const std::string_view text(reinterpret_cast<const char*>(data + 2), size - 2);

  std::array<HeaderField, 8> fields;
  RequestParser whole(fields, limits);
  const ParseStatus status = whole.parse(text);

  std::array<HeaderField, 8> other_fields;
  RequestParser split(other_fields, limits);
  ParseStatus split_status = ParseStatus::need_more;
  std::unique_ptr<char[]> piece;
  for (std::size_t end = 0; split_status == ParseStatus::need_more; end += step) {
    if (end > text.size()) end = text.size();
    piece = std::make_unique<char[]>(end);
    std::memcpy(piece.get(), text.data(), end);
    split_status = split.parse({piece.get(), end});
    if (end == text.size()) break;
  }
  require(status == split_status);
  if (status == ParseStatus::error) {
    require(whole.error_status() == split.error_status() && whole.error_reason() == split.error_reason());
    require(whole.error_status() >= 400 && whole.error_status() <= 505 && !whole.error_reason().empty());
  }
  if (status != ParseStatus::complete) return 0;

  require(whole.head_bytes() == split.head_bytes() && whole.head_bytes() <= limits.head_bytes);
  const std::string_view head = text.substr(0, whole.head_bytes());
  require(head.substr(head.size() - 4) == "\r\n\r\n");
  require(whole.method() == split.method() && whole.method_text() == split.method_text());
  require(whole.target() == split.target() && whole.path() == split.path() && whole.query() == split.query());
  require(whole.host() == split.host() && is_valid_host(whole.host()));
  require(whole.content_length() == split.content_length() && whole.chunked() == split.chunked());
  require(whole.keep_alive() == split.keep_alive() && whole.expect_100() == split.expect_100());
  require(!(whole.chunked() && whole.content_length()));
  require(whole.version_minor() == 1 || !whole.chunked());
  for (const std::string_view part :
       {whole.method_text(), whole.target(), whole.path(), whole.query(), whole.host()}) {
    check_inside(part, head);
  }
  require(whole.headers().size() == split.headers().size());
  for (std::size_t i = 0; i < whole.headers().size(); ++i) {
    require(whole.headers().name(i) == split.headers().name(i));
    require(whole.headers().value(i) == split.headers().value(i));
    require(whole.headers().contains(whole.headers().name(i)));
    check_inside(whole.headers().name(i), head);
    check_inside(whole.headers().value(i), head);
  }
  return 0;
}
