// Files of the Linux port, with openat2 and without it (as on old kernels and in some containers), and those
// of the simulator where they promise the same.

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <microdot/port/port.hpp>
#include <microdot/testing/sim_port.hpp>

#include "descriptors.hpp"

namespace microdot_test {
namespace {

using namespace microdot;
using namespace std::string_view_literals;

/// From here on the calling thread has no openat2: the kernel answers `number`.
bool forbid_openat2(int number) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(number)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{4, code};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/// 0: with openat2; else the error that the kernel answers to it.
class LinuxFilesTest : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    char name[] = "/tmp/microdot_files_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    base_ = name;
    root_ = base_ + "/root";
    mkdir(root_.c_str(), 0755);
    mkdir((root_ + "/sub").c_str(), 0755);
    mkdir((root_ + "/sub/deep").c_str(), 0755);
    mkdir((base_ + "/outside").c_str(), 0755);
    put(base_ + "/secret.txt", "secret");
    put(base_ + "/outside/secret.txt", "secret");
    put(root_ + "/a.txt", "hello");
    put(root_ + "/empty", "");
    put(root_ + "/sub/b.txt", "below");
    put(root_ + "/sub/deep/c.txt", "deepest");
    put(root_ + "/..dots", "dots");
    link("a.txt", "link");
    link("sub", "dirlink");
    link("sub/", "dirlink_slash");
    link("../a.txt", "sub/up");
    link("deep/../../a.txt", "sub/around");
    link("../secret.txt", "out");
    link("../outside", "outdir");
    link("sub/../../secret.txt", "out_around");
    link(base_ + "/secret.txt", "absolute");
    link(root_ + "/a.txt", "absolute_inside");
    link("loop", "loop");
    link("nowhere", "dangling");
    link("dirlink/../link", "chain");
    link("out", "chain_out");
    mkfifo((root_ + "/fifo").c_str(), 0644);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (root_ + "/socket").copy(address.sun_path, sizeof address.sun_path - 1);
    bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
    close(fd);
  }
  void TearDown() override { ASSERT_EQ(std::system(("rm -rf '" + base_ + "'").c_str()), 0); }

  static void put(const std::string& path, std::string_view content) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ASSERT_GE(fd, 0);
    ASSERT_EQ(write(fd, content.data(), content.size()), static_cast<ssize_t>(content.size()));
    close(fd);
  }
  void link(const std::string& target, const std::string& name) {
    ASSERT_EQ(symlink(target.c_str(), (root_ + "/" + name).c_str()), 0);
  }

  /// In a thread of its own, whose port knows nothing of what other kernels can do.
  void with_files(const std::function<void(Files&)>& test) {
    std::thread([&] {
      ASSERT_TRUE(GetParam() == 0 || forbid_openat2(GetParam()));
      test(system_port().files());
    }).join();
  }

  /// The same without being root, who may read everything.
  void as_nobody(const std::function<void(Files&)>& test) {
    chmod(base_.c_str(), 0755);
    with_files([&](Files& files) {
      const bool is_root = geteuid() == 0;
      // The raw call changes this thread only.
      ASSERT_TRUE(!is_root || syscall(SYS_setresuid, -1, 65534, -1) == 0);
      test(files);
      ASSERT_TRUE(!is_root || syscall(SYS_setresuid, -1, 0, -1) == 0);
    });
  }

  static std::string content(Files& files, std::string_view root, std::string_view path) {
    auto file = files.open(root, path);
    if (!file) return "(" + std::string(to_string(file.error())) + ")";
    char buffer[64];
    const auto size = file->read(0, buffer);
    EXPECT_EQ(size.value_or(0), file->info().size);
    return {buffer, *size};
  }

  std::string base_, root_;
};
INSTANTIATE_TEST_SUITE_P(Kernels, LinuxFilesTest, testing::Values(0, ENOSYS, EPERM), [](const auto& kernel) {
  return kernel.param == 0 ? "openat2" : kernel.param == ENOSYS ? "old_kernel" : "forbidden";
});

TEST_P(LinuxFilesTest, OpensWhatIsInside) {
  with_files([&](Files& files) {
    for (std::string_view path :
         {"a.txt", "./a.txt", "sub/../a.txt", "sub//./deep/../../a.txt", "link", "sub/up", "sub/around",
          "dirlink/up", "dirlink/around", "chain", "dirlink_slash/up"})
      EXPECT_EQ(content(files, root_, path), "hello") << path;
    EXPECT_EQ(content(files, root_, "sub/deep/c.txt"), "deepest");
    EXPECT_EQ(content(files, root_, "dirlink/deep/c.txt"), "deepest");
    EXPECT_EQ(content(files, root_, "..dots"), "dots");
    EXPECT_EQ(content(files, root_, "empty"), "");
    EXPECT_EQ(content(files, root_ + "/", "a.txt"), "hello");
  });
}

