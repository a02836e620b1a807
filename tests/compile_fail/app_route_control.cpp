// expect-ok
// The twin of app_route.cpp and app_methods.cpp, right.
#include <microdot/app.hpp>

using namespace microdot;

int main() {
  App app;
  app.get("/users/<int:id>", [](Request&, int) { return ""; });
  app.route("/users/<int:id>", {"GET", "POST"}, [](Request&, int) { return ""; });
}
