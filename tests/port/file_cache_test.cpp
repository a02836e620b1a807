// Small files that the Linux port keeps in memory, with clocks that the test sets; at the end the port
// itself.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <microdot/port/port.hpp>

#include "descriptors.hpp"
#include "ports/linux/file_cache.hpp"

namespace microdot_test {
namespace {

using namespace microdot;

/// A file system with the cache alone behind it.
class CachedFiles final : public Files {
 public:
  CachedFiles() {
    EXPECT_NE(mkdtemp(folder_), nullptr);
    cache.begin();
  }
  ~CachedFiles() {
    cache.end();
    EXPECT_EQ(std::system(("rm -rf '" + std::string(folder_) + "'").c_str()), 0);
  }

  void put(const std::string& name, std::string_view content) { std::ofstream(path(name)) << content; }
  /// Opens the file as the port does; nothing if it comes from the system and not from the cache.
  std::optional<File> ask(const std::string& name) {
    const struct stat status = told ? *told : stat_of(path(name));
    if (const FileIdentity* kept = cache.find("root", name, steady)) {
      if (FileIdentity(status) == *kept) return cache.open(*this);
      cache.forget();
    }
    ++opened;
    const int fd = ::open(path(name).c_str(), O_RDONLY);
    EXPECT_GE(fd, 0);
    FileInfo info;
    info.size = static_cast<std::uint64_t>(status.st_size) + promised_more;
    auto file = cache.keep(*this, fd, info, status, "root", name, {steady, status.st_ctim.tv_sec + age});
    ::close(fd);
    return file;
  }
  static std::string content(const File& file) { return {file.data().data(), file.data().size()}; }

  FileCache cache;
  std::int64_t steady = 1000;
  std::int64_t age = 60;            ///< Seconds since the file was changed.
  std::size_t promised_more = 0;    ///< Bytes that the system says the file has, and it has not.
  std::optional<struct stat> told;  ///< What the system says of every file.
  int opened = 0;

  struct stat tell(const std::string& name) {
    return stat_of(path(name));
  }

 private:
  Result<File> open(std::string_view, std::string_view) noexcept override { return Error::not_found; }
  Result<void> check_root(std::string_view) noexcept override { return {}; }
  Result<std::size_t> read(Handle, std::uint64_t, std::span<char>) noexcept override { return Error::io; }
  std::span<const char> data(Handle handle) noexcept override { return cache.data(handle); }
  void close(Handle handle) noexcept override { cache.close(handle); }
  std::string path(const std::string& name) { return std::string(folder_) + "/" + name; }
  static struct stat stat_of(const std::string& name) {
    struct stat status {};
    EXPECT_EQ(stat(name.c_str(), &status), 0);
    return status;
  }

