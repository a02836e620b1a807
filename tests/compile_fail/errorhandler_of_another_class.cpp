// expect-error: this error handler is called as f\(Request&, const E&\)
#include <stdexcept>

#include <microdot/app.hpp>

using namespace microdot;

int main() {
  App app;
  app.errorhandler<std::range_error>([](Request&, const std::bad_alloc&) { return "x"; });
}
