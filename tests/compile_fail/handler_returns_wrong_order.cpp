// expect-error: a handler's headers must be a range of pairs
#include <microdot/app.hpp>

using namespace microdot;

int main() {
  App app;
  app.get("/", [](Request&) { return std::pair(404, 1.5); });
}
