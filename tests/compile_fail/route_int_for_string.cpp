// expect-error: component_of_text_needs_a_string_view_or_string_argument
#include "route.hpp"

int main() {
  get("/users/<id>", [](Request&, int) {});
}
