// expect-error: pattern_must_begin_with_a_slash
#include "route.hpp"

int main() {
  get("", [](Request&) {});
}
