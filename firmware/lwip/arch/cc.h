#ifndef MICRODOT_ARCH_CC_H
#define MICRODOT_ARCH_CC_H
#define LWIP_NO_STDINT_H 0
#define LWIP_PLATFORM_DIAG(x)
#define LWIP_PLATFORM_ASSERT(x) firmware_assert(x)
#define LWIP_RAND() firmware_rand()
#ifdef __cplusplus
extern "C" {
#endif
void firmware_assert(const char* text);
unsigned firmware_rand(void);
#ifdef __cplusplus
}
#endif
#endif
