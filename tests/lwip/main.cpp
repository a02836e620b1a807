#include "lwip_world.hpp"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (testing::GTEST_FLAG(list_tests)) return RUN_ALL_TESTS();
  if (!microdot_test::LwipWorld::start()) {
    std::puts("[  SKIPPED ] no network namespace or no tap device: run it as root");
    return 77;
  }
  return RUN_ALL_TESTS();
}
