// expect-error: a handler must not return nullptr
#include <microdot/app.hpp>

using namespace microdot;

int main() {
  App app;
  app.get("/", [](Request&) { return nullptr; });
}
