// expect-error: component_has_no_name
#include "route.hpp"

int main() {
  get("/users/<int:>", [](Request&, int) {});
}