TEST_P(LinuxFilesTest, NothingOutsideIsReached) {
  with_files([&](Files& files) {
    for (const std::string& path :
         {std::string("../secret.txt"), std::string(".."), std::string("../root/a.txt"),
          std::string("sub/../../secret.txt"), std::string("dirlink/../../secret.txt"),
          std::string("/etc/passwd"), base_ + "/secret.txt", root_ + "/a.txt", std::string("out"),
          std::string("outdir/secret.txt"), std::string("out_around"), std::string("absolute"),
          std::string("absolute_inside"), std::string("chain_out"), std::string("/"),
          std::string("../../../../../../../../etc/passwd"), std::string("a.txt\0", 6),
          std::string("\0a.txt", 6)}) {
      const auto file = files.open(root_, path);
      EXPECT_EQ(file.error(), Error::outside_root) << path;
    }
  });
}

TEST_P(LinuxFilesTest, WhatIsNoFileSaysWhy) {
  with_files([&](Files& files) {
    for (std::string_view path : {"sub", ".", "sub/", "sub/..", "dirlink", "dirlink/", "sub/."})
      EXPECT_EQ(files.open(root_, path).error(), Error::is_directory) << path;
    for (std::string_view path : {"", "nothing", "nothing/a.txt", "a.txt/", "a.txt/b", "a.txt/..", "link/",
                                  "loop", "dangling", "loop/a"})
      EXPECT_EQ(files.open(root_, path).error(), Error::not_found) << path;
    EXPECT_EQ(files.open(root_, std::string(300, 'x')).error(), Error::not_found);
    EXPECT_EQ(files.open(root_, std::string(5000, 'x')).error(), Error::not_found);
    std::string deep;
    while (deep.size() < 4000) deep += "sub/../";
    EXPECT_EQ(content(files, root_, deep + "a.txt"), "hello");
    EXPECT_EQ(files.open(root_, "fifo").error(), Error::unsupported) << "and it did not wait for a writer";
    EXPECT_EQ(files.open(root_, "socket").error(), Error::unsupported);
    EXPECT_EQ(files.open("", "/dev/null").error(), Error::unsupported);
    EXPECT_EQ(files.open(base_ + "/none", "a.txt").error(), Error::not_found);
    EXPECT_EQ(files.open(root_ + "/a.txt", "a.txt").error(), Error::not_found);
  });
}

TEST_P(LinuxFilesTest, AnEmptyRootTakesThePathAsItIs) {
  with_files([&](Files& files) {
    EXPECT_EQ(content(files, "", base_ + "/secret.txt"), "secret");
    EXPECT_EQ(content(files, "", root_ + "/../secret.txt"), "secret");
    EXPECT_EQ(files.open("", "").error(), Error::not_found);
  });
}

TEST_P(LinuxFilesTest, LeavesNoDescriptorBehind) {
  with_files([&](Files& files) {
    (void)files.open(root_, "a.txt");  // the root's own stays
    const int next = next_descriptor();
    const auto open_all = [&] {
      for (std::string_view path : {"a.txt", "chain", "sub/around", "out", "outdir/secret.txt", "fifo", "sub",
                                    "nothing", "loop", "sub/deep/../deep/c.txt", "sub/deep/../../../x"})
        for (int i = 0; i < 3; ++i) (void)files.open(root_, path);
      (void)files.check_root(root_);
    };
    open_all();
    EXPECT_EQ(next_descriptor(), next);
    in_batch(system_port(), open_all);
    EXPECT_EQ(next_descriptor(), next);
  });
}

TEST_P(LinuxFilesTest, WhoAsksInTheSameBatchSharesTheDescriptor) {
  with_files([&](Files& files) {
    std::optional<File> first;
    in_batch(system_port(), [&] {
      first = files.open(root_, "a.txt").value();
      const int next = next_descriptor();
      auto second = files.open(root_, "a.txt");
      EXPECT_EQ(next_descriptor(), next);
      char buffer[8];
      EXPECT_EQ(second->read(0, buffer).value_or(0), 5u);
      EXPECT_EQ(second->info().size, 5u);
      EXPECT_EQ(content(files, root_, "sub/b.txt"), "below") << "a name of its own";
    });
    char buffer[8];
    EXPECT_EQ(first->read(0, buffer).value_or(0), 5u) << "who has it open keeps it";
    in_batch(system_port(), [&] {
      EXPECT_NE(files.open(root_, "a.txt")->handle(), first->handle()) << "a later batch opens it anew";
    });
  });
}

