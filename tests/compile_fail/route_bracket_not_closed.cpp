// expect-error: pattern_has_an_opening_bracket_without_its_closing_one
#include "route.hpp"

int main() {
  get("/users/<id", [](Request&, std::string_view) {});
}
