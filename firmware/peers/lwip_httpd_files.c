/* What lwIP's httpd serves, as its makefsdata would write it. */
#include "lwip/apps/fs.h"
#include "lwip/def.h"

static const unsigned char hello[] = "/index.html\0Hello, World!\n";
#define NAME_BYTES 12

const struct fsdata_file file_hello[] = {
    {NULL, hello, hello + NAME_BYTES, sizeof hello - 1 - NAME_BYTES, 0}};
#define FS_ROOT file_hello
#define FS_NUMFILES 1
