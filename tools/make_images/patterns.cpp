// Pictures of forms.
#include <array>
#include <complex>
#include <utility>

#include "scenes.hpp"

namespace make_images {
namespace {

double sine(double at, double period, double phase) { return std::sin(2 * kPi * (at / period + phase)); }

/// Adds light along a short straight line.
void stroke(Picture& picture, double from_x, double from_y, double to_x, double to_y, Color light) {
  constexpr int kDots = 3;
  for (int i = 0; i < kDots; ++i) {
    const double t = (i + 0.5) / kDots;
    picture.add(std::lerp(from_x, to_x, t), std::lerp(from_y, to_y, t), light * (1.0 / kDots));
  }
}

}  // namespace

/// Folded cloth: noise that bends noise, lit from the side.
void silk(Picture& picture, std::uint64_t seed, const Gradient& colors) {
  struct Fold {
    double height, hue;
  };
  const auto fold = [&](double x, double y) {
    const double ax = clouds(x * 0.55, y * 0.55, 3, seed),
                 ay = clouds(x * 0.55 + 5.2, y * 0.55 + 1.3, 3, seed + 1);
    const double bx = clouds(x * 0.6 + 2.6 * ax, y * 0.6 + 2.6 * ay, 3, seed + 2);
    const double height = clouds(x * 0.5 + 2.2 * bx, y * 0.5 + 1.8 * ay, 3, seed + 3);
    return Fold{height + 0.05 * sine(height, 0.16, 0), 0.5 + 0.9 * height + 0.5 * bx};
  };
  picture.paint(2, [&](double x, double y) {
    constexpr double kGap = 0.006;
    const Fold here = fold(x, y);
    const double dx = (fold(x + kGap, y).height - here.height) / kGap,
                 dy = (fold(x, y + kGap).height - here.height) / kGap;
    const double norm = std::sqrt(dx * dx + dy * dy + 0.6);
    const double lit = (-0.55 * dx + 0.55 * dy + 0.63 * std::sqrt(0.6)) / norm;
    const double shine = std::pow(clamp01(lit), 18);
    return colors.at(clamp01(here.hue)) * (0.32 + 0.75 * clamp01(lit)) + Color{1, 1, 1} * (0.35 * shine);
  });
}

void julia(Picture& picture, std::uint64_t seed, const Gradient& colors) {
  struct View {
    std::complex<double> c;
    double zoom, turn;
  };
  static constexpr std::array<View, 4> kViews{{{{-0.8, 0.156}, 0.98, 0.0},
                                               {{-0.7269, 0.1889}, 0.8, 0.5},
                                               {{0.285, 0.01}, 0.95, 0.2},
                                               {{-0.4, 0.6}, 0.9, 0.9}}};
  const View& view = kViews[seed % kViews.size()];
  const std::complex<double> turn = std::polar(1.0 / view.zoom, view.turn);
  picture.paint(3, [&](double x, double y) {
    std::complex<double> z = std::complex<double>(x, y) * turn;
    double trap = 9;
    for (int i = 0; i < 300; ++i) {
      z = z * z + view.c;
      trap = std::min(trap, std::abs(z - std::complex<double>(0.2, 0.1)));
      if (std::norm(z) > 4096) {
        const double count = i + 1 - std::log2(std::log2(std::norm(z)) / 2);
        return colors.wave(std::sqrt(count) * 0.36) * (0.55 + 0.55 * smooth(0, 9, count));
      }
    }
    return colors.at(1) * clamp01(1.2 * trap);
  });
}

/// Leaded glass: cells around scattered points, each in one colour.
void glass(Picture& picture, std::uint64_t seed, const Gradient& colors) {
  constexpr double kCells = 4.6;
  picture.paint(3, [&](double x, double y) {
    const double px = x * kCells + 0.5 * noise(x * 1.2, y * 1.2, seed + 9), py = y * kCells;
    const auto cx = static_cast<std::int64_t>(std::floor(px)), cy = static_cast<std::int64_t>(std::floor(py));
    double first = 99, first_x = 0, first_y = 0, hue = 0, edge = 99;
    for (int pass = 0; pass < 2; ++pass) {
      for (std::int64_t i = cx - 2; i <= cx + 2; ++i) {
        for (std::int64_t j = cy - 2; j <= cy + 2; ++j) {
          const double dx = static_cast<double>(i) + 0.1 + 0.8 * hash(i, j, seed) - px;
          const double dy = static_cast<double>(j) + 0.1 + 0.8 * hash(i, j, seed + 1) - py;
          if (pass == 0 && dx * dx + dy * dy < first) {
            first = dx * dx + dy * dy, first_x = dx, first_y = dy;
            hue = clamp01(
                0.5 +
                0.55 * clouds(static_cast<double>(i) * 0.21, static_cast<double>(j) * 0.21, 2, seed + 2) +
                0.6 * (hash(i, j, seed + 3) - 0.5));
          } else if (pass == 1) {
            const double apart = std::hypot(dx - first_x, dy - first_y);
            if (apart > 1e-9) {
              edge = std::min(
                  edge, ((first_x + dx) * (dx - first_x) + (first_y + dy) * (dy - first_y)) / (2 * apart));
            }
          }
        }
      }
    }
    const double streak = 0.1 * clouds(px * 2.4 + hue * 40, py * 0.8, 4, seed + 4);
    const double light = 0.8 + 0.25 * y + streak + 0.22 * smooth(0.0, 0.5, edge);
    const Color pane = colors.at(hue) * light +
                       Color{1, 1, 1} * (0.12 * smooth(0.16, 0.07, edge) * smooth(-0.1, 0.5, first_y));
    return mix(hex(0x14120f) * (1 + 2.0 * smooth(0.03, 0.0, edge)), pane, smooth(0.045, 0.07, edge));
  });
}

/// Threads that follow a field of directions. Colours: the ground, then the threads.
void flow(Picture& picture, std::uint64_t seed, const Gradient& colors) {
  Random random(seed);
  picture.paint(1, [&](double x, double y) { return colors.at(0) * (1.0 - 0.25 * std::hypot(x, y)); });
  for (int thread = 0; thread < 2600; ++thread) {
    double x = random.between(-1.5, 1.5), y = random.between(-1.15, 1.15);
    const double hue =
        clamp01(0.6 + 0.5 * clouds(x * 0.6, y * 0.6, 2, seed + 6) + random.between(-0.12, 0.12));
    const double light = 0.25 + 0.6 * std::pow(random.unit(), 3);
    const int length = 120 + static_cast<int>(260 * random.unit());
    for (int i = 0; i < length; ++i) {
      const double angle = 3.6 * clouds(x * 0.62, y * 0.62, 2, seed) + 0.5;
      const double next_x = x + 0.005 * std::cos(angle), next_y = y + 0.005 * std::sin(angle);
      const double ends =
          smooth(0, 0.15, i / static_cast<double>(length)) * smooth(1, 0.7, i / static_cast<double>(length));
      stroke(picture, x, y, next_x, next_y,
             (colors.at(0.2 + 0.8 * hue) + colors.at(0) * -1) * (light * ends * 0.62));
      x = next_x, y = next_y;
    }
  }
}

/// Where a point goes that hops by sines (de Jong's map). Colours: nothing … most visited.
void attractor(Picture& picture, std::uint64_t seed, const Gradient& colors) {
  static constexpr std::array<std::array<double, 4>, 3> kMaps{
      {{1.4, -2.3, 2.4, -2.1}, {-2.0, -2.0, -1.2, 2.0}, {-2.7, -0.09, -0.86, -2.2}}};
  const auto& [a, b, c, d] = kMaps[seed % kMaps.size()];
  double x = 0.1, y = 0.1;
  Picture visits;
  for (int i = 0; i < 6'000'000; ++i) {
    const double next = std::sin(a * y) - std::cos(b * x);
    y = std::sin(c * x) - std::cos(d * y);
    visits.add(next * 0.62, y * 0.46, {1, std::abs(next - x), 0});
    x = next;
  }
  for (std::size_t i = 0; i < picture.pixels.size(); ++i) {
    const Color& seen = visits.pixels[i];
    const double density = std::log1p(seen.r) / std::log1p(420.0);
    const double pace = seen.r > 0 ? clamp01(seen.g / seen.r / 2) : 0;
    picture.pixels[i] = mix(colors.at(clamp01(density * 1.1)), colors.at(clamp01(density * 0.7 + pace * 0.4)),
                            0.5 * clamp01(density * 4));
  }
}

/// A map with lines of height. Colours: the deepest … the highest.
void contours(Picture& picture, std::uint64_t seed, const Gradient& colors) {
  constexpr double kSteps = 13;
  const auto height = [&](double x, double y) {
    return clamp01(0.5 + 0.8 * clouds(x * 0.75 + 3, y * 0.75, 3, seed));
  };
  picture.paint(3, [&](double x, double y) {
    constexpr double kGap = 0.002;
    const double here = height(x, y) * kSteps;
    const double slope =
        std::hypot(height(x + kGap, y) * kSteps - here, height(x, y + kGap) * kSteps - here) / kGap;
    const double level = std::floor(here), line = std::abs(here - std::round(here)) / std::max(slope, 0.4);
    const bool thick = static_cast<int>(std::round(here)) % 4 == 0;
    const Color ground = colors.at(level / (kSteps - 1));
    return line < (thick ? 0.0062 : 0.003) ? ground * 0.55 : ground;
  });
}

/// Seeds at the golden angle. Colours: the ground, then from the heart outwards.
void sunflower(Picture& picture, std::uint64_t seed, const Gradient& colors) {
  struct Seed {
    double x, y, radius;
    Color color;
  };
  std::vector<Seed> seeds;
  for (int i = 1; i < 430; ++i) {
    const double out = 0.049 * std::sqrt(i),
                 angle = i * kPi * (3 - std::sqrt(5.0)) + static_cast<double>(seed);
    const double beat = 0.5 + 0.5 * std::sin(out * 14 + 1);
    seeds.push_back({out * std::cos(angle), out * std::sin(angle), 0.014 + 0.021 * out + 0.007 * beat,
                     colors.at(0.2 + 0.8 * clamp01(out * 0.9 + 0.1 * beat))});
  }
  picture.paint(3, [&](double x, double y) {
    for (const Seed& one : seeds) {
      const double distance = std::hypot(x - one.x, y - one.y) / one.radius;
      if (distance < 0.45) return mix(one.color, {1, 1, 1}, 0.35);
      if (distance < 1) return one.color;
    }
    return colors.at(0);
  });
}

/// Truchet's tiles: quarter circles that join to ribbons. Colours: the ground, then the ribbons.
void arcs(Picture& picture, std::uint64_t seed, const Gradient& colors) {
  constexpr double kCells = 3.5;
  picture.paint(4, [&](double x, double y) {
    const double px = x * kCells + 40, py = y * kCells + 40;
    const double cx = std::floor(px), cy = std::floor(py);
    const bool turned = hash(static_cast<std::int64_t>(cx), static_cast<std::int64_t>(cy), seed) < 0.5;
    const double dx = turned ? 1 - (px - cx) : px - cx, dy = py - cy;
    const double near = std::min(std::hypot(dx, dy), std::hypot(1 - dx, 1 - dy));
    const double off = std::abs(near - 0.5);
    const double hue = 0.62 + 0.38 * std::sin(px * 0.42) * std::cos(py * 0.5);
    if (off < 0.055) return mix(colors.at(1), {1, 1, 1}, 0.7);
    if (off < 0.17) return colors.at(std::round(hue * 9) / 9);
    if (off < 0.21) return colors.at(0) * 0.55;
    return colors.at(0);
  });
}

/// Squares with a simple form in each. Colours: all of them, as they are.
void tiles(Picture& picture, std::uint64_t seed, const Gradient& colors) {
  constexpr double kCells = 3;
  picture.paint(4, [&](double x, double y) {
    const double px = (x + 4.0 / 3) * kCells, py = (y + 1) * kCells;
    const auto cx = static_cast<std::int64_t>(std::floor(px)), cy = static_cast<std::int64_t>(std::floor(py));
    const auto pick = [&](std::uint64_t what, std::size_t from) {
      return static_cast<std::size_t>(hash(cx, cy, seed + what) * static_cast<double>(from));
    };
    double u = px - static_cast<double>(cx), v = py - static_cast<double>(cy);
    for (std::size_t turns = pick(3, 4); turns > 0; --turns) u = std::exchange(v, 1 - u);
    const std::size_t count = colors.stops.size(), ground = pick(0, count);
    const Color below = colors.stops[ground], above = colors.stops[(ground + 1 + pick(1, count - 1)) % count];
    const Color third = colors.stops[(ground + 1 + pick(4, count - 1)) % count];
    const double middle = std::hypot(u - 0.5, v - 0.5), corner = std::hypot(u, v);
    switch (pick(2, 8)) {
      case 0: return corner < 1 ? (corner < 0.5 ? third : above) : below;
      case 1: return middle < 0.38 ? (middle < 0.16 ? third : above) : below;
      case 2: return u + v < 1 ? above : below;
      case 3:
        return std::hypot(u - 0.5, v) < 0.5 ? above : (std::hypot(u - 0.5, v - 1) < 0.5 ? third : below);
      case 4: return std::fmod(corner * 5, 1) < 0.5 && corner < 1 ? above : below;
      case 5: return std::hypot(u, v) < 1 && std::hypot(1 - u, 1 - v) < 1 ? above : below;
      case 6: return std::fmod(u * 3, 1) < 0.5 ? above : below;
      default: return std::abs(u - 0.5) + std::abs(v - 0.5) < 0.5 ? (middle < 0.18 ? third : above) : below;
    }
  });
}

}  // namespace make_images
