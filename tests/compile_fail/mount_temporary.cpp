// expect-error: use of deleted function|call to deleted member
#include <microdot/app.hpp>

using namespace microdot;

int main() {
  App app;
  app.mount(Router(), "/sub");
}
