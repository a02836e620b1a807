// A tree of directories and symbolic links in a temporary directory: whatever path is asked for, the walk
// without openat2 opens the very file that openat2 opens beneath the root, or fails for the same reason.
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "fuzz.hpp"
#include "ports/common/walk_beneath.hpp"

using namespace microdot;
using fuzz::require;

namespace {

constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

/// Removed at the end of the program.
class Tree {
 public:
  Tree() {
    char name[] = "/tmp/microdot-fuzz-XXXXXX";
    require(mkdtemp(name) != nullptr);
    base_ = name;
    namespace fs = std::filesystem;
    fs::create_directories(base_ + "/tree/a/b/c");
    fs::create_directories(base_ + "/tree/empty");
    for (const char* file : {"secret", "tree/f", "tree/a/f", "tree/a/b/f", "tree/a/b/c/f"}) {
      if (std::FILE* made = std::fopen((base_ + "/" + file).c_str(), "w")) std::fclose(made);
    }
    constexpr const char* kLinks[][2] = {{"f", "l"},
                                         {"a", "d"},
                                         {"a/b/", "s"},
                                         {"../secret", "out"},
                                         {"/etc", "abs"},
                                         {"loop", "loop"},
                                         {"..", "up"},
                                         {"a/../f", "back"},
                                         {"d/b/../../f", "x"},
                                         {".", "dot"},
                                         {"missing", "dangling"},
                                         {"a/b/../../../tree/f", "over"}};
    for (const auto& [target, link] : kLinks) fs::create_symlink(target, base_ + "/tree/" + link);
    fs::create_symlink("../../f", base_ + "/tree/a/b/l");
    fs::create_symlink("../..", base_ + "/tree/a/b/u");
    fs::create_symlink("../../../f", base_ + "/tree/a/b/o");
    root_ = open((base_ + "/tree").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    require(root_ >= 0);
  }
  ~Tree() {
    close(root_);
    std::error_code error;
    std::filesystem::remove_all(base_, error);
  }
  int root() const { return root_; }

 private:
  std::string base_;
  int root_;
};

struct Outcome {
  int error = 0;
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome outcome_of(int fd) {
  if (fd < 0) return {errno, 0, 0};
  struct stat info {};
  require(fstat(fd, &info) == 0);
  close(fd);
  return {0, info.st_dev, info.st_ino};
}

int system_open(int root, const char* path) {
  open_how how{};
  how.flags = kFlags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  for (;;) {
    const int fd = static_cast<int>(syscall(SYS_openat2, root, path, &how, sizeof how));
    if (fd >= 0 || errno != EAGAIN) return fd;  // something was renamed elsewhere meanwhile: once more
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Tree tree;
  // A few names, each of one byte, so that most inputs lead somewhere; other bytes stand for themselves.
  constexpr std::string_view kNames[] = {"a",   "b",    "c",  "f",    "l",     "d",   "s",        "out",
                                         "abs", "loop", "up", "back", "x",     "dot", "dangling", "over",
                                         "u",   "o",    "..", ".",    "empty", "/"};
  std::string path;
  for (std::size_t i = 0; i < size; ++i) {
    if (data[i] < std::size(kNames)) {
      path.append(kNames[data[i]]).append("/");
    } else {
      path += static_cast<char>(data[i]);
    }
  }
  if (size != 0 && data[size - 1] < std::size(kNames) - 1) path.pop_back();
  if (path.size() >= PATH_MAX || path.find('\0') != path.npos) return 0;  // never asked for

  const Outcome expected = outcome_of(system_open(tree.root(), path.c_str()));
  if (expected.error == ENOSYS) return 0;  // an old kernel: nothing to compare with
  const Outcome walked = outcome_of(walk_beneath(tree.root(), path.c_str(), kFlags));
  // When the kernel starts a lookup again, which it does for its own reasons, it goes on counting links.
  if (expected.error == ELOOP && path.size() >= 40) return 0;
  if (walked != expected) {
    std::fprintf(stderr, "files_fuzzer: %s: errno %d, inode %lu instead of errno %d, inode %lu\n",
                 path.c_str(), walked.error, walked.inode, expected.error, expected.inode);
    std::abort();
  }
  return 0;
}
