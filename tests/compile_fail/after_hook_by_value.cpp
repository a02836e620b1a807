// expect-error: this hook is called as f\(Request&, Response&\)
#include <microdot/app.hpp>

using namespace microdot;

int main() {
  App app;
  app.after_request([](Request&, Response) {});
}
