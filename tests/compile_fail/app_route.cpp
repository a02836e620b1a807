// expect-error: component_of_type_int_needs_an_integer_argument
#include <microdot/app.hpp>

using namespace microdot;

int main() {
  App app;
  app.get("/users/<int:id>", [](Request&, std::string_view) { return ""; });
}
