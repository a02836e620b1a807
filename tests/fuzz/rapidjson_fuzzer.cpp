// read_json takes just what nlohmann/json takes (but no zero bytes and no byte order mark), and what
// JsonWriter makes of it is the same value; in arenas of any size it is that or a 503.
#include <cstdint>
#include <memory>
#include <string_view>

#include <microdot/ext/json.hpp>
#include <microdot/ext/rapidjson.hpp>
#include <microdot/microdot.hpp>
#include <microdot/testing/test_client.hpp>

#include "fuzz.hpp"

using namespace microdot;
using fuzz::require;

namespace {

constexpr Limits with_arena(std::uint32_t bytes) {
  Limits limits{.exchanges = 1};
  limits.arena_bytes = bytes;
  return limits;
}

struct Site {
  explicit Site(std::uint32_t arena) : app(with_arena(arena)), client(app) {
    app.post("/", [](Request& req) -> Response {
      const JsonValue* value = read_json(req);
      if (value == nullptr) return {};
      JsonWriter json(req);
      value->Accept(json);
      return json.response();
    });
    require(client.started());
  }
  App app;
  TestClient client;
};

bool has_other_numbers(std::string_view text) {
  std::size_t digits = 0;
  for (const char c : text) {
    if (c == '.' || c == 'e' || c == 'E') return true;
    digits = c >= '0' && c <= '9' ? digits + 1 : 0;
    if (digits > 18) return true;
  }
  return false;
}

/// RapidJSON refuses exponents by their size, "0e999" too, and digits without end.
bool may_be_too_large(std::string_view text) {
  std::size_t digits = 0;
  bool exponent = false;
  for (const char c : text) {
    const bool digit = c >= '0' && c <= '9';
    digits = digit ? digits + 1 : 0;
    if (!digit && c != '+' && c != '-') exponent = c == 'e' || c == 'E';
    if (digits > 250 || (exponent && digits > 2)) return true;
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Site sites[] = {Site(2048), Site(4096), Site(65536)};
  fuzz::Input input(data, size);
  Site& site = sites[input.byte() % 3];
  const std::string_view text = input.rest();
  if (text.size() > site.app.limits().max_body_length || text.starts_with("\xef\xbb\xbf")) return 0;
  const TestResponse res = site.client.post("/", text, {{"Content-Type", "application/json"}});
  if (res.status_code == 503) return 0;
  const bool taken =
      text.find('\0') == text.npos && detail::json_depth_is_bounded(text) && nlohmann::json::accept(text);
  if (res.status_code == 400 && may_be_too_large(text)) return 0;
  require(res.status_code == (taken ? 200 : 400));
  if (!taken) return 0;
  const auto again = nlohmann::json::parse(res.text, nullptr, false);
  require(!again.is_discarded());
  if (!has_other_numbers(text)) require(again == nlohmann::json::parse(text));
  return 0;
}
