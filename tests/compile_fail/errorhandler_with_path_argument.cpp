// expect-error: this hook or error handler is called as f\(Request&\)
#include <microdot/app.hpp>

using namespace microdot;

int main() {
  App app;
  app.errorhandler(404, [](Request&, int) { return "x"; });
}
