// expect-error: handler_takes_fewer_arguments_than_the_pattern_has_components
#include <microdot/ext/multipart.hpp>
#include <microdot/microdot.hpp>
using namespace microdot;

int main() {
  App app;
  app.post("/<int:id>", with_form_data([](Request&, FormData&) { return "text"; }));
}
