// expect-error: a lambda whose parameters are not auto
#include "route.hpp"

int main() {
  get("/users/<id>", [](Request&, auto) {});
}
