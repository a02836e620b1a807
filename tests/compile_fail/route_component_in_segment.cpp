// expect-error: component_must_fill_its_whole_segment
#include "route.hpp"

int main() {
  get("/user-<id>", [](Request&, std::string_view) {});
}
