// expect-error: handler_takes_fewer_arguments_than_the_pattern_has_components
#include "route.hpp"

int main() {
  get("/<int:a>/<int:b>", [](Request&, int) {});
}
