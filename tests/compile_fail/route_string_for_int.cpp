// expect-error: component_of_type_int_needs_an_integer_argument
#include "route.hpp"

int main() {
  get("/users/<int:id>", [](Request&, std::string_view) {});
}
