// expect-error: must not return a bool
#include <microdot/app.hpp>

using namespace microdot;

int main() {
  App app;
  app.before_request([](Request&) { return true; });
}
