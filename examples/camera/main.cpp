// A camera's pictures as a stream (multipart/x-mixed-replace, "MJPEG"), for two viewers at a time:
// http://127.0.0.1:5000/ . Who is slow sees fewer pictures, never old ones. The camera is simulated.
// camera [--host ADDRESS] [--port NUMBER]
#include <string_view>

#include <microdot/microdot.hpp>

#include "../arguments.hpp"
#include "camera_assets.hpp"  // made by assets.cmake: ./frames as a part of the program

using namespace microdot;

namespace {

constexpr std::string_view kPage = R"(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Camera</title>
<style>body { margin: 0; display: grid; place-items: center; min-height: 100vh; background: #111 } img { max-width: 100% }</style>
<img src="/video" alt="What the camera sees now" width="640" height="480">
)";
constexpr const char* kType = "multipart/x-mixed-replace; boundary=frame";

#if MICRODOT_HOSTED
App app;
#else
StaticApp<Limits::device()> app;
#endif

// What the camera has taken last. A camera's driver would keep the picture's bytes until nobody sends them.
struct Camera {
  std::size_t count = 0;
  Event taken;
  std::string_view picture() const {
    return camera_assets.files()[count % camera_assets.files().size()].content;
  }
};
Camera camera;

Task<> take_pictures() {
  for (;;) {
    co_await sleep_for(100ms);
    ++camera.count;
    camera.taken.set();
    camera.taken.clear();
  }
}

// Each viewer is given the newest picture as soon as the last one has gone.
Generator<std::string_view> video() {
  for (;;) {
    const std::string_view picture = camera.picture();
    char head[96];
    const std::size_t size =
        format_to(head, "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", picture.size());
    co_yield std::string_view(head, size);
    co_yield picture;
    co_yield "\r\n";
    co_await camera.taken.wait();
  }
}

Task<Result<void>> main_task(ServerOptions options) {
  auto pictures = create_task("camera", take_pictures);
  co_return co_await app.start_server(options);
}

}  // namespace

int main(int argc, char** argv) {
  ServerOptions options{.host = "127.0.0.1", .port = 5000};
  if (!parse_arguments(argc, argv, options)) return 2;

  app.get("/", [](Request&) { return Response(kPage, 200, {{"Content-Type", "text/html; charset=utf-8"}}); });
  // A viewer has an exchange for as long as it looks: two may, so that others are still served.
  app.get("/video",
          [](Request&) {
            return Response(video(), 200, {{"Content-Type", kType}, {"Cache-Control", "no-store"}});
          },
          {.max_active = 2});
  return microdot::run(main_task(options));
}
