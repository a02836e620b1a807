// Pictures of places. The colours run from the top of the sky to the nearest ground unless a scene says
// otherwise.
#include "scenes.hpp"

namespace make_images {
namespace {

/// Stars: at most one in each cell of a grid, few of them bright.
Color stars(double x, double y, double density, std::uint64_t seed) {
  constexpr double kCell = 0.045;
  const auto cx = static_cast<std::int64_t>(std::floor(x / kCell)),
             cy = static_cast<std::int64_t>(std::floor(y / kCell));
  Color sum;
  for (std::int64_t i = cx - 1; i <= cx + 1; ++i) {
    for (std::int64_t j = cy - 1; j <= cy + 1; ++j) {
      if (hash(i, j, seed) > density) continue;
      const double dx = x - (static_cast<double>(i) + hash(i, j, seed + 1)) * kCell;
      const double dy = y - (static_cast<double>(j) + hash(i, j, seed + 2)) * kCell;
      const double size = hash(i, j, seed + 3);
      const double light = 0.15 + 1.6 * std::pow(size, 8);
      const double radius = 0.0022 + 0.0022 * std::pow(size, 8);
      const Color tint = mix(hex(0xffd9b0), hex(0xc4d8ff), hash(i, j, seed + 4));
      sum += tint * (light * std::exp(-(dx * dx + dy * dy) / (radius * radius)));
    }
  }
  return sum;
}

double glow(double x, double y, double at_x, double at_y, double radius) {
  return std::exp(-std::hypot(x - at_x, y - at_y) / radius);
}

/// How deep (x, y) lies behind a row of fir trees that stand on `ground`; more than 0 is inside.
double firs(double x, double y, double ground, double height, std::uint64_t seed) {
  double inside = ground - y;
  const double pitch = height * 0.3;
  const auto middle = static_cast<std::int64_t>(std::floor(x / pitch));
  for (std::int64_t i = middle - 2; i <= middle + 2; ++i) {
    const double foot = (static_cast<double>(i) + hash(i, 0, seed)) * pitch;
    const double tall = height * (0.45 + 0.55 * hash(i, 1, seed));
    const double up = (y - ground) / tall;
    if (up < 0 || up > 1) continue;
    const double branch = 0.55 + 0.45 * std::abs(std::remainder(up * 7, 1.0)) * 2;
    inside = std::max(inside, tall * 0.2 * (1 - up) * branch - std::abs(x - foot));
  }
  return inside;
}

}  // namespace

void ridges(Picture& picture, std::uint64_t seed, const Gradient& colors) {
  Random random(seed);
  const double sun_x = random.between(-0.8, 0.8), sun_y = random.between(0.15, 0.45);
  const Color haze = colors.at(0.45), light = mix(haze, {1, 1, 1}, 0.65);
  constexpr int kLayers = 7;
  picture.paint(2, [&](double x, double y) {
    Color color =
        mix(colors.at(0.45), colors.at(0), smooth(-0.1, 1.1, y + 0.06 * clouds(x * 0.8, y * 4, 4, seed)));
    color = mix(color, light, 0.65 * glow(x, y, sun_x, sun_y, 0.45));
    color = mix(color, mix(light, {1, 1, 1}, 0.5), smooth(0.135, 0.125, std::hypot(x - sun_x, y - sun_y)));
    for (int i = 0; i < kLayers; ++i) {
      const double near = (i + 1.0) / kLayers;
      const double scale = 0.8 + 0.5 * near;
      const double foot = 0.28 - 1.1 * near;
      const double crest =
          foot + 0.75 * (1.1 - 0.6 * near) * (crests(x * scale + i * 7.3, i * 3.1, 7, seed + 31) - 0.35);
      const double edge = i == kLayers - 1 ? firs(x, y, crest, 0.2, seed) : crest - y;
      if (edge <= 0) continue;
      const Color rock = mix(haze, colors.at(1), std::pow(near, 0.8));
      const double mist = smooth(foot + 0.3, foot - 0.2, y) * (1 - near) * 0.75;
      color = mix(rock, mix(haze, light, 0.3), mist);
    }
    return color;
  });
}

void sea(Picture& picture, std::uint64_t seed, const Gradient& colors) {
  Random random(seed);
  const double sun_x = random.between(-0.6, 0.6), sun_y = random.between(0.08, 0.35);
  const double horizon = -0.12;
  const Color light = mix(colors.at(0.5), {1, 1, 0.95}, 0.75);
  const auto sky = [&](double x, double y) {
    Color color = mix(colors.at(0.5), colors.at(0), smooth(horizon - 0.1, 1.0, y));
    const double cover = smooth(0.02, 0.42, clouds(x * 0.9 + 4, (y + 0.4) * 3.2, 6, seed) + 0.1);
    color = mix(color, mix(colors.at(0.25), light, 0.7 * glow(x, y, sun_x, sun_y, 0.6)), cover * 0.8);
    color = mix(color, light, 0.75 * glow(x, y, sun_x, sun_y, 0.3));
    return mix(color, {1, 1, 0.97},
               smooth(0.115, 0.105, std::hypot(x - sun_x, y - sun_y)) * (1 - 0.5 * cover));
  };
  picture.paint(2, [&](double x, double y) {
    if (y > horizon) return sky(x, y);
    const double far = 0.12 / (horizon - y + 0.012);
    const double swell = clouds(x * far * 2.2 + 9, far * 9, 4, seed + 50);
    const double calm = smooth(0, 0.5, horizon - y);
    const Color mirrored = sky(x + swell * 0.10, 2 * horizon - y + swell * (0.2 + 0.4 * calm) + 0.06);
    const double glint =
        smooth(0.1, 0.35, swell) * glow(x * (1.2 - 0.7 * calm), 0, sun_x * (1.2 - 0.7 * calm), 0, 0.13);
    const Color water = mix(mirrored * 0.85, colors.at(1), 0.25 + 0.6 * calm * (0.6 - 0.4 * swell));
    return mix(water, light, clamp01(glint * 1.1));
  });
}

void aurora(Picture& picture, std::uint64_t seed, const Gradient& colors) {
  Random random(seed);
  const double lean = random.between(-0.25, 0.25), start = random.between(0, 20);
  const double shore = -0.45;
  const auto sky = [&](double x, double y) {
    Color color = mix(hex(0x0e2038), hex(0x02040c), smooth(-0.5, 0.9, y)) + stars(x, y, 0.28, seed);
    for (int band = 0; band < 3; ++band) {
      const double fold = clouds(x * 0.9 + start + band * 5, band * 3.7, 3, seed + 9);
      const double base = -0.12 + 0.22 * band + lean * x + 0.5 * fold;
      const double above = y - base;
      if (above < -0.08) continue;
      const double rays = 0.62 + 0.5 * noise(x * 26 + fold * 30, band + above * 0.5, seed + 3);
      const double light = smooth(-0.08, 0.03, above) * std::exp(-above * (2.6 + band)) * rays;
      color += colors.at(0.1 + clamp01(above * 1.3) * 0.9) * (light * (0.95 - 0.2 * band));
    }
    return color;
  };
  picture.paint(2, [&](double x, double y) {
    const double hills =
        shore + 0.03 +
        0.5 * (crests(x * 0.7 + start, 1, 6, seed + 5) - 0.42) * smooth(0, 1, std::abs(x) + 0.3);
    if (y > shore) {
      if (firs(x, y, shore + 0.01, 0.13, seed) > 0) return hex(0x010407);
      if (y < hills) return hex(0x060d18);
      return sky(x, y);
    }
    const double wave = 0.02 * clouds(x * 3, (shore - y) * 30, 3, seed + 7);
    const double mirrored = 2 * shore - y + wave;
    if (firs(x + wave, mirrored, shore + 0.01, 0.13, seed) > 0) return hex(0x01050a);
    return (mirrored < hills ? hex(0x050b15) : sky(x + wave, mirrored)) * 0.62 + hex(0x020a14);
  });
}

/// A height field, seen by walking each line of sight. Colours: sky, haze, low ground … high ground.
void terrain(Picture& picture, std::uint64_t seed, const Gradient& colors) {
  const auto height = [&](double x, double z, int octaves) {
    const double wide = clouds(x * 0.22, z * 0.22, 2, seed + 80);
    return 2.6 * crests(x * 0.3, z * 0.3, octaves, seed) * smooth(-0.35, 0.3, wide) - 0.35;
  };
  const double sun_x = 0.66, sun_y = 0.5, sun_z = 0.35;
  const Color sky_top = colors.at(0), haze = colors.at(0.25), sunlight{1.25, 1.1, 0.9},
              shade{0.34, 0.40, 0.55};
  picture.paint(2, [&](double x, double y) {
    const double eye = 1.75;
    double dir_x = x * 0.62, dir_y = y * 0.62 - 0.2, dir_z = 1;
    const double length = std::sqrt(dir_x * dir_x + dir_y * dir_y + 1);
    dir_x /= length, dir_y /= length, dir_z /= length;
    Color sky = mix(haze, sky_top, smooth(-0.05, 0.4, dir_y));
    sky =
        mix(sky, {1, 1, 1},
            0.75 * smooth(0.05, 0.5, clouds(dir_x / (dir_y + 0.2) * 1.2, 1.4 / (dir_y + 0.2), 5, seed + 2)) *
                smooth(0, 0.15, dir_y));
    double travelled = 0.4, before = travelled;
    for (int step = 0; step < 150 && travelled < 26; ++step) {
      const double px = dir_x * travelled, py = eye + dir_y * travelled, pz = dir_z * travelled;
      const double clear = py - std::max(height(px, pz, 6), 0.0);
      if (clear < 0.003 * travelled) {
        double low = before, high = travelled;
        for (int i = 0; i < 6; ++i) {
          const double half = (low + high) / 2;
          (eye + dir_y * half > std::max(height(dir_x * half, dir_z * half, 6), 0.0) ? low : high) = half;
        }
        const double hx = dir_x * high, hz = dir_z * high, ground = height(hx, hz, 8);
        const double fog = 1 - std::exp(-high * high * 0.0042);
        if (ground <= 0) {
          const double ripple = 0.06 * clouds(hx * 6, hz * 14, 3, seed + 6);
          const Color lake = mix(colors.at(0.38), haze, 0.35 + ripple * 3 + 0.3 * clamp01(high / 14));
          return mix(lake, haze, fog);
        }
        const double gap = 0.012 + 0.002 * high;
        double nx = ground - height(hx + gap, hz, 8), nz = ground - height(hx, hz + gap, 8), ny = gap;
        const double norm = std::sqrt(nx * nx + ny * ny + nz * nz);
        nx /= norm, ny /= norm, nz /= norm;
        double lit = std::max(0.0, nx * sun_x + ny * sun_y - nz * sun_z);
        for (double far = 0.1; far < 1.6 && lit > 0; far += 0.15) {
          if (height(hx + sun_x * far, hz - sun_z * far, 4) > ground + sun_y * far + 0.03) lit *= 0.55;
        }
        const double band = clamp01(ground / 1.7 + 0.12 * clouds(hx * 4, hz * 4, 4, seed + 4));
        Color rock = colors.at(0.5 + 0.38 * band);
        rock = mix(rock, colors.at(1), smooth(0.42, 0.62, band) * smooth(0.45, 0.75, ny));
        return mix(rock * (sunlight * (lit * 1.25) + shade * (0.5 + 0.5 * ny)), haze, fog);
      }
      before = travelled;
      travelled += std::max(0.02, clear * 0.42);
    }
    return sky;
  });
}

/// A globe under its star; two of three have rings. Colours: the bands of its surface.
void planet(Picture& picture, std::uint64_t seed, const Gradient& colors) {
  Random random(seed);
  const double at_x = random.between(-0.35, 0.35), at_y = random.between(-0.12, 0.12),
               radius = random.between(0.48, 0.6);
  const double tilt = random.between(-0.5, 0.5);
  const bool ringed = seed % 3 != 0, gas = seed % 2 == 0;
  const double sun_x = 0.62, sun_y = 0.42, sun_z = 0.66;
  picture.paint(2, [&](double x, double y) {
    const double haze = clouds(x * 0.8, y * 0.8, 5, seed + 11);
    Color color = hex(0x04050c) + colors.at(0.6) * (0.16 * smooth(-0.1, 0.6, haze)) + stars(x, y, 0.34, seed);
    const double dx = (x - at_x) / radius, dy = (y - at_y) / radius;
    const double u = dx * std::cos(tilt) + dy * std::sin(tilt), v = dy * std::cos(tilt) - dx * std::sin(tilt);
    const double distance = dx * dx + dy * dy;
    color += colors.at(0.75) * (0.4 * std::exp(-9 * std::max(0.0, std::sqrt(distance) - 1)) *
                                clamp01(dx * sun_x + dy * sun_y + 0.4));
    if (distance < 1) {
      const double w = std::sqrt(1 - distance);
      const double light = dx * sun_x + dy * sun_y + w * sun_z;
      const double lon = std::atan2(u, w), lat = std::asin(std::clamp(v, -1.0, 1.0));
      const double swirl = clouds(lon * 2.2 + static_cast<double>(seed % 17), lat * 6, 6, seed);
      const double place = gas ? lat * 1.9 + 0.35 * swirl + 0.22 * noise(3, lat * 9, seed) + 0.5
                               : 0.5 + 0.85 * clouds(lon * 1.7, lat * 2.3, 8, seed + 1) + 0.1 * swirl;
      Color ground = gas ? colors.wave(place) : colors.at(place);
      if (!gas)
        ground =
            mix(ground, {1, 1, 1}, 0.8 * smooth(0.08, 0.4, clouds(lon * 2 + swirl, lat * 4, 7, seed + 21)));
      const Color rim = colors.at(0.75) * (0.5 * std::pow(1 - w, 2.5));
      color = (ground + rim) * (std::pow(clamp01(light), 0.8) * 1.12 + 0.012);
      const double band = std::hypot(u, v / 0.28);
      if (ringed && std::abs(v + 0.28 * 0.9 * 0.5) < 0.02 && band < 1) color = color * 0.7;
    }
    if (!ringed) return color;
    const double ring = std::hypot(u, v / 0.26);
    if (ring < 1.3 || ring > 2.15 || (distance < 1 && v > 0)) return color;
    const double grain = 0.55 + 0.45 * noise(ring * 22, 1, seed + 2) + 0.2 * noise(ring * 70, 2, seed + 2);
    const double cover = clamp01(grain) * smooth(1.3, 1.36, ring) * smooth(2.15, 2.05, ring) *
                         (1 - 0.85 * smooth(0.03, 0.015, std::abs(ring - 1.82)));
    const double shadow = u < 0 && v > 0 ? smooth(0.75, 1.0, std::abs(dy * sun_x - dx * sun_y) * 1.05) : 1;
    return mix(color, mix(colors.at(0.85), {1, 1, 1}, 0.35) * (0.12 + 0.88 * shadow), cover * 0.85);
  });
}

/// Colours: the dark between the stars … the brightest gas.
void nebula(Picture& picture, std::uint64_t seed, const Gradient& colors) {
  Random random(seed);
  const double heart_x = random.between(-0.6, 0.6), heart_y = random.between(-0.4, 0.4);
  picture.paint(1, [&](double x, double y) {
    const double wx = x * 1.1 + 0.8 * clouds(x * 1.3, y * 1.3, 6, seed),
                 wy = y * 1.1 + 0.8 * clouds(x * 1.3 + 7, y * 1.3, 6, seed + 1);
    const double gas = clouds(wx, wy, 8, seed + 2), veil = crests(wx * 0.9 + 3, wy * 0.9, 7, seed + 3);
    const double heart = glow(x, y, heart_x, heart_y, 0.75);
    const double light = smooth(-0.35, 0.75, gas) * (0.45 + 0.9 * heart) + 0.35 * veil * heart;
    const double dust = smooth(0.1, 0.55, clouds(wx * 1.4 + 20, wy * 1.4, 8, seed + 4));
    const double hue = clouds(x * 0.7 + 5, y * 0.7, 3, seed + 5);
    Color color = colors.at(clamp01(light * 1.05 + 0.15 * hue)) * (1 - 0.75 * dust) * (0.5 + 0.65 * light);
    color += mix(colors.at(0.9), {1, 1, 1}, 0.6) * (0.55 * glow(x, y, heart_x, heart_y, 0.13));
    return color + stars(x, y, 0.3, seed) + stars(x * 0.41 + 8, y * 0.41, 0.1, seed + 40) * 1.6;
  });
}

}  // namespace make_images
