// expect-error: component_name_must_be_letters_digits_and_underscores
#include "route.hpp"

int main() {
  get("/users/<int: id>", [](Request&, int) {});
}
