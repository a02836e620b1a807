// Server-Sent Events: http://127.0.0.1:5000/ counts, also after the server was started anew, since the
// browser says where it was. counter [--host ADDRESS] [--port NUMBER]
#include <charconv>

#include <microdot/base/text.hpp>
#include <microdot/ext/sse.hpp>
#include <microdot/microdot.hpp>

#include "../arguments.hpp"

using namespace microdot;

namespace {

constexpr std::string_view kPage = R"(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Counter</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; text-align: center; margin-top: 4rem }
  output { font-size: 6rem; font-variant-numeric: tabular-nums } .lost { opacity: .3 }
</style>
<output id="count" class="lost">–</output>
<script>
  const count = document.querySelector('#count');
  const events = new EventSource('/events');
  events.onopen = () => count.classList.remove('lost');
  events.onerror = () => count.classList.add('lost');
  events.addEventListener('count', event => count.textContent = event.data);
</script>
)";

#if MICRODOT_HOSTED
App app;
#else
StaticApp<Limits::device()> app;
#endif

Task<> count(Request&, SSE& sse) {
  unsigned number = 0;
  const std::string_view last = sse.last_event_id();
  std::from_chars(last.data(), last.data() + last.size(), number);
  co_await sse.retry(500ms);
  for (;;) {
    FixedText<16> text;
    text.append(++number);
    if (!co_await sse.send(text.view(), "count", text.view())) co_return;
    co_await sleep_for(1s);
  }
}

}  // namespace

int main(int argc, char** argv) {
  ServerOptions options{.host = "127.0.0.1", .port = 5000};
  if (!parse_arguments(argc, argv, options)) return 2;

  app.get("/", [](Request&) { return Response(kPage, 200, {{"Content-Type", "text/html; charset=utf-8"}}); });
  app.get("/events", with_sse(count));
  return app.run(options);
}
