// expect-error: pattern.*(not usable in a constant expression|not a constant expression|is not const)|call to
// consteval function.*RoutePattern
#include "route.hpp"

int main() {
  std::string pattern = "/users";
  get(pattern, [](Request&) {});
}