TEST_P(LinuxFilesTest, OutsideABatchNothingIsKept) {
  with_files([&](Files& files) {
    (void)files.open(root_, "a.txt");  // the root's own stays
    const int next = next_descriptor();
    EXPECT_EQ(content(files, root_, "sub/b.txt"), "below");
    EXPECT_EQ(next_descriptor(), next) << "a thread without a loop, and the TestClient, poll nothing";
  });
}

TEST_P(LinuxFilesTest, WhatIsKeptMakesRoomWhereDescriptorsRunOut) {
  for (int i = 0; i < 20; ++i) put(root_ + "/" + std::to_string(i), "number " + std::to_string(i));
  with_files([&](Files& files) {
    (void)files.open(root_, "a.txt");  // the root's own stays
    in_batch(system_port(), [&] {
      const DescriptorsLeft left(2);
      for (int i = 0; i < 20; ++i)
        EXPECT_EQ(content(files, root_, std::to_string(i)), "number " + std::to_string(i));
    });
  });
}

TEST_P(LinuxFilesTest, WhatChangesWithinABatchIsSeen) {
  with_files([&](Files& files) {
    const std::string path = root_ + "/a.txt";
    const auto open = [&] { return content(files, root_, "a.txt"); };
    in_batch(system_port(), [&] {
      EXPECT_EQ(open(), "hello");
      put(path, "rewritten");
      EXPECT_EQ(open(), "rewritten");
      put(path, "same size");
      EXPECT_EQ(open(), "same size");
      put(root_ + "/new", "other");
      EXPECT_EQ(rename((root_ + "/new").c_str(), path.c_str()), 0);
      EXPECT_EQ(open(), "other");
      unlink(path.c_str());
      EXPECT_EQ(open(), "(not found)");
      link("../secret.txt", "a.txt");
      EXPECT_EQ(files.open(root_, "a.txt").error(), Error::outside_root);
      EXPECT_EQ(content(files, root_, "link"), "(outside the root directory)");
    });
  });
}

TEST_P(LinuxFilesTest, MoreFilesThanABatchShares) {
  with_files([&](Files& files) {
    for (int i = 0; i < 40; ++i) put(root_ + "/" + std::to_string(i), "number " + std::to_string(i));
    put(root_ + "/" + std::string(200, 'n'), "a long name");
    std::vector<File> open;
    for (int round = 0; round < 2; ++round) {
      in_batch(system_port(), [&] {
        for (int i = 0; i < 40; ++i) {
          auto file = files.open(root_, std::to_string(i));
          ASSERT_TRUE(file);
          if (i % 3 == 0) open.push_back(std::move(*file));
          EXPECT_EQ(content(files, root_, std::to_string(i)), "number " + std::to_string(i));
        }
        EXPECT_EQ(content(files, root_, std::string(200, 'n')), "a long name");
      });
    }
    for (std::size_t i = 0; i < open.size(); ++i) {
      char buffer[16];
      const std::string wanted = "number " + std::to_string(i % (open.size() / 2) * 3);
      EXPECT_EQ(std::string(buffer, open[i].read(0, buffer).value_or(0)), wanted);
    }
  });
}

TEST_P(LinuxFilesTest, ARootThatIsReplacedIsFound) {
  with_files([&](Files& files) {
    EXPECT_EQ(content(files, root_, "a.txt"), "hello");
    ASSERT_EQ(rename(root_.c_str(), (base_ + "/old").c_str()), 0);
    mkdir(root_.c_str(), 0755);
    put(root_ + "/new.txt", "new");
    EXPECT_EQ(content(files, root_, "new.txt"), "new") << "although the old root was open";
  });
}

TEST_P(LinuxFilesTest, ChecksRoots) {
  with_files([&](Files& files) {
    EXPECT_TRUE(files.check_root(root_));
    EXPECT_EQ(files.check_root(base_ + "/none").error(), Error::not_found);
    EXPECT_EQ(files.check_root(root_ + "/a.txt").error(), Error::not_found);
    EXPECT_EQ(files.check_root("").error(), Error::not_found);
    EXPECT_EQ(files.check_root("a\0b"sv).error(), Error::outside_root);
  });
}

