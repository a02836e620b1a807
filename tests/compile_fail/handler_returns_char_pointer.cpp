// expect-error: a handler must not return a char\*
#include <microdot/app.hpp>

using namespace microdot;

int main() {
  App app;
  app.get("/", [](Request&) {
    static char text[8];
    return &text[0];
  });
}
