// expect-error: a route handler must take Request& first
#include "route.hpp"

int main() {
  get("/", [] {});
}
