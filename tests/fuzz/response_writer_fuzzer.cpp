// Whatever a handler puts into a head, what is written is a head of exactly these fields, or an error.
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <microdot/http/response_writer.hpp>

#include "../corpus/replies.hpp"
#include "fuzz.hpp"

using namespace microdot;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const int status = input.byte() * 256 + input.byte();
  const std::size_t room = input.byte() * std::size_t{4};
  std::vector<char> out(room);
  ResponseHead head(out);
  const std::string_view reason = input.until('\n');
  head.status(status, reason);
  std::vector<std::pair<std::string, std::string>> fields;
  bool valid = status >= 100 && status <= 999 && (reason.empty() || is_valid_field_value(reason));
  while (!input.empty()) {
    const std::uint8_t how = input.byte();
    if (how < 8) {
      const std::uint64_t number = input.number();
      if (how < 4) {
        head.content_length(number);
      } else {
        head.field("Content-Length", number);
      }
      fields.emplace_back("Content-Length", std::to_string(number));
    } else if (how < 12) {
      const std::string_view type = input.until('\n');
      head.content_type(type);
      valid = valid && is_valid_field_value(type);
      fields.emplace_back("Content-Type", type);
    } else {
      const std::string_view name = input.until(':');
      const std::string_view value = input.until('\n');
      head.field(name, value);
      require(is_valid_field_name(name) == corpus::detail::is_token(name));
      require(is_valid_field_value(value) == corpus::detail::is_field_value(value));
      valid = valid && is_valid_field_name(name) && is_valid_field_value(value);
      fields.emplace_back(name, value);
    }
    require(head.size() <= room);
  }
  const Result<std::string_view> written = head.finish();
  if (!written) {
    require(written.error() == Error::too_large || (written.error() == Error::invalid && !valid));
    return 0;
  }
  require(valid && written->size() == head.size() && fuzz::inside(*written, {out.data(), out.size()}));

  // Read again, line by line.
  std::string_view rest = *written;
  require(rest.starts_with("HTTP/1.1 " + std::to_string(status) + " "));
  rest.remove_prefix(rest.find("\r\n") + 2);
  for (const auto& [name, value] : fields) {
    const std::string_view line = rest.substr(0, rest.find("\r\n"));
    require(line == name + ": " + value);
    rest.remove_prefix(line.size() + 2);
  }
  require(rest == "\r\n");
  return 0;
}
