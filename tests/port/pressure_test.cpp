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
    write("meminfo", "MemTotal:       1000000 kB\nMemFree:  9 kB\nMemAvailable:   500000 kB\n");
  }
  ~SystemFiles() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name) << text;
  }
  Pressure pressure() {
    const std::string meminfo = folder_ + "/meminfo";
    return LinuxPressure(meminfo.c_str(), folder_.c_str()).at(TimePoint(Duration(1)));
  }
  std::string folder_;
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
  write("memory.stat", "anon 5\nfile 600000\ninactive_file 500000\n");  // which can be taken back
  EXPECT_EQ(pressure(), Pressure::none);
  write("memory.current", "1450000\n");
  EXPECT_EQ(pressure(), Pressure::some);
}

TEST_F(SystemFiles, AreLookedAtNowAndThen) {
  const std::string meminfo = folder_ + "/meminfo";
  LinuxPressure pressure(meminfo.c_str(), folder_.c_str());
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
  EXPECT_EQ(LinuxPressure("", "").at(TimePoint(Duration(1))), Pressure::high);
  for (int i = 0; i < 40; ++i) {
    close(taken.back());
    taken.pop_back();
  }
  EXPECT_EQ(LinuxPressure("", "").at(TimePoint(Duration(1))), Pressure::some);
  for (const int fd : taken) close(fd);
  EXPECT_EQ(LinuxPressure("", "").at(TimePoint(Duration(1))), Pressure::none);
  setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace
}  // namespace microdot_test
