// Pictures as files.
#pragma once

#include <filesystem>

#include "canvas.hpp"

namespace make_images {

/// The size of every file, in bytes.
inline constexpr std::size_t kLeast = 8 * 1024;
inline constexpr std::size_t kMost = 60 * 1024;
inline constexpr int kSmall = 3050;

/// Write the picture and return the size of the file. They throw std::runtime_error with a reason when the
/// file cannot be written or no setting brings its size between kLeast and kMost.
std::size_t write_webp(const Picture& picture, const std::filesystem::path& path);
std::size_t write_png(const Picture& picture, const std::filesystem::path& path);

/// The same picture in 240 × 180 and at most about kSmall bytes, for devices with little flash.
std::size_t write_small_webp(const Picture& picture, const std::filesystem::path& path);

}  // namespace make_images
