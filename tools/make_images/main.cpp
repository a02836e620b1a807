// Makes the images of the gallery: make_images [--small] DIRECTORY [NUMBER…]
//
// The images are committed, and this is how they were made: a scene, a seed and colours for each.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>

#include "encode.hpp"
#include "scenes.hpp"

namespace make_images {
namespace {

enum class Format { webp, png };

struct Work {
  Format format;
  Scene scene;
  std::uint64_t seed;
  std::vector<std::uint32_t> colors;
};

const std::vector<Work>& works() {
  using enum Format;
  static const std::vector<Work> all{
      /* 01 */ {webp, ridges, 101, {0x2b3a67, 0x7a5c8e, 0xf2a07b, 0x6b4a6e, 0x1b1530}},
      /* 02 */ {webp, terrain, 202, {0x3f7fc4, 0xc9dcea, 0x2f6f86, 0x55703a, 0x7d7a4a, 0x8a8178, 0xffffff}},
      /* 03 */ {webp, silk, 303, {0x1d0b3a, 0x6a1b6e, 0xd9376e, 0xff9a56, 0xffe2a8}},
      /* 04 */ {webp, sea, 404, {0x27406e, 0xc86b6b, 0xffb56b, 0x35506e, 0x0b1c33}},
      /* 05 */ {webp, nebula, 505, {0x05040f, 0x24124a, 0x7a2a82, 0xe2577a, 0xffd6a0}},
      /* 06 */ {png, tiles, 606, {0xe4572e, 0x17bebb, 0xffc914, 0x2e282a, 0xf4efe6, 0x76b041}},
      /* 07 */ {webp, aurora, 707, {0x5dffa8, 0x2fe0a0, 0x3a8fd0, 0x8a4fd0, 0xc04fa0}},
      /* 08 */ {webp, julia, 800, {0x050a2a, 0x123f7a, 0x3fa7d6, 0xf7f3d0, 0xf79d4f}},
      /* 09 */ {webp, planet, 902, {0x6b3d2a, 0xc58b5a, 0xf0d9b0, 0xd9a066, 0x8a4f38}},
      /* 10 */ {webp, flow, 1001, {0x0a1020, 0x1f4e79, 0x2ec4b6, 0xffd166, 0xef476f}},
      /* 11 */ {webp, ridges, 1102, {0x5aa0c8, 0x9ccbd8, 0xe8f0e4, 0x5f8f8a, 0x123034}},
      /* 12 */ {webp, glass, 1203, {0x12355b, 0x1b7f79, 0xe9c46a, 0xf4733d, 0xb5174f}},
      /* 13 */ {webp, terrain, 1305, {0xe58f6a, 0xf6d0a6, 0x7a6a78, 0x8f4b2e, 0xb5673a, 0xd08a52, 0xe8b57a}},
      /* 14 */ {png, contours, 1404, {0x14476b, 0x2f7fa0, 0x9fd3c7, 0xeadfae, 0x9fb86a, 0x5f8f4f, 0x3f6b45}},
      /* 15 */ {webp, nebula, 1506, {0x03070f, 0x0b2c4a, 0x117a86, 0x6fd6b5, 0xfff3c4}},
      /* 16 */ {webp, julia, 1601, {0x1a0410, 0x7a1030, 0xe8553a, 0xffd27a, 0x3a0a3a}},
      /* 17 */ {webp, sea, 1705, {0x0d2a5c, 0x3f6fb0, 0xbfe0ee, 0x2f7fa5, 0x062a45}},
      /* 18 */ {webp, silk, 1806, {0x04222e, 0x0a5c66, 0x27a58c, 0xb8e0a0, 0xfbf7d8}},
      /* 19 */ {webp, planet, 1905, {0x0a2a66, 0x1457a8, 0x2a86c4, 0x4f8f55, 0x9a8a5a}},
      /* 20 */ {png, sunflower, 2005, {0x1f1235, 0x7a2a7a, 0xd9376e, 0xff8a3d, 0xffd23f, 0xfff3b0}},
      /* 21 */ {webp, aurora, 2108, {0x7affd0, 0x3fd0e0, 0x5f7aff, 0xb05fff, 0xff6fb5}},
      /* 22 */ {webp, attractor, 2200, {0x07070d, 0x1b2a5a, 0x3f7fd0, 0x9fe0e8, 0xffffff}},
      /* 23 */ {webp, ridges, 2307, {0x0b1030, 0x27306b, 0x6b6fb0, 0x2f3566, 0x070a1c}},
      /* 24 */ {webp, flow, 2402, {0x1c0f13, 0x7a1f3d, 0xe4572e, 0xffb347, 0xfff0c4}},
      /* 25 */ {webp, terrain, 2507, {0x20264f, 0xa884a8, 0x3f4a78, 0x3f4a4f, 0x55505f, 0x6b6070, 0xf4e4ee}},
      /* 26 */ {png, arcs, 2606, {0x13293d, 0x006494, 0x247ba0, 0x1b98e0, 0xe8f1f2}},
      /* 27 */ {webp, julia, 2702, {0x0b0b1a, 0x3a1f6b, 0x8f4fd0, 0xf0a0e0, 0xfff7ff}},
      /* 28 */ {webp, sea, 2808, {0x1a1440, 0x7a2f6b, 0xf0615a, 0x4a2a5f, 0x120a2a}},
      /* 29 */ {webp, nebula, 2907, {0x0a0508, 0x3a0f1f, 0x9a2f2f, 0xf0904a, 0xfff0c0}},
      /* 30 */ {webp, glass, 3004, {0x2b1055, 0x4f4fc4, 0x2fa8d8, 0xa8e6cf, 0xfff1a8}},
      /* 31 */ {png, contours, 3108, {0x2a1a3f, 0x5f2a5f, 0xa83f5f, 0xe0705a, 0xf7b267, 0xf9e2ae, 0xfffaf0}},
      /* 32 */ {webp, ridges, 3209, {0x8fb8c9, 0xf0c9b0, 0xf7e0c4, 0x8a7a6b, 0x2a2a24}},
      /* 33 */ {webp, planet, 3304, {0x24304f, 0x3f6f9f, 0x9fd0e8, 0xe8f4fa, 0x5f8fc0}},
      /* 34 */ {webp, aurora, 3411, {0xb0ff7a, 0x5fe08f, 0x2fa0a8, 0x2f5fb0, 0x5f3fa0}},
      /* 35 */ {webp, silk, 3507, {0x0a0f2e, 0x1f3a8f, 0x4f8fe0, 0xb8c9f7, 0xfff0e4}},
      /* 36 */ {webp, julia, 3603, {0x021a1a, 0x0a5f5a, 0x5fc09a, 0xf4f0b0, 0xd9703a}},
      /* 37 */ {webp, flow, 3703, {0xf2ead8, 0x8a9a8a, 0x3a7a7a, 0xc05a3a, 0x203040}},
      /* 38 */ {webp, attractor, 3800, {0x0f0508, 0x4a0f2a, 0xc0392b, 0xf7a04a, 0xfff4d0}},
      /* 39 */ {webp, terrain, 3911, {0x5f9fb8, 0xe4ebe0, 0x3f8f8a, 0x3f6b3a, 0x6b8f45, 0x8a9a6b, 0xd8dcc8}},
      /* 40 */ {png, tiles, 4003, {0x264653, 0x2a9d8f, 0xe9c46a, 0xf4a261, 0xe76f51, 0xfbf3e4}},
  };
  return all;
}

std::size_t make(std::size_t number, const std::filesystem::path& directory, bool small) {
  const Work& work = works().at(number - 1);
  Gradient colors;
  for (const std::uint32_t rgb : work.colors) colors.stops.push_back(hex(rgb));
  Picture picture;
  work.scene(picture, work.seed, colors);
  const bool png = work.format == Format::png && !small;
  const std::string name = (number < 10 ? "0" : "") + std::to_string(number) + (png ? ".png" : ".webp");
  const auto write = small ? write_small_webp : png ? write_png : write_webp;
  const std::size_t size = write(picture, directory / name);
  std::printf("%s %zu bytes\n", name.c_str(), size);
  return size;
}

}  // namespace
}  // namespace make_images

int main(int argc, char** argv) {
  const bool small = argc > 1 && argv[1] == std::string_view("--small");
  if (small) {
    --argc;
    ++argv;
  }
  if (argc < 2) {
    std::fprintf(stderr, "usage: make_images [--small] DIRECTORY [NUMBER...]\n");
    return 2;
  }
  try {
    std::size_t total = 0;
    for (int i = 2; i < argc; ++i) total += make_images::make(std::stoul(argv[i]), argv[1], small);
    if (argc == 2) {
      for (std::size_t i = 1; i <= make_images::works().size(); ++i)
        total += make_images::make(i, argv[1], small);
    }
    std::printf("%zu bytes in all\n", total);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_images: %s\n", error.what());
    return 1;
  }
  return 0;
}
