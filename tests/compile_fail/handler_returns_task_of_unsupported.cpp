// expect-error: a handler returns text, a status
#include <microdot/app.hpp>

using namespace microdot;

struct Reading {
  double celsius;
};

int main() {
  App app;
  app.get("/", [](Request&) -> Task<Reading> { co_return Reading{21.5}; });
}
