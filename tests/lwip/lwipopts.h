/* lwIP of the tests: a device's, and a little quicker to forget. */
#define TCP_MSL 1000
#define MEM_ALIGNMENT 8
/* Pointers have twice the size here. */
#define MEM_SIZE (16 * 1024)

#include "ports/lwip/options.h"
