// expect-error: handler_takes_fewer_arguments_than_the_pattern_has_components
#include <microdot/app.hpp>

using namespace microdot;

int main() {
  App app;
  app.route("/users/<int:id>", {"GET", "POST"}, [](Request&) { return ""; });
}
