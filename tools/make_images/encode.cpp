#include "encode.hpp"

#include <png.h>
#include <webp/encode.h>

#include <fstream>
#include <memory>
#include <span>
#include <stdexcept>

namespace make_images {
namespace {

using Bytes = std::vector<std::uint8_t>;

/// 8 bits for each of red, green and blue; `step` rounds to fewer shades, which PNG packs better.
Bytes to_rgb(const Picture& picture, int step) {
  Bytes rgb;
  rgb.reserve(picture.pixels.size() * 3);
  for (const Color& color : picture.pixels) {
    for (const double channel : {color.r, color.g, color.b}) {
      const int value = static_cast<int>(std::lround(clamp01(channel) * 255 / step)) * step;
      rgb.push_back(static_cast<std::uint8_t>(std::min(value, 255)));
    }
  }
  return rgb;
}

std::size_t save(std::span<const std::uint8_t> bytes, const std::filesystem::path& path,
                 std::size_t least = kLeast, std::size_t most = kMost) {
  if (bytes.size() < least || bytes.size() > most) {
    throw std::runtime_error(path.string() + ": " + std::to_string(bytes.size()) +
                             " bytes are out of bounds");
  }
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
  return bytes.size();
}

Bytes encode_png(const Bytes& rgb) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = Picture::kWidth;
  image.height = Picture::kHeight;
  image.format = PNG_FORMAT_RGB;
  Bytes file(PNG_IMAGE_PNG_SIZE_MAX(image));
  png_alloc_size_t size = file.size();
  if (png_image_write_to_memory(&image, file.data(), &size, 0, rgb.data(), 0, nullptr) == 0) {
    throw std::runtime_error(image.message);
  }
  file.resize(size);
  return file;
}

}  // namespace

std::size_t write_webp(const Picture& picture, const std::filesystem::path& path) {
  const Bytes rgb = to_rgb(picture, 1);
  std::uint8_t* encoded = nullptr;
  std::size_t size = 0;
  // A calm picture is small at any quality; a busy one gets less of it until it fits.
  for (float quality = 86; quality > 20; quality -= 6) {
    size =
        WebPEncodeRGB(rgb.data(), Picture::kWidth, Picture::kHeight, Picture::kWidth * 3, quality, &encoded);
    const std::unique_ptr<std::uint8_t, decltype(&WebPFree)> owner(encoded, WebPFree);
    if (size != 0 && size <= kMost * 9 / 10) return save({encoded, size}, path);
  }
  throw std::runtime_error(path.string() + ": too busy a picture");
}

std::size_t write_small_webp(const Picture& picture, const std::filesystem::path& path) {
  const Bytes rgb = to_rgb(picture, 1);
  WebPConfig config;
  WebPPicture small;
  WebPMemoryWriter writer;
  if (WebPConfigPreset(&config, WEBP_PRESET_PICTURE, 80) == 0 || WebPPictureInit(&small) == 0) {
    throw std::runtime_error("another version of libwebp");
  }
  config.method = 6;
  config.pass = 10;
  config.target_size = kSmall;
  WebPMemoryWriterInit(&writer);
  small.width = Picture::kWidth;
  small.height = Picture::kHeight;
  small.writer = WebPMemoryWrite;
  small.custom_ptr = &writer;
  const bool made = WebPPictureImportRGB(&small, rgb.data(), Picture::kWidth * 3) != 0 &&
                    WebPPictureRescale(&small, 240, 180) != 0 && WebPEncode(&config, &small) != 0;
  const Bytes file(writer.mem, writer.mem + writer.size);
  WebPPictureFree(&small);
  WebPMemoryWriterClear(&writer);
  if (!made) throw std::runtime_error(path.string() + ": libwebp failed");
  return save(file, path, kSmall / 3, kSmall + kSmall / 10);
}

std::size_t write_png(const Picture& picture, const std::filesystem::path& path) {
  Bytes file;
  for (const int step : {1, 5, 15, 17, 51}) {
    file = encode_png(to_rgb(picture, step));
    if (file.size() <= kMost) break;
  }
  return save(file, path);
}

}  // namespace make_images