TEST_P(LinuxFilesTest, ReadsAtOffsetsAndKnowsTheFile) {
  with_files([&](Files& files) {
    const timespec times[2] = {{1'600'000'000, 0}, {1'600'000'001, 250'000'000}};
    ASSERT_EQ(utimensat(AT_FDCWD, (root_ + "/a.txt").c_str(), times, 0), 0);
    auto file = files.open(root_, "a.txt");
    ASSERT_TRUE(file);
    EXPECT_EQ(file->info().size, 5u);
    EXPECT_EQ(file->info().modified, 1'600'000'001);
    EXPECT_EQ(file->info().modified_nanos, 250'000'000u);
    char buffer[3];
    EXPECT_EQ(file->read(3, buffer).value_or(9), 2u);
    EXPECT_EQ(std::string(buffer, 2), "lo");
    EXPECT_EQ(file->read(5, buffer).value_or(9), 0u);
    EXPECT_EQ(file->read(500, buffer).value_or(9), 0u);
    File moved = std::move(*file);
    EXPECT_TRUE(moved);
    EXPECT_FALSE(*file);
    EXPECT_EQ(moved.read(0, buffer).value_or(9), 3u);
  });
}

TEST_P(LinuxFilesTest, AnUnreadableFileIsRefused) {
  const std::string path = root_ + "/a.txt";
  chmod(path.c_str(), 0);
  as_nobody([&](Files& files) {
    EXPECT_EQ(files.open(root_, "a.txt").error(), Error::permission);
    EXPECT_EQ(content(files, root_, "sub/b.txt"), "below");
  });
}

TEST_P(LinuxFilesTest, AFileThatBecomesUnreadableWithinABatchIsRefused) {
  const std::string path = root_ + "/a.txt";
  as_nobody([&](Files& files) {
    in_batch(system_port(), [&] {
      EXPECT_EQ(content(files, root_, "a.txt"), "hello");
      std::thread([&] {
        syscall(SYS_setresuid, -1, getuid(), -1);  // its owner does it
        EXPECT_EQ(chmod(path.c_str(), 0), 0);
      }).join();
      EXPECT_EQ(files.open(root_, "a.txt").error(), Error::permission);
    });
  });
}

TEST(SimFiles, AnswerAsTheRealOnes) {
  SimPort sim;
  sim.add_file("static/a.txt", "hello", 77);
  sim.add_file("static/sub/b.txt", "below");
  sim.add_file("secret", "secret");
  Files& files = sim.files();
  for (std::string_view path : {"a.txt", "./a.txt", "sub/../a.txt", "sub//../a.txt"})
    EXPECT_TRUE(files.open("static", path)) << path;
  for (std::string_view path : {"../secret"sv, ".."sv, "/secret"sv, "sub/../../secret"sv, "a.txt\0"sv, "/"sv})
    EXPECT_EQ(files.open("static", path).error(), Error::outside_root) << path;
  for (std::string_view path : {"sub", ".", "sub/"})
    EXPECT_EQ(files.open("static", path).error(), Error::is_directory) << path;
  for (std::string_view path : {"", "none", "a.txt/", "a.txt/b"})
    EXPECT_EQ(files.open("static", path).error(), Error::not_found) << path;
  EXPECT_TRUE(files.check_root("static"));
  EXPECT_TRUE(files.check_root("static/sub"));
  EXPECT_FALSE(files.check_root("none"));
  EXPECT_FALSE(files.check_root("stat"));
  EXPECT_EQ(sim.open_files(), 0u);
  {
    auto file = files.open("static", "a.txt");
    EXPECT_EQ(sim.open_files(), 1u);
    EXPECT_EQ(file->info().modified, 77);
    EXPECT_TRUE(file->data().empty());
    char buffer[10];
    EXPECT_EQ(file->read(1, buffer).value_or(0), 4u);
    EXPECT_EQ(std::string(buffer, 4), "ello");
    sim.add_file("static/a.txt", "replaced");
    EXPECT_EQ(file->read(0, buffer).value_or(0), 5u) << "who has it open keeps the old one";
    EXPECT_EQ(files.open("static", "a.txt")->info().size, 8u);
  }
  EXPECT_EQ(sim.open_files(), 0u);
  static constexpr std::string_view kFlash = "in flash";
  sim.add_file("f", kFlash, 0, true);
  EXPECT_EQ(files.open("", "f")->data().data(), kFlash.data());
}

TEST(SimFiles, PassThroughFindsRealOnes) {
  SimPort sim({.files = &system_port().files()});
  sim.add_file("mine", "x");
  EXPECT_TRUE(sim.files().open("", "mine"));
  EXPECT_TRUE(sim.files().open("/etc", "passwd"));
  EXPECT_EQ(sim.files().open("/etc", "../etc/passwd").error(), Error::outside_root);
  EXPECT_TRUE(sim.files().check_root("/etc"));
}

}  // namespace
}  // namespace microdot_test
