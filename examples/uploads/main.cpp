// Files from browsers and programs, however large, onto the disk: http://127.0.0.1:5000/
// uploads [--host ADDRESS] [--port NUMBER] [--directory DIRECTORY]
//
//   curl -F title=Holidays -F files=@sea.jpg -F files=@hills.jpg http://127.0.0.1:5000/upload
//   curl -T sea.jpg http://127.0.0.1:5000/files/sea.jpg
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <microdot/ext/file_sink.hpp>
#include <microdot/ext/multipart.hpp>
#include <microdot/microdot.hpp>

#include "../arguments.hpp"

using namespace microdot;
using namespace std::chrono_literals;

namespace {

// 1 GiB in one request, none of it in memory: a body larger than `max_body_length` comes as a stream.
constexpr Limits kLimits = [] {
  Limits limits = Limits::host();
  limits.max_content_length = std::uint64_t{1} << 30;
  limits.shutdown_timeout = 500ms;
  return limits;
}();
// Each has an exchange, and 256 KiB to write from.
constexpr RouteOptions kUploads{.max_active = 8};

// A form: its files go to `directory`. Answers what came, line by line, in the order sent.
Task<Response> take_form(Request& req, std::string_view directory) {
  std::string received;
  FormDataIter form(req);
  while (FormPart* part = co_await form.next()) {
    FileUpload* const file = part->file();
    if (file != nullptr && file->filename.empty()) continue;  // no file was chosen
    received.append(part->name).append(": ");
    if (file != nullptr) {
      const Result<std::uint64_t> size = co_await file->save(directory);
      if (!size) co_return form.refusal();
      received.append(file->filename).append(", ").append(std::to_string(*size)).append(" bytes\n");
    } else {
      const Result<std::string_view> text = co_await part->value();
      if (!text) co_return form.refusal();
      received.append(*text).append("\n");
    }
  }
  co_return Response(std::move(received));
}

// A file as it is, which programs send (`curl -T`).
Task<Response> take_file(Request& req, std::string_view directory, std::string_view name) {
  FileSink file(directory, name);
  for (;;) {
    const Result<std::string_view> piece = co_await req.stream().next();
    if (!piece) co_return abort(400, to_string(piece.error()));  // nothing of it is left
    if (piece->empty()) break;
    const Result<void> written = co_await file(*piece);
    if (!written) co_return abort(500);
  }
  const Result<std::uint64_t> size = co_await file.commit();
  if (!size) co_return abort(500);
  co_return Response(req.format("{} bytes\n", *size), 201);
}

// One line each: bytes, a space, the name.
std::string list_files(const std::string& directory) {
  std::vector<std::string> lines;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    const std::uintmax_t size = entry.file_size(error);
    if (!error && !name.starts_with('.')) lines.push_back(std::to_string(size) + " " + name + "\n");
  }
  const auto name_of = [](std::string_view line) { return line.substr(line.find(' ')); };
  std::sort(lines.begin(), lines.end(),
            [&](const std::string& a, const std::string& b) { return name_of(a) < name_of(b); });
  std::string text;
  for (const std::string& line : lines) text += line;
  return text;
}

void add_routes(App& app, const std::string& directory) {
  app.get("/", [](Request&) { return send_file("index.html", {.root = MICRODOT_EXAMPLE_DIR}); });
  app.post(
      "/upload", [&directory](Request& req) { return take_form(req, directory); }, kUploads);
  app.put(
      "/files/<name>",
      [&directory](Request& req, std::string_view name) { return take_file(req, directory, name); },
      kUploads);
  app.get("/files", [&directory](Request&) { return list_files(directory); });
  app.get("/files/<name>", [&directory](Request&, std::string_view name) {
    Response file = send_file(name, {.root = directory});
    // It is not ours: a browser must not take it for a page of this site.
    file.header("Content-Disposition", "attachment");
    file.header("X-Content-Type-Options", "nosniff");
    return file;
  });
}

}  // namespace

int main(int argc, char** argv) {
  ServerOptions options{.host = "127.0.0.1", .port = 5000};
  std::error_code error;
  std::string directory = (std::filesystem::temp_directory_path(error) / "microdot-uploads").string();
  const auto own = [&directory](std::string_view name, const char* value) {
    if (name != "--directory" || value == nullptr) return 0;
    directory = value;
    return 2;
  };
  if (!parse_arguments(argc, argv, options, " [--directory DIRECTORY]", own)) return 2;
  std::filesystem::create_directories(directory, error);
  if (!std::filesystem::is_directory(directory, error)) {
    std::fprintf(stderr, "%s is no directory\n", directory.c_str());
    return 1;
  }
  std::printf("files go to %s\n", directory.c_str());
  std::fflush(stdout);

  App app(kLimits);
  add_routes(app, directory);
  return app.run(options);
}
