// expect-ok
// The twins of the route_*.cpp cases, right.
#include "route.hpp"

struct Hex {
  unsigned value = 0;
};
template <>
struct microdot::PathType<Hex> {
  static constexpr std::string_view name = "hex";
  static bool parse(std::string_view text, Hex& hex);
};

void handler(Request&, const std::string&) {}
constexpr std::string_view kPattern = "/constant/<int:id>";

int main() {
  get("/", [](Request&) {});
  get("/users/<id>", handler);
  get("/users/<string:id>/", [](Request&, std::string_view) noexcept {});
  get("/<int:a>/<path:rest>", [](const Request&, unsigned char, std::string) mutable {});
  get("/<hex:color>/<int:id>", [](Request&, const Hex&, long long) {});
  get("/<re:(?P<word>[a-z ?#/]+):id>/x", [](Request&, std::string_view) {});
  get("/caf\u00e9/a%20b//", [](Request&) {});
  get(kPattern, [](Request&, int) {});
  const std::string text = "/runtime";
  get(runtime(text), [](Request&) {});
  get(runtime("/runtime"), [](Request&) {});
  mount("");
  mount("/api/v1");
  mount(runtime(text));
}
