// expect-error: handler_takes_more_arguments_than_the_pattern_has_components
#include "route.hpp"

int main() {
  get("/<int:a>", [](Request&, int, int) {});
}
