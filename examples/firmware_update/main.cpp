// A new image for a board, over the web: up to 2 MB through 4 KB of memory into a flash that is slow. The old
// image stays in use until the new one is whole. http://127.0.0.1:5000/ firmware_update [--host ADDRESS]
// [--port NUMBER]
//
//   examples/firmware_update/make_image 1.2.3 program.bin >image.bin
//   curl -F image=@image.bin http://127.0.0.1:5000/update      # as a browser does
//   curl -T image.bin http://127.0.0.1:5000/image              # the file as it is
#include <chrono>
#include <string_view>

#include <microdot/ext/monitor.hpp>
#include <microdot/ext/multipart.hpp>
#include <microdot/microdot.hpp>

#include "../arguments.hpp"
#include "firmware_update_assets.hpp"  // made by assets.cmake: the page as a part of the program
#include "updater.hpp"

using namespace microdot;
using namespace std::chrono_literals;

namespace {

// What an upload passes through: the window of its exchange, a page, and the coroutines' frames. The flash is
// as slow as it likes: meanwhile nothing is read, and TCP holds the client back.
constexpr Limits kLimits = [] {
  Limits limits = Limits::device();
  limits.max_content_length = Flash::kSlotBytes + 4096;  // and what a form has around a file
  limits.max_body_length = 1024;
  if (sizeof(void*) == 8) limits.arena_bytes = 3072;
  limits.shutdown_timeout = 500ms;
  return limits;
}();
static_assert(kLimits.max_body_length + kLimits.arena_bytes + sizeof(Updater) <= 4096 || sizeof(void*) == 8);
StaticApp<kLimits> app;

#if MICRODOT_HOSTED
#define IN_FLASH
#else
#define IN_FLASH \
  [[gnu::section(".bss.psram")]]  // a memory that stands for a flash: firmware/boards/*/memory.ld
#endif
IN_FLASH char flash_memory[2 * Flash::kSlotBytes];
Updater updater{Flash(flash_memory)};

Response answer(Request& req) {
  if (updater.state() == Updater::State::installed)
    return Response(req.format("installed: {}\n", updater.version()));
  return Response(req.format("refused: {}\n", updater.reason()), 422);
}

// A form with an image in it.
Task<Response> take_form(Request& req) {
  const Updater::Session session(updater);
  if (!session) co_return Response("another update is under way\n", 409);
  FormDataIter form(req);
  while (FormPart* part = co_await form.next()) {
    FileUpload* const file = part->file();
    if (file == nullptr) continue;
    const Result<std::uint64_t> size = co_await file->copy(updater);
    // One that is refused is taken to its end all the same: browsers read no answer before they have sent
    // all.
    if (!size && form.error_status() != 0) co_return form.refusal();
  }
  co_await updater.finish();
  co_return answer(req);
}

// An image as it is.
Task<Response> take_image(Request& req) {
  const Updater::Session session(updater);
  if (!session) co_return Response("another update is under way\n", 409);
  for (;;) {
    const Result<std::string_view> piece = co_await req.stream().next();
    if (!piece) co_return abort(400, to_string(piece.error()));
    if (piece->empty()) break;
    const Result<void> taken = co_await updater(*piece);
    if (!taken) break;
  }
  co_await updater.finish();
  co_return answer(req);
}

Response status(Request& req) {
  constexpr std::string_view kStates[] = {"idle", "receiving", "installed", "refused"};
  Response response(req.format(R"({{"state":"{}","written":{},"size":{},"reason":"{}","version":"{}"}})",
                               kStates[static_cast<std::size_t>(updater.state())], updater.written(),
                               updater.expected(), updater.reason(), updater.version()));
  response.header("Content-Type", "application/json");
  response.header("Cache-Control", "no-store");
  return response;
}

}  // namespace

int main(int argc, char** argv) {
  ServerOptions options{.host = "127.0.0.1", .port = 5000};
  if (!parse_arguments(argc, argv, options)) return 2;

  app.get("/", [](Request&) { return send_file("index.html", {.root = firmware_update_assets}); });
  app.post("/update", take_form);
  app.put("/image", take_image);
  // The image in use, as it was sent: straight from the flash.
  app.get("/image", [](Request&) -> Response {
    if (updater.active().empty()) return abort(404);
    Response image(updater.active());
    image.header("Content-Type", "application/octet-stream");
    return image;
  });
  app.get("/status", status);
  app.get("/metrics", metrics);
  return app.run(options);
}
