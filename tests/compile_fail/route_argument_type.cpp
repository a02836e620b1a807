// expect-error: a path argument must be an integer, a std::string_view, a std::string or have a PathType
#include "route.hpp"

int main() {
  get("/users/<name>", [](Request&, const char*) {});
}
