// expect-error: the first is a status already
#include <microdot/app.hpp>

using namespace microdot;

int main() {
  App app;
  app.get("/", [](Request&) { return std::pair(200, 404); });
}
