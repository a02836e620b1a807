/* lwIP's options for this board, which has little memory: windows of two segments, and small buffers for frames: a
   short request takes one, the longest frame six. */
#define LWIP_DHCP 1

#define TCP_SND_BUF (2 * TCP_MSS)
#define TCP_WND (2 * TCP_MSS)
#define TCP_SND_QUEUELEN 8
#define MEMP_NUM_TCP_SEG 24
#define MEMP_NUM_PBUF 24
#define TCP_QUEUE_OOSEQ 0
#define MEM_SIZE (5 * 1024)
#define PBUF_POOL_SIZE 20
#define PBUF_POOL_BUFSIZE 288
#define MEMP_NUM_ARP_QUEUE 8
#define MQTT_OUTPUT_RINGBUF_SIZE 512
#define MQTT_REQ_MAX_IN_FLIGHT 4

#include "options.h"
