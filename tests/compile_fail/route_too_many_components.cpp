// expect-error: pattern_has_too_many_components
#include "route.hpp"

int main() {
  get("/<a>/<b>/<c>/<d>/<e>/<f>/<g>/<h>/<i>",
      [](Request&, std::string_view, std::string_view, std::string_view, std::string_view, std::string_view,
         std::string_view, std::string_view, std::string_view) {});
}
