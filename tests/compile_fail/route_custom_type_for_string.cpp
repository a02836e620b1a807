// expect-error: component_of_text_needs_a_string_view_or_string_argument
#include "route.hpp"

struct Hex {
  unsigned value = 0;
};
template <>
struct microdot::PathType<Hex> {
  static constexpr std::string_view name = "hex";
  static bool parse(std::string_view text, Hex& hex);
};

int main() {
  get("/<color>", [](Request&, Hex) {});
}
