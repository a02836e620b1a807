// What an image's main is given: compiled once for each image, see microdot_add_image.
#include "firmware.hpp"

namespace firmware {

static char name[] = MICRODOT_IMAGE;
char* arguments[] = {name, MICRODOT_ARGUMENTS nullptr};
int argument_count = sizeof arguments / sizeof *arguments - 1;

}  // namespace firmware
