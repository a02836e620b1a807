// Files of the system's disk, written beside the loop.

#include <microdot/ext/file_sink.hpp>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

#include <microdot/async/thread.hpp>
#include <microdot/ext/multipart.hpp>
#include <microdot/port/file_writer.hpp>
#include <microdot/testing/test_client.hpp>

#include "../server/sim_server.hpp"

namespace microdot_test {
namespace {

/// A directory for the time of a test.
class Directory {
 public:
  Directory() {
    char name[] = "/tmp/microdot_sink_XXXXXX";
    if (mkdtemp(name) == nullptr) std::abort();
    path = name;
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  ~Directory() { std::filesystem::remove_all(path); }

  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }
  std::string read(const std::string& name) const {
    std::ifstream file(path + "/" + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string path;
};

using Names = std::vector<std::string>;

// Writes `content` in pieces of that many bytes.
Task<Result<std::uint64_t>> write_all(FileSink& file, std::string_view content, std::size_t piece) {
  while (!content.empty()) {
    const Result<void> taken = co_await file(content.substr(0, piece));
    if (!taken) co_return taken.error();
    content.remove_prefix(std::min(piece, content.size()));
  }
  const Result<std::uint64_t> size = co_await file.commit();
  co_return size;
}

Result<std::uint64_t> write_file(const std::string& path, std::string_view filename, std::string_view content,
                                 std::size_t piece = 10'000) {
  Result<std::uint64_t> size = Error::invalid;
  const auto program = [&]() -> Task<> {
    FileSink file(path, filename);
    size = co_await write_all(file, content, piece);
  };
  EXPECT_EQ(microdot::run(program()), 0);
  return size;
}

TEST(FileSink, WritesWhatComes) {
  const Directory directory;
  const std::string content = numbered(1'000'000);  // several buffers
  for (const std::size_t piece : {1'000U, 262'144U, 300'000U, 1'000'000U}) {
    const Result<std::uint64_t> size = write_file(directory.path + "/large", "", content, piece);
    ASSERT_TRUE(size) << to_string(size.error());
    EXPECT_EQ(*size, content.size());
    EXPECT_EQ(directory.read("large"), content);
  }
  EXPECT_TRUE(write_file(directory.path + "/empty", "", ""));
  EXPECT_EQ(directory.names(), (Names{"empty", "large"}));
  EXPECT_EQ(directory.read("empty"), "");
}

TEST(FileSink, ANameFromAClientStaysInItsDirectory) {
  const Directory directory;
  std::filesystem::create_directory(directory.path + "/sub");
  std::ofstream(directory.path + "/outside") << "mine";
  std::filesystem::create_symlink("../outside", directory.path + "/sub/link");
  for (const char* name : {"../outside", "/etc/outside", "..\\outside", "link", "..", "", ".hidden"})
    EXPECT_TRUE(write_file(directory.path + "/sub", name, name)) << name;
  EXPECT_EQ(directory.read("outside"), "mine") << "a link is replaced, not followed";
  EXPECT_EQ(directory.names(), (Names{"outside", "sub"}));
  EXPECT_EQ(directory.read("sub/outside"), "..\\outside");
  EXPECT_EQ(directory.read("sub/link"), "link");
  EXPECT_EQ(directory.read("sub/hidden"), ".hidden");
  EXPECT_EQ(directory.read("sub/upload"), "");
  EXPECT_TRUE(write_file(directory.path + "/sub/", std::string(300, 'x'), "x"));
  EXPECT_EQ(directory.read("sub/" + std::string(255, 'x')), "x");
}

TEST(FileSink, AFileAppearsWhole) {
  const Directory directory;
  std::ofstream(directory.path + "/file") << "the old one";
  Names meanwhile;
  const auto program = [&]() -> Task<> {
    {
      FileSink dropped(directory.path, "file");
      const std::string much(300'000, 'x');
      const Result<void> taken = co_await dropped(much);
      EXPECT_TRUE(taken);
      meanwhile = directory.names();
      EXPECT_EQ(directory.read("file"), "the old one");
    }
    EXPECT_EQ(directory.names(), Names{"file"}) << "one that is not committed is gone";
    FileSink file(directory.path, "file");
    const Result<std::uint64_t> size = co_await write_all(file, "the new one", 4);
    EXPECT_TRUE(size);
  };
  EXPECT_EQ(microdot::run(program()), 0);
  ASSERT_EQ(meanwhile.size(), 2U);
  EXPECT_TRUE(meanwhile[0].starts_with(".microdot-")) << meanwhile[0];
  EXPECT_EQ(directory.read("file"), "the new one");
}

TEST(FileSink, ErrorsAreTold) {
  const Directory directory;
  std::filesystem::create_directory(directory.path + "/sub");
  const auto error = [&](const std::string& path, std::string_view name, std::size_t bytes = 10) {
    return write_file(path, name, std::string(bytes, 'x')).error();
  };
  EXPECT_EQ(error(directory.path + "/missing/", "x"), Error::not_found);
  EXPECT_EQ(error(directory.path + "/missing/x", ""), Error::not_found);
  EXPECT_EQ(error(directory.path + "/missing/x", "", 1'000'000), Error::not_found);
  EXPECT_EQ(error(directory.path, "sub"), Error::is_directory);
  EXPECT_EQ(error("", "x"), Error::invalid);
  EXPECT_EQ(error("/dev/full/", "x"), Error::not_found);
  EXPECT_EQ(directory.names(), Names{"sub"});
}

TEST(FileWriter, TakesPlainNamesOnly) {
  const Directory directory;
  for (const char* name : {"", ".", "..", "../x", "a/b", "/x"}) {
    Result<FileWriter> file = FileWriter::create(directory.path);
    ASSERT_TRUE(file);
    EXPECT_EQ(file->commit(name).error(), Error::invalid) << name;
  }
  EXPECT_EQ(directory.names(), Names{});
}

// Of this process.
std::size_t threads() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

TEST(FileSink, OneThatIsCancelledInMidWriteHarmsNobody) {
  const Directory directory;
  const std::size_t before = threads();
  const std::string much(1'000'000, 'x');
  const auto program = [&]() -> Task<> {
    const auto writer = [&]() -> Task<> {
      FileSink file(directory.path, "file");
      const Result<std::uint64_t> size = co_await write_all(file, much, much.size());
      ADD_FAILURE() << "it came to its end: " << (size ? *size : 0);
    };
    TaskHandle task = create_task(writer);
    co_await yield();  // the thread has begun
    task.cancel();
    EXPECT_EQ(co_await task, TaskState::canceled);
  };
  EXPECT_EQ(microdot::run(program()), 0);
  // The thread takes the file along when it is done; it may not even have begun.
  for (int i = 0; i < 1000 && threads() > before; ++i) std::this_thread::sleep_for(5ms);
  EXPECT_EQ(directory.names(), Names{});
}

// ---- Through the server ----

TEST(FileUpload, IsSavedUnderATestClient) {
  const Directory directory;
  App app;
  app.post("/", with_form_data([&directory](Request& req, FormData& form) -> Task<Response> {
             const Result<std::uint64_t> size = co_await form.files["f"]->save(directory.path);
             co_return Response(req.format("{}", size ? *size : 0));
           }));
  TestClient client(app);
  const TestResponse res =
      client.post("/", "--b\r\nContent-Disposition: form-data; name=f; filename=x\r\n\r\nabc\r\n--b--",
                  {{"Content-Type", "multipart/form-data; boundary=b"}});
  EXPECT_EQ(res.text, "3");
  EXPECT_EQ(directory.read("x"), "abc");
}

// And on real sockets, for threads are real.

std::string ask(std::uint16_t port, std::string_view request, bool leave) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
    while (!request.empty()) {
      const ssize_t size = send(fd, request.data(), request.size(), MSG_NOSIGNAL);
      if (size <= 0) break;
      request.remove_prefix(static_cast<std::size_t>(size));
    }
    const linger now{1, 0};
    if (leave) setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    char bytes[4096];
    for (ssize_t size; !leave && (size = recv(fd, bytes, sizeof bytes, 0)) > 0;)
      answer.append(bytes, static_cast<std::size_t>(size));
  }
  close(fd);
  return answer;
}

TEST(FileUpload, IsSavedWhileOthersAreServed) {
  const Directory directory;
  App app(Limits{.connections = 8, .exchanges = 4, .max_content_length = 16 * 1024 * 1024});
  app.post("/save", [&directory](Request& req) -> Task<Response> {
    std::uint64_t bytes = 0;
    FormDataIter form(req);
    while (FormPart* part = co_await form.next()) {
      FileUpload* const file = part->file();
      if (file == nullptr) continue;
      const Result<std::uint64_t> size = co_await file->save(directory.path);
      if (!size) co_return abort(500, to_string(size.error()));
      bytes += *size;
    }
    co_return Response(req.format("{}", bytes));
  });
  app.post("/small", with_form_data([&directory](Request& req, FormData& form) -> Task<Response> {
             const Result<std::uint64_t> size = co_await form.files["f"]->save(directory.path + "/small");
             co_return Response(req.format("{}", size ? *size : 0));
           }));
  const std::string content = numbered(3'000'000);
  const auto request = [&](std::string_view path, std::string_view file) {
    std::string body = "--b\r\nContent-Disposition: form-data; name=f; filename=\"../a.bin\"\r\n\r\n";
    body.append(file).append("\r\n--b--\r\n");
    return post(path, body, "Content-Type: multipart/form-data; boundary=b\r\nConnection: close\r\n");
  };
  std::string saved, small;
  Names after_leaving;
  const auto client = [&](std::uint16_t port) {
    saved = ask(port, request("/save", content), false);
    std::filesystem::rename(directory.path + "/a.bin", directory.path + "/kept");
    small = ask(port, request("/small", "small file"), false);
    ask(port, request("/save", content).substr(0, 2'000'000), true);
    for (int i = 0; i < 1000; ++i) {
      after_leaving = directory.names();
      if (after_leaving.size() == 2) break;
      std::this_thread::sleep_for(5ms);
    }
  };
  const auto program = [&]() -> Task<> {
    auto server = create_task(app.start_server({.host = "127.0.0.1", .port = 0}));
    while (!app.running()) co_await sleep_for(1ms);
    const std::uint16_t port = app.port();
    auto work = [&client, port] { client(port); };
    Task<> clients = run_in_thread(std::move(work));
    co_await clients;
    app.shutdown();
    co_await server;
  };
  EXPECT_EQ(microdot::run(program()), 0);
  EXPECT_EQ(body_of(saved), "3000000") << saved;
  EXPECT_EQ(directory.read("kept"), content);
  EXPECT_EQ(body_of(small), "10") << small;
  EXPECT_EQ(directory.read("small"), "small file");
  EXPECT_EQ(after_leaving, (Names{"kept", "small"})) << "who leaves in mid-file leaves nothing";
}

}  // namespace
}  // namespace microdot_test
