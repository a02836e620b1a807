/// How the Linux port tells that the system is near its end.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <ports/linux/pressure.hpp>

namespace microdot_test {
namespace {

using namespace microdot;

TEST(Pressure, OfDescriptorsRisesWhenFewAreLeft) {
  EXPECT_EQ(LinuxPressure::of_descriptors(20, 1024), Pressure::none);
  EXPECT_EQ(LinuxPressure::of_descriptors(960, 1024), Pressure::none);
  EXPECT_EQ(LinuxPressure::of_descriptors(961, 1024), Pressure::some);
  EXPECT_EQ(LinuxPressure::of_descriptors(1009, 1024), Pressure::high);
  EXPECT_EQ(LinuxPressure::of_descriptors(-1, 1024), Pressure::high);
  EXPECT_EQ(LinuxPressure::of_descriptors(6, 8), Pressure::none);
  EXPECT_EQ(LinuxPressure::of_descriptors(7, 8), Pressure::some);
  EXPECT_EQ(LinuxPressure::of_descriptors(-1, 8), Pressure::high);
}

TEST(Pressure, OfMemoryRisesWhenLittleIsAvailable) {
  EXPECT_EQ(LinuxPressure::of_memory(500, 1000), Pressure::none);
  EXPECT_EQ(LinuxPressure::of_memory(59, 1000), Pressure::some);
  EXPECT_EQ(LinuxPressure::of_memory(29, 1000), Pressure::high);
  EXPECT_EQ(LinuxPressure::of_memory(0, 0), Pressure::none);
}

class SystemFiles : public testing::Test {
 protected:
  SystemFiles() {
    char path[] = "/tmp/microdot-pressure-XXXXXX";
    folder_ = mkdtemp(path);
    meminfo_ = folder_ + "/meminfo";
    membership_ = folder_ + "/membership";
    write("meminfo", "MemTotal:       1000000 kB\nMemFree:  9 kB\nMemAvailable:   500000 kB\n");
    write("membership", "0::/\n");
  }
  ~SystemFiles() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) {
    const std::filesystem::path path = folder_ + "/" + name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  /// A control group of 1,000,000 bytes of which so many are used.
  void write_group(const std::string& path, int used) {
    write(path + "/memory.max", "1000000\n");
    write(path + "/memory.current", std::to_string(used) + "\n");
  }
  LinuxPressure make() const { return {meminfo_.c_str(), membership_.c_str(), folder_.c_str()}; }
  Pressure pressure() const { return make().at(TimePoint(Duration(1))); }

  std::string folder_;
  std::string meminfo_;
  std::string membership_;
};

TEST_F(SystemFiles, TellWhatIsAvailable) {
  EXPECT_EQ(pressure(), Pressure::none);
  write("meminfo", "MemTotal:       1000000 kB\nMemFree:  900000 kB\nMemAvailable:   50000 kB\n");
  EXPECT_EQ(pressure(), Pressure::some);
  write("meminfo", "MemTotal:       1000000 kB\nMemAvailable:   5000 kB\n");
  EXPECT_EQ(pressure(), Pressure::high);
  write("meminfo", "something else\n");
  EXPECT_EQ(pressure(), Pressure::none);
}

TEST_F(SystemFiles, OfAControlGroupCount) {
  write("memory.max", "max\n");
  write("memory.current", "999999\n");
  EXPECT_EQ(pressure(), Pressure::none);
  write("memory.max", "1000000\n");
  EXPECT_EQ(pressure(), Pressure::high);
  write(
      "memory.stat",
      "anon 5\nfile 600000\ninactive_file 200000\nactive_file 200000\nslab_reclaimable 100000\n");  // which
                                                                                                    // can be
                                                                                                    // taken
                                                                                                    // back
  EXPECT_EQ(pressure(), Pressure::none);
  write("memory.current", "1450000\n");
  EXPECT_EQ(pressure(), Pressure::some);
}

TEST_F(SystemFiles, OfTheGroupThatTheProcessIsInCount) {
  write("membership", "0::/system.slice/web.service\n");
  write_group("system.slice/web.service", 500'000);
  EXPECT_EQ(pressure(), Pressure::none);
  write_group("system.slice/web.service", 950'000);
  EXPECT_EQ(pressure(), Pressure::some);
  write_group("system.slice/other.service", 999'999);  // not its own
  EXPECT_EQ(pressure(), Pressure::some);
  write("membership", "0::/system.slice/other.service\n");
  EXPECT_EQ(pressure(), Pressure::high);
}

TEST_F(SystemFiles, OfTheGroupsAroundItCountToo) {
  write("membership", "0::/a/b/c\n");
  write("a/b/c/memory.max", "max\n");
  write_group("a", 980'000);  // b says nothing
  EXPECT_EQ(pressure(), Pressure::high);
  write_group("a", 950'000);
  EXPECT_EQ(pressure(), Pressure::some);
  write_group("a", 1000);
  EXPECT_EQ(pressure(), Pressure::none);
  write_group(".", 980'000);  // of a container: what is mounted as the root
  EXPECT_EQ(pressure(), Pressure::high);
}

TEST_F(SystemFiles, OfAGroupThatIsNotMountedHereAreThoseOfTheRoot) {
  write_group(".", 980'000);
  for (const char* path : {"/..", "/../../other", "/kubepods/not/here", "/", ""}) {
    write("membership", std::string("0::") + path + "\n");
    EXPECT_EQ(pressure(), Pressure::high) << path;
  }
  write("membership", "0::/" + std::string(2000, 'x') + "\n");
  EXPECT_EQ(pressure(), Pressure::high);
  for (const char* text : {"", "\n", "0", "0:", "::", "nothing\n", "1:name=systemd:/\n"}) {
    write("membership", text);
    EXPECT_EQ(pressure(), std::string_view(text) == "::" ? Pressure::high : Pressure::none) << text;
  }
}

TEST_F(SystemFiles, OfALongPathAreFound) {
  const std::string path = "kubepods.slice/kubepods-burstable.slice/kubepods-" + std::string(120, 'p') +
                           ".slice/cri-containerd-" + std::string(120, 'c') + ".scope";
  write("membership", "0::/" + path + "\n");
  write_group(path, 980'000);
  EXPECT_EQ(pressure(), Pressure::high);
}

TEST_F(SystemFiles, OfVersion1Count) {
  write("membership", "5:cpu,cpuacct:/other\n4:memory:/docker/one\n1:name=systemd:/docker/one\n");
  write("memory/docker/one/memory.limit_in_bytes", "1000000\n");
  write("memory/docker/one/memory.usage_in_bytes", "980000\n");
  EXPECT_EQ(pressure(), Pressure::high);
  write("memory/docker/one/memory.stat", "inactive_file 0\ntotal_inactive_file 500000\n");
  EXPECT_EQ(pressure(), Pressure::none);
  write("memory/docker/one/memory.limit_in_bytes", "9223372036854771712\n");  // none
  EXPECT_EQ(pressure(), Pressure::none);
  write("memory/memory.limit_in_bytes", "1000000\n");
  write("memory/memory.usage_in_bytes", "950000\n");
  EXPECT_EQ(pressure(), Pressure::some);
}

TEST_F(SystemFiles, AreLookedAtNowAndThen) {
  LinuxPressure pressure = make();
  EXPECT_EQ(pressure.at(TimePoint(Duration(1))), Pressure::none);
  write("meminfo", "MemTotal:       1000000 kB\nMemAvailable:   5000 kB\n");
  EXPECT_EQ(pressure.at(TimePoint(Duration(500'000))), Pressure::none);
  EXPECT_EQ(pressure.at(TimePoint(Duration(1'100'000))), Pressure::high);
}

TEST(Pressure, OfThisProcessRisesWhenItsDescriptorsAreUsedUp) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit low = before;
  low.rlim_cur = 300;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  std::vector<int> taken;
  for (int fd = dup(0); fd >= 0; fd = dup(0)) taken.push_back(fd);
  EXPECT_EQ(LinuxPressure("", "", "").at(TimePoint(Duration(1))), Pressure::high);
  for (int i = 0; i < 40; ++i) {
    close(taken.back());
    taken.pop_back();
  }
  EXPECT_EQ(LinuxPressure("", "", "").at(TimePoint(Duration(1))), Pressure::some);
  for (const int fd : taken) close(fd);
  EXPECT_EQ(LinuxPressure("", "", "").at(TimePoint(Duration(1))), Pressure::none);
  setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace
}  // namespace microdot_test
