// expect-error: a path argument must not be a bool or a character
#include "route.hpp"

int main() {
  get("/lights/<int:on>", [](Request&, bool) {});
}
