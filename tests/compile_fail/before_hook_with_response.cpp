// expect-error: this hook or error handler is called as f\(Request&\)
#include <microdot/app.hpp>

using namespace microdot;

int main() {
  App app;
  app.before_request([](Request&, Response&) {});
}
