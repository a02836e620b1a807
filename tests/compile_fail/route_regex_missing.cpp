// expect-error: component_of_type_re_needs_a_regular_expression
#include "route.hpp"

int main() {
  get("/users/<re:id>", [](Request&, std::string_view) {});
}
