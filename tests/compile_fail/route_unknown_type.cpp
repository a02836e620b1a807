// expect-error: component_has_an_unknown_type
#include "route.hpp"

int main() {
  get("/users/<integer:id>", [](Request&, int) {});
}
