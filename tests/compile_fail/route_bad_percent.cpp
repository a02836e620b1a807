// expect-error: pattern_has_a_percent_sign_without_two_hexadecimal_digits
#include "route.hpp"

int main() {
  get("/100%", [](Request&) {});
}
