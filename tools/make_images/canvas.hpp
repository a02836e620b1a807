// What every scene is painted with: colours, a seeded generator, noise and the picture itself.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <numbers>
#include <vector>

namespace make_images {

inline constexpr double kPi = std::numbers::pi;

/// A colour; each channel is 0…1 when it is written, and may be more on the way.
struct Color {
  double r = 0, g = 0, b = 0;

  friend Color operator+(Color u, Color v) { return {u.r + v.r, u.g + v.g, u.b + v.b}; }
  friend Color operator*(Color u, double k) { return {u.r * k, u.g * k, u.b * k}; }
  friend Color operator*(Color u, Color v) { return {u.r * v.r, u.g * v.g, u.b * v.b}; }
  Color& operator+=(Color c) { return *this = *this + c; }
};

/// A colour from 0xRRGGBB.
inline Color hex(std::uint32_t rgb) {
  return {((rgb >> 16) & 255) / 255.0, ((rgb >> 8) & 255) / 255.0, (rgb & 255) / 255.0};
}

inline double clamp01(double v) { return std::clamp(v, 0.0, 1.0); }
inline Color mix(Color a, Color b, double t) { return a * (1 - t) + b * t; }
inline double smooth(double from, double to, double v) {
  const double t = clamp01((v - from) / (to - from));
  return t * t * (3 - 2 * t);
}

/// Colours at equal distances; `at(0)` is the first, `at(1)` the last, between them it blends.
struct Gradient {
  std::vector<Color> stops;

  Color at(double t) const {
    const double place = clamp01(t) * static_cast<double>(stops.size() - 1);
    const auto left = std::min(static_cast<std::size_t>(place), stops.size() - 2);
    return mix(stops[left], stops[left + 1], smooth(0, 1, place - static_cast<double>(left)));
  }
  /// The same, there and back again, for any t.
  Color wave(double t) const { return at(std::abs(std::remainder(t, 2.0))); }
};

/// SplitMix64: the same seed gives the same picture.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  double between(double low, double high) { return low + (high - low) * unit(); }

 private:
  std::uint64_t state_;
};

/// A number in [0, 1) that depends only on a grid point and the seed.
inline double hash(std::int64_t x, std::int64_t y, std::uint64_t seed) {
  const auto mixed =
      static_cast<std::uint64_t>(x) * 0x8da6b343u ^ static_cast<std::uint64_t>(y) * 0xd8163841u;
  return Random(mixed ^ (seed * 0xcb1ab31fu)).unit();
}

/// Gradient noise, about −1…1, smooth, with features of size 1.
inline double noise(double x, double y, std::uint64_t seed) {
  const double fx = std::floor(x), fy = std::floor(y);
  const auto ix = static_cast<std::int64_t>(fx), iy = static_cast<std::int64_t>(fy);
  const double dx = x - fx, dy = y - fy;
  const auto corner = [&](int cx, int cy) {
    const double angle = 2 * kPi * hash(ix + cx, iy + cy, seed);
    return std::cos(angle) * (dx - cx) + std::sin(angle) * (dy - cy);
  };
  const auto fade = [](double t) { return t * t * t * (t * (t * 6 - 15) + 10); };
  const double top = std::lerp(corner(0, 0), corner(1, 0), fade(dx));
  const double bottom = std::lerp(corner(0, 1), corner(1, 1), fade(dx));
  return 1.5 * std::lerp(top, bottom, fade(dy));
}

/// Octaves of noise: clouds.
inline double clouds(double x, double y, int octaves, std::uint64_t seed) {
  double sum = 0, gain = 0.5;
  for (int i = 0; i < octaves; ++i, gain *= 0.5) {
    sum += gain * noise(x, y, seed + static_cast<std::uint64_t>(i));
    const double turned = 0.8 * x - 0.6 * y;
    y = 2.03 * (0.6 * x + 0.8 * y);
    x = 2.03 * turned;
  }
  return sum;
}

/// Octaves of folded noise, 0…1: mountains.
inline double crests(double x, double y, int octaves, std::uint64_t seed) {
  double sum = 0, gain = 0.5, weight = 1;
  for (int i = 0; i < octaves; ++i, gain *= 0.5) {
    const double fold = 1 - std::abs(noise(x, y, seed + static_cast<std::uint64_t>(i)));
    sum += gain * weight * fold * fold;
    weight = clamp01(fold * fold * 1.6);
    const double turned = 0.8 * x - 0.6 * y;
    y = 2.03 * (0.6 * x + 0.8 * y);
    x = 2.03 * turned;
  }
  return sum;
}

/// The picture: rows of colours, top row first.
struct Picture {
  static constexpr int kWidth = 640;
  static constexpr int kHeight = 480;

  std::vector<Color> pixels = std::vector<Color>(static_cast<std::size_t>(kWidth) * kHeight);

  Color& at(int x, int y) {
    return pixels[static_cast<std::size_t>(y) * kWidth + static_cast<std::size_t>(x)];
  }

  /// Colours every pixel with the mean of `shade` at grid² places in it. x is −4/3…4/3, y is −1 (bottom)…1
  /// (top).
  void paint(int grid, const std::function<Color(double x, double y)>& shade) {
    for (int py = 0; py < kHeight; ++py) {
      for (int px = 0; px < kWidth; ++px) {
        Color sum;
        for (int sub = 0; sub < grid * grid; ++sub) {
          const double x = px + (sub % grid + 0.5) / grid, y = py + (sub / grid + 0.5) / grid;
          sum += shade((x - kWidth / 2.0) / (kHeight / 2.0), (kHeight / 2.0 - y) / (kHeight / 2.0));
        }
        at(px, py) = sum * (1.0 / (grid * grid));
      }
    }
  }

  /// Adds light to the four pixels around a place in the coordinates of paint().
  void add(double x, double y, Color light) {
    const double px = x * kHeight / 2.0 + kWidth / 2.0 - 0.5, py = kHeight / 2.0 - y * kHeight / 2.0 - 0.5;
    const double fx = std::floor(px), fy = std::floor(py);
    for (int i = 0; i < 4; ++i) {
      const int ix = static_cast<int>(fx) + i % 2, iy = static_cast<int>(fy) + i / 2;
      if (ix < 0 || iy < 0 || ix >= kWidth || iy >= kHeight) continue;
      const double share_x = i % 2 != 0 ? px - fx : 1 - (px - fx),
                   share_y = i / 2 != 0 ? py - fy : 1 - (py - fy);
      at(ix, iy) += light * (share_x * share_y);
    }
  }
};

}  // namespace make_images
