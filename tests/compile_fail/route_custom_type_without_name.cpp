// expect-error: a PathType needs: static constexpr std::string_view name
#include "route.hpp"

struct Hex {
  unsigned value = 0;
};
template <>
struct microdot::PathType<Hex> {
  static bool parse(std::string_view text, Hex& hex);
};

int main() {
  get("/<hex:color>", [](Request&, Hex) {});
}