  char folder_[32] = "/tmp/microdot_cache_XXXXXX";
};

TEST(FileCache, KeepsWhatIsAskedForAgain) {
  CachedFiles files;
  files.put("a", "hello");
  EXPECT_FALSE(files.ask("a")) << "once is nothing";
  for (int i = 0; i < 3; ++i) {
    const std::optional<File> file = files.ask("a");
    ASSERT_TRUE(file);
    EXPECT_EQ(files.content(*file), "hello");
    EXPECT_EQ(file->info().size, 5u);
  }
  EXPECT_EQ(files.opened, 2);
}

TEST(FileCache, ReadsAgainAfterASecondOrTwo) {
  CachedFiles files;
  files.put("a", "hello");
  (void)files.ask("a");
  (void)files.ask("a");
  files.steady += 1;
  EXPECT_TRUE(files.ask("a"));
  EXPECT_EQ(files.opened, 2);
  files.steady += 1;
  EXPECT_TRUE(files.ask("a")) << "read at once, it has been asked for often enough";
  EXPECT_EQ(files.opened, 3);
  EXPECT_TRUE(files.ask("a"));
  EXPECT_EQ(files.opened, 3);
}

TEST(FileCache, KeepsNothingThatHasJustChanged) {
  CachedFiles files;
  files.put("a", "hello");
  for (const std::int64_t age : {0, 1, -5}) {
    files.age = age;
    for (int i = 0; i < 4; ++i) EXPECT_FALSE(files.ask("a")) << age;
  }
  files.age = 2;
  EXPECT_FALSE(files.ask("a"));
  EXPECT_TRUE(files.ask("a"));
}

TEST(FileCache, WhoHasAnOldVersionOpenKeepsIt) {
  CachedFiles files;
  files.put("a", "old");
  (void)files.ask("a");
  std::optional<File> old = files.ask("a");
  ASSERT_TRUE(old);
  files.put("a", "new one");
  EXPECT_FALSE(files.ask("a")) << "a version that is asked for the first time";
  std::optional<File> fresh = files.ask("a");
  ASSERT_TRUE(fresh);
  EXPECT_EQ(files.content(*fresh), "new one");
  EXPECT_EQ(files.content(*old), "old");
  files.steady += 10;  // read again beside the one in use, which somebody is sending
  files.put("a", "NEW ONE");
  (void)files.ask("a");
  EXPECT_EQ(files.content(*files.ask("a")), "NEW ONE");
  EXPECT_EQ(files.content(*fresh), "new one");
  EXPECT_EQ(files.content(*old), "old");
}

TEST(FileCache, WhatIsInUseIsNotOverwritten) {
  CachedFiles files;
  files.put("a", "before");
  (void)files.ask("a");
  const std::optional<File> before = files.ask("a");
  files.told = files.tell("a");
  files.put("a", "behind");  // by mmap(2): the system says nothing of it
  files.steady += 10;
  (void)files.ask("a");
  const std::optional<File> behind = files.ask("a");
  ASSERT_TRUE(before && behind);
  EXPECT_EQ(files.content(*behind), "behind");
  EXPECT_EQ(files.content(*before), "before");
}

TEST(FileCache, LeavesOutWhatIsEmptyLargeOrShorterThanSaid) {
  CachedFiles files;
  files.put("empty", "");
  files.put("largest", std::string(FileCache::kFileBytes, 'x'));
  files.put("larger", std::string(FileCache::kFileBytes + 1, 'x'));
  files.put("a", "hello");
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(files.ask("empty"));
    EXPECT_FALSE(files.ask("larger"));
    EXPECT_EQ(files.ask("largest").has_value(), i != 0);
  }
  files.promised_more = 1;
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(files.ask("a")) << "as files of /proc and /sys";
}

TEST(FileCache, MoreFilesThanPlaces) {
  CachedFiles files;
  const int count = static_cast<int>(FileCache::kFiles);
  for (int i = 0; i < 3 * count; ++i) files.put(std::to_string(i), "number " + std::to_string(i));
  files.put("one more", "another");
  std::vector<File> open;
  for (int i = 0; i < count; ++i) {
    (void)files.ask(std::to_string(i));
    std::optional<File> file = files.ask(std::to_string(i));
    ASSERT_TRUE(file) << i;
    open.push_back(std::move(*file));
  }
  EXPECT_FALSE(files.ask("one more"));
  EXPECT_FALSE(files.ask("one more")) << "all are in use";
  open[7] = File();
  files.steady += 3;  // and nobody asks for it
  EXPECT_FALSE(files.ask("one more"));
  ASSERT_TRUE(files.ask("one more"));
  EXPECT_EQ(files.content(*files.ask("one more")), "another");
  for (int i = 0; i < count; ++i) {
    if (i == 7) continue;
    EXPECT_EQ(files.content(open[static_cast<std::size_t>(i)]), "number " + std::to_string(i));
  }
}

TEST(FileCache, OnePassOverManyDrivesOutNothingThatIsAskedFor) {
  CachedFiles files;
  const int count = static_cast<int>(FileCache::kFiles);
  for (int i = 0; i < 3 * count; ++i) files.put(std::to_string(i), "number " + std::to_string(i));
  const auto ask_twice = [&](int i) {
    (void)files.ask(std::to_string(i));
    return files.ask(std::to_string(i)).has_value();
  };
  const std::string long_name(180, 'n');
  files.put(long_name, "finds no room");
  for (int i = 0; i < count; ++i) EXPECT_TRUE(ask_twice(i)) << i;
  const int before = files.opened;
  for (int i = count; i < 3 * count; ++i) EXPECT_FALSE(files.ask(std::to_string(i)));
  for (int i = 0; i < count; ++i) EXPECT_FALSE(files.ask(long_name));
  EXPECT_EQ(files.opened, before + 3 * count);
  for (int i = 0; i < count; ++i) EXPECT_TRUE(files.ask(std::to_string(i))) << i;
  EXPECT_EQ(files.opened, before + 3 * count);
  // Those that nobody asks for any more make room; one that was asked for in time stays.
  files.steady += 2;
  EXPECT_TRUE(files.ask("3"));
  files.steady += 1;
  for (int i = count; i < 2 * count - 1; ++i) EXPECT_TRUE(ask_twice(i)) << i;
  const int then = files.opened;
  EXPECT_TRUE(files.ask("3"));
  EXPECT_EQ(files.opened, then);
}

TEST(FileCache, NamesThatLookAlike) {
  CachedFiles files;
  for (const char* name : {"image-01.png", "image_01.png", "mage-01.png", "x"}) {
    files.put(name, name);
    (void)files.ask(name);
    const std::optional<File> file = files.ask(name);
    ASSERT_TRUE(file) << name;
    EXPECT_EQ(files.content(*file), name);
  }
  const std::string name(180, 'n');
  files.put(name, "a name that finds no room");
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(files.ask(name));
}

// The port, with files that were there long before.
TEST(FileCache, OfThePort) {
  const auto text = [](const char* path) {
    std::ifstream file(path);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const std::string passwd = text("/etc/passwd");
  const std::string group = text("/etc/group");
  ASSERT_TRUE(!passwd.empty() && passwd.size() < FileCache::kFileBytes);
  ASSERT_TRUE(!group.empty() && group.size() < FileCache::kFileBytes && group != passwd);
  char folder[] = "/tmp/microdot_cache_XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const std::string link = std::string(folder) + "/link";
  ASSERT_EQ(symlink("/etc/passwd", link.c_str()), 0);

  Files& files = system_port().files();
  const auto open = [&] {
    std::optional<File> opened;
    in_batch(system_port(), [&] { opened = files.open("", link).value(); });
    return std::move(*opened);
  };
  const int next = next_descriptor();
  EXPECT_TRUE(open().data().empty());
  {
    File file = open();
    EXPECT_EQ(next_descriptor(), next) << "it needs none";
    EXPECT_EQ(std::string(file.data().data(), file.data().size()), passwd);
    char some[8];
    EXPECT_EQ(file.read(2, some).value_or(0), 8u);
    EXPECT_EQ(std::string(some, 8), passwd.substr(2, 8));
    EXPECT_EQ(file.read(passwd.size() - 3, some).value_or(0), 3u);
    EXPECT_EQ(file.read(passwd.size(), some).value_or(9), 0u);
    EXPECT_EQ(files.open("", link)->data().size(), passwd.size()) << "also outside a batch";

    unlink(link.c_str());
    EXPECT_EQ(symlink("/etc/group", link.c_str()), 0);
    EXPECT_EQ(open().info().size, group.size()) << "seen at once";
    File other = open();
    EXPECT_EQ(std::string(other.data().data(), other.data().size()), group);
    EXPECT_EQ(std::string(file.data().data(), file.data().size()), passwd);
    unlink(link.c_str());
    in_batch(system_port(), [&] { EXPECT_EQ(files.open("", link).error(), Error::not_found); });
  }
  EXPECT_EQ(next_descriptor(), next);
  rmdir(folder);
}

}  // namespace
}  // namespace microdot_test
