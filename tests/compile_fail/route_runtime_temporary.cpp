// expect-error: deleted function
#include "route.hpp"

int main() {
  get(runtime(std::string("/users")), [](Request&) {});
}
