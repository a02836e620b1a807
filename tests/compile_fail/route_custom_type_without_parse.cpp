// expect-error: a PathType<T> needs: static bool parse
#include "route.hpp"

struct Hex {
  unsigned value = 0;
};
template <>
struct microdot::PathType<Hex> {
  static constexpr std::string_view name = "hex";
};

int main() {
  get("/<hex:color>", [](Request&, Hex) {});
}
