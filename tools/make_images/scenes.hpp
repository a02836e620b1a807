// The pictures of the gallery.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "canvas.hpp"

namespace make_images {

/// Paints a picture; the same seed and colours give the same picture.
using Scene = void (*)(Picture& picture, std::uint64_t seed, const Gradient& colors);

void ridges(Picture& picture, std::uint64_t seed, const Gradient& colors);
void sea(Picture& picture, std::uint64_t seed, const Gradient& colors);
void aurora(Picture& picture, std::uint64_t seed, const Gradient& colors);
void terrain(Picture& picture, std::uint64_t seed, const Gradient& colors);
void planet(Picture& picture, std::uint64_t seed, const Gradient& colors);
void nebula(Picture& picture, std::uint64_t seed, const Gradient& colors);

void silk(Picture& picture, std::uint64_t seed, const Gradient& colors);
void julia(Picture& picture, std::uint64_t seed, const Gradient& colors);
void glass(Picture& picture, std::uint64_t seed, const Gradient& colors);
void flow(Picture& picture, std::uint64_t seed, const Gradient& colors);
void attractor(Picture& picture, std::uint64_t seed, const Gradient& colors);
void contours(Picture& picture, std::uint64_t seed, const Gradient& colors);
void sunflower(Picture& picture, std::uint64_t seed, const Gradient& colors);
void arcs(Picture& picture, std::uint64_t seed, const Gradient& colors);
void tiles(Picture& picture, std::uint64_t seed, const Gradient& colors);

}  // namespace make_images
