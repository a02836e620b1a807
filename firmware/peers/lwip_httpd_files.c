/* What lwIP's httpd serves, as its makefsdata would write it: a file for which it makes the head, one that has its
   head in it, which is the fastest that it can do, and a large one. */
#include "lwip/apps/fs.h"
#include "lwip/def.h"

#define TEXT "Hello, World!\n"
#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\n"

static const unsigned char made[] = TEXT;
static const unsigned char ready[] = HEAD TEXT;

static const unsigned char large[64 * 1024] = {'0'};

const struct fsdata_file file_large[] = {{NULL, (const unsigned char*)"/files/64k.bin", large, sizeof large,
                                          FS_FILE_FLAGS_HEADER_PERSISTENT}};
const struct fsdata_file file_ready[] = {{file_large, (const unsigned char*)"/ready", ready, sizeof ready - 1,
                                          FS_FILE_FLAGS_HEADER_INCLUDED | FS_FILE_FLAGS_HEADER_PERSISTENT}};
const struct fsdata_file file_made[] = {{file_ready, (const unsigned char*)"/index.html", made, sizeof made - 1,
                                         FS_FILE_FLAGS_HEADER_PERSISTENT}};
#define FS_ROOT file_made
#define FS_NUMFILES 3
