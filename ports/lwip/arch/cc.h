/* What lwIP asks of the compiler and the system (its arch/cc.h); plain C. */
#ifndef MICRODOT_LWIP_ARCH_CC_H
#define MICRODOT_LWIP_ARCH_CC_H

#include <stdint.h>
#include <sys/types.h> /* ssize_t */

#ifdef __cplusplus
extern "C" {
#endif
/* From the board's entropy. */
uint32_t microdot_lwip_random(void);
struct pbuf;
/* Before lwIP looks at a packet of IPv4; always 0: it goes on. */
int microdot_lwip_take_packet(struct pbuf* packet);
/* The Internet checksum of bytes at any address, not inverted. */
uint16_t microdot_lwip_checksum(const void* data, int length);
/* Writes the message into the board's log and ends the program. */
void microdot_lwip_assert(const char* message);
#ifdef __cplusplus
}
#endif

#define LWIP_NO_UNISTD_H 1
#define LWIP_TIMEVAL_PRIVATE 0
#define LWIP_DONT_PROVIDE_BYTEORDER_FUNCTIONS /* htonl and the like are the system's, where there is one */
#define LWIP_PLATFORM_DIAG(arguments)
#define LWIP_PLATFORM_ASSERT(message) microdot_lwip_assert(message)
#define LWIP_RAND() microdot_lwip_random()
#define LWIP_CHKSUM microdot_lwip_checksum

#endif
