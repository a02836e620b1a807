#pragma once
/// What the tests of files share: an App on the simulator, its files, and the answers taken apart.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <microdot/microdot.hpp>
#include <microdot/testing/test_client.hpp>

namespace microdot_test {

using namespace microdot;
using namespace std::chrono_literals;

struct Answer {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> fields;  // in order, without Date
  std::string date;
  std::string body;

  bool has(std::string_view name) const { return name == "Date" ? !date.empty() : find(name) != nullptr; }
  /// The value of the first field, "" if there is none.
  std::string operator[](std::string_view name) const {
    if (name == "Date") return date;
    return has(name) ? *find(name) : std::string();
  }
  /// The values of all fields, joined as RFC 9110 5.3 says.
  std::string all(std::string_view name) const {
    std::string joined;
    for (const auto& [field, value] : fields) {
      if (field == name) joined += (joined.empty() ? "" : ", ") + value;
    }
    return joined;
  }

 private:
  const std::string* find(std::string_view name) const {
    for (const auto& [field, value] : fields) {
      if (field == name) return &value;
    }
    return nullptr;
  }
};

class FilesTest : public testing::Test {
 protected:
  /// Notes what is opened, and refuses it if told to.
  class Faults final : public SimFaults {
   public:
    explicit Faults(std::vector<std::string>& opened) : opened_(&opened) {}
    Error on_open(std::string_view path) noexcept override {
      opened_->emplace_back(path);
      if (open_error != Error::none && path.ends_with(fails_with)) return open_error;
      return Error::none;
    }
    Error open_error = Error::none;
    std::string fails_with;  ///< Only names that end so.

   private:
    std::vector<std::string>* opened_;
  };

  // Started without routes: the simulator's files are added next, and a missing directory is an error at
  // start.
  explicit FilesTest(const Limits& limits = Limits::host())
      : app(limits), client(app, {.sim = {.faults = &faults}}) {}
  ~FilesTest() override { EXPECT_EQ(client.sim().open_files(), 0U); }

  void add(const std::string& path, std::string_view content, std::int64_t modified = 1'600'000'000) {
    client.sim().add_file(path, content, modified);
  }
  /// `content` must outlive the test's last request.
  void add_in_place(const std::string& path, std::string_view content) {
    client.sim().add_file(path, content, 1'600'000'000, true);
  }
  static std::string noise(std::size_t size) {
    std::mt19937 random(7);
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    return bytes;
  }

  Answer get(const std::string& url, std::vector<std::string> fields = {}) {
    return ask("GET", url, std::move(fields));
  }
  /// Sends one request with these field lines and takes the answer apart. `opened` is what that opened.
  Answer ask(const std::string& method, const std::string& url, std::vector<std::string> fields = {}) {
    std::string request = method + " " + url + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    for (const std::string& field : fields) request += field + "\r\n";
    opened.clear();
    return parse(client.raw(request + "\r\n"), method == "HEAD");
  }

  std::size_t open_files() { return client.sim().open_files(); }
  std::string log() { return std::string(client.sim().log_text()); }

  std::vector<std::string> opened;
  Faults faults{opened};
  App app;
  TestClient client;

 private:
  static Answer parse(std::string_view bytes, bool head_only) {
    Answer answer;
    const std::size_t end = bytes.find("\r\n\r\n");
    EXPECT_NE(end, bytes.npos) << bytes;
    if (end == bytes.npos) return answer;
    answer.body = bytes.substr(end + 4);
    std::string_view head = bytes.substr(0, end + 2);
    EXPECT_TRUE(head.starts_with("HTTP/1.1 "));
    answer.status = std::stoi(std::string(head.substr(9, 3)));
    head.remove_prefix(head.find("\r\n") + 2);
    while (!head.empty()) {
      const std::string_view line = head.substr(0, head.find("\r\n"));
      head.remove_prefix(line.size() + 2);
      const std::size_t colon = line.find(": ");
      EXPECT_NE(colon, line.npos) << line;
      std::string name(line.substr(0, colon));
      std::string value(line.substr(colon + 2));
      if (name == "Date") {
        answer.date = std::move(value);
      } else {
        answer.fields.emplace_back(std::move(name), std::move(value));
      }
    }
    // What is promised is what comes, always.
    if (answer.has("Content-Length") && !head_only && answer.status != 304) {
      EXPECT_EQ(std::to_string(answer.body.size()), answer["Content-Length"]);
    }
    if (head_only || answer.status == 304) {
      EXPECT_EQ(answer.body, "");
    }
    return answer;
  }
};

/// The same files below a directory, as the port's or embedded: all that is served of them must be the same.
enum class Storage : std::uint8_t { files, embedded };

class StoredFilesTest : public FilesTest, public testing::WithParamInterface<Storage> {
 protected:
  using FilesTest::FilesTest;

  static bool embedded() { return GetParam() == Storage::embedded; }
  /// `path` begins with the directory.
  void add(const std::string& path, std::string_view content, std::int64_t modified = 1'600'000'000) {
    if (!embedded()) return FilesTest::add(path, content, modified);
    const std::size_t slash = path.find('/');
    folders_[path.substr(0, slash)].add(path.substr(slash + 1), content);
  }
  void add_in_place(const std::string& path, std::string_view content) {
    embedded() ? add(path, content) : FilesTest::add_in_place(path, content);
  }
  FileRoot root(const char* directory) {
    if (embedded()) return folders_[directory].folder;
    return directory;
  }
  /// What the last request opened of the port's files: nothing where they are embedded.
  void expect_opened(const std::vector<std::string>& names) const {
    EXPECT_EQ(opened, embedded() ? std::vector<std::string>{} : names);
  }

 private:
  struct Folder {
    void add(const std::string& name, std::string_view content) {
      contents[name] = content;
      files.clear();
      for (const auto& [key, value] : contents) {
        etags[key] = "\"" + std::to_string(std::hash<std::string>()(value)) + "\"";
        files.push_back({.name = key, .url = {}, .etag = etags[key], .content = value});
      }
      folder = EmbeddedFolder(files);
    }
    std::map<std::string, std::string> contents;
    std::map<std::string, std::string> etags;
    std::vector<EmbeddedFile> files;
    EmbeddedFolder folder{{}};
  };

  std::map<std::string, Folder> folders_;
};

inline std::string storage_name(const testing::TestParamInfo<Storage>& param) {
  return param.param == Storage::files ? "files" : "embedded";
}

}  // namespace microdot_test
