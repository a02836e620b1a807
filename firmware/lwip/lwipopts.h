#ifndef MICRODOT_LWIPOPTS_H
#define MICRODOT_LWIPOPTS_H
/* Provisional; see ports/lwip. */
#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_DHCP 1
#define LWIP_DNS 0
#define LWIP_RAW 0
#define LWIP_STATS 0
#define MEM_ALIGNMENT 4
#define MEM_SIZE (8 * 1024)
#define MEMP_NUM_TCP_PCB 12
#define MEMP_NUM_TCP_PCB_LISTEN 2
#define MEMP_NUM_TCP_SEG 32
#define MEMP_NUM_PBUF 16
#define PBUF_POOL_SIZE 12
#define PBUF_POOL_BUFSIZE 592
#define TCP_MSS 1460
#define TCP_WND (3 * TCP_MSS)
#define TCP_SND_BUF (3 * TCP_MSS)
#define TCP_OVERSIZE 0
#define LWIP_TCP_KEEPALIVE 0
#define LWIP_HTTPD_SUPPORT_11_KEEPALIVE 1
#define LWIP_HTTPD_DYNAMIC_HEADERS 1
#define HTTPD_FSDATA_FILE "lwip_httpd_files.c"
#endif
