// expect-error: pattern_has_a_closing_bracket_without_its_opening_one
#include "route.hpp"

int main() {
  get("/users/id>", [](Request&) {});
}
