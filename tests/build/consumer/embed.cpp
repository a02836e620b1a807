// A folder that the installed package's microdot_embed made a part of this program.
#include <microdot/microdot.hpp>
#include <microdot/testing/test_client.hpp>

#include "assets.hpp"

using namespace microdot;

static_assert(assets.url("style.css").starts_with("/static/style.css?v="));

int main() {
  static StaticApp<Limits::device()> app;
  app.static_files("/static", assets);
  TestClient client(app);
  const TestResponse style = client.get(assets.url("style.css"));
  const TestResponse logo = client.get("/static/img/logo@2x.svg");
  return style.text == "body { margin: 0; }\n" && logo.headers["Content-Type"] == "image/svg+xml" ? 0 : 1;
}
