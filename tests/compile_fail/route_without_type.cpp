// expect-error: component_has_no_type_before_its_colon
#include "route.hpp"

int main() {
  get("/users/<:id>", [](Request&, int) {});
}
