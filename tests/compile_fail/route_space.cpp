// expect-error: pattern_must_not_have_spaces_or_control_characters
#include "route.hpp"

int main() {
  get("/users ", [](Request&) {});
}
