// expect-error: component_of_a_custom_type_needs_an_argument_of_that_type
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
  get("/<hex:color>/<int:id>", [](Request&, int, Hex) {});
}
