// expect-error: a handler with a form is called as f\(Request&, FormData&, path arguments
#include <microdot/ext/multipart.hpp>
#include <microdot/microdot.hpp>
using namespace microdot;

int main() {
  App app;
  app.post("/", with_form_data([](Request&) { return "text"; }));
}
