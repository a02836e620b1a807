// expect-ok
#include <microdot/ext/multipart.hpp>
#include <microdot/microdot.hpp>
using namespace microdot;

static std::string_view take(Request&, FormData& form) { return form["name"]; }

int main() {
  App app;
  app.post("/a/<int:id>", with_form_data([](Request&, FormData&, int id) { return id; }));
  app.post("/b/<name>", with_form_data([](Request&, FormData&, std::string_view) -> Task<> { co_return; }));
  app.post("/c/<name>", with_form_data([](Request&, FormData&, const std::string&) {}));
  app.post("/d", with_form_data(take, {.parts = 3}));
  app.post("/e", with_form_data([](Request&, FormData&) mutable noexcept { return "text"; }),
           {.max_active = 1});
  app.post("/f", with_form_data([](Request&, FormData&) -> Generator<std::string_view> { co_yield "a"; }));
}
