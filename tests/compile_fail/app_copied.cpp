// expect-error: use of deleted function|call to deleted
#include <microdot/app.hpp>

using namespace microdot;

int main() {
  App app;
  App other(app);
}
