// expect-error: take path arguments by value or const reference
#include "route.hpp"

int main() {
  get("/users/<name>", [](Request&, std::string&) {});
}
