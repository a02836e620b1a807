// expect-error: a coroutine must take path arguments by value
#include <microdot/ext/multipart.hpp>
#include <microdot/microdot.hpp>
using namespace microdot;

int main() {
  App app;
  app.post("/<name>", with_form_data([](Request&, FormData&, const std::string&) -> Task<> { co_return; }));
}
