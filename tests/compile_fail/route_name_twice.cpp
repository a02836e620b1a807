// expect-error: component_name_is_used_twice
#include "route.hpp"

int main() {
  get("/<int:id>/<int:id>", [](Request&, int, int) {});
}
