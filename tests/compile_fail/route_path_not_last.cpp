// expect-error: component_of_type_path_must_be_last
#include "route.hpp"

int main() {
  get("/<path:p>/edit", [](Request&, std::string_view) {});
}
