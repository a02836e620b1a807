/* lwIP's options for a device with one Ethernet or Wi-Fi interface, in the shape of ESP-IDF's: 16 connections with
   5760 bytes each way. A board's lwipopts.h defines what it wants to be different, then includes this.

   What the port itself needs is not to be changed: it is at the end. */
#ifndef MICRODOT_LWIP_OPTIONS_H
#define MICRODOT_LWIP_OPTIONS_H

/* ---- With MQTT (microdot_add_lwip(… MQTT)): a connection and two timers more; names ---------------------------- */
#if MICRODOT_LWIP_MQTT
#ifndef MEMP_NUM_TCP_PCB
#define MEMP_NUM_TCP_PCB 17
#endif
#ifndef MEMP_NUM_SYS_TIMEOUT
#define MEMP_NUM_SYS_TIMEOUT (LWIP_NUM_SYS_TIMEOUT_INTERNAL + 2)
#endif
#define LWIP_DNS 1
#ifndef DNS_TABLE_SIZE
#define DNS_TABLE_SIZE 1
#endif
#ifndef DNS_MAX_NAME_LENGTH
#define DNS_MAX_NAME_LENGTH 64
#endif
/* the largest packet that is sent is 25 bytes shorter */
#ifndef MQTT_OUTPUT_RINGBUF_SIZE
#define MQTT_OUTPUT_RINGBUF_SIZE 1024
#endif
#ifndef MQTT_REQ_MAX_IN_FLIGHT
#define MQTT_REQ_MAX_IN_FLIGHT 8
#endif
/* what the port needs: it gives lwIP only packets of a few bytes, and lwIP looks after its timers every second */
#define MQTT_VAR_HEADER_BUFFER_LEN 16
#define MQTT_CYCLIC_TIMER_INTERVAL 1
#endif

/* ---- Connections: MEMP_NUM_TCP_PCB >= Limits::connections + 4, for newcomers and for those that are closing ---- */
#ifndef MEMP_NUM_TCP_PCB
#define MEMP_NUM_TCP_PCB 16
#endif
#ifndef MEMP_NUM_TCP_PCB_LISTEN
#define MEMP_NUM_TCP_PCB_LISTEN 2
#endif
#ifndef TCP_MSS
#define TCP_MSS 1440
#endif
#ifndef TCP_SND_BUF
#define TCP_SND_BUF (4 * TCP_MSS)
#endif
#ifndef TCP_WND
#define TCP_WND (4 * TCP_MSS)
#endif
/* pbufs under way of one connection, two for each segment */
#ifndef TCP_SND_QUEUELEN
#define TCP_SND_QUEUELEN 16
#endif
/* segments under way of all connections */
#ifndef MEMP_NUM_TCP_SEG
#define MEMP_NUM_TCP_SEG 48
#endif
/* pbufs that refer to bytes elsewhere, of all connections */
#ifndef MEMP_NUM_PBUF
#define MEMP_NUM_PBUF 48
#endif
#ifndef TCP_MSL
#define TCP_MSL 30000
#endif
#ifndef TCP_QUEUE_OOSEQ
#define TCP_QUEUE_OOSEQ 1
#endif
#ifndef TCP_OOSEQ_MAX_PBUFS
#define TCP_OOSEQ_MAX_PBUFS 4
#endif

/* ---- Memory --------------------------------------------------------------------------------------------------- */
/* headers of segments under way, and small answers until they are acknowledged */
#ifndef MEM_SIZE
#define MEM_SIZE (12 * 1024)
#endif
/* Frames that have come. With two for each connection, four for acknowledgments and those of a window no client can
   take what others need: 2 * MEMP_NUM_TCP_PCB + 4 + TCP_WND / TCP_MSS. */
#ifndef PBUF_POOL_SIZE
#define PBUF_POOL_SIZE 40
#endif
#ifndef PBUF_POOL_BUFSIZE
#define PBUF_POOL_BUFSIZE LWIP_MEM_ALIGN_SIZE(ETH_PAD_SIZE + 14 + 40 + TCP_MSS)
#endif
#ifndef MEM_ALIGNMENT
#define MEM_ALIGNMENT 4
#endif

/* ---- Protocols ------------------------------------------------------------------------------------------------ */
#ifndef LWIP_IPV6
#define LWIP_IPV6 0
#endif
#ifndef LWIP_DHCP
#define LWIP_DHCP 0
#endif
#ifndef LWIP_DNS
#define LWIP_DNS 0
#endif
#ifndef LWIP_UDP
#define LWIP_UDP (LWIP_DHCP || LWIP_DNS)
#endif
#ifndef LWIP_RAW
#define LWIP_RAW 0
#endif
#ifndef IP_REASSEMBLY
#define IP_REASSEMBLY 0
#endif
#ifndef IP_FRAG
#define IP_FRAG 0
#endif
#ifndef LWIP_BROADCAST_PING
#define LWIP_BROADCAST_PING 0
#endif
/* The first burst of SYN-ACKs to an unknown neighbour waits for its address, all of it. */
#ifndef ARP_QUEUEING
#define ARP_QUEUEING 1
#endif
#ifndef MEMP_NUM_ARP_QUEUE
#define MEMP_NUM_ARP_QUEUE MEMP_NUM_TCP_PCB
#endif
#ifndef ETH_PAD_SIZE
#define ETH_PAD_SIZE 0
#endif
#ifndef LWIP_CHECKSUM_ON_COPY
#define LWIP_CHECKSUM_ON_COPY 0
#endif
#ifndef LWIP_NETIF_HOSTNAME
#define LWIP_NETIF_HOSTNAME LWIP_DHCP
#endif

/* ---- What the port needs -------------------------------------------------------------------------------------- */
#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0 /* everything runs in the main loop */
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_COMPAT_SOCKETS 0
#define LWIP_TCP 1
#define LWIP_CALLBACK_API 1
#define LWIP_ALTCP 0
#define TCP_LISTEN_BACKLOG 1
#define TCP_OVERSIZE 0 /* nothing is added to a segment but what is referred to */
#define SO_REUSE 1     /* TIME_WAIT is no reason not to listen */
#define LWIP_NETIF_EXT_STATUS_CALLBACK 1
#define LWIP_NETIF_LINK_CALLBACK 0
/* A queue for an address that is not known yet may outlive the connection, and with it the bytes that it refers to. */
#define PBUF_NEEDS_COPY(p) (!((p)->type_internal & PBUF_TYPE_FLAG_STRUCT_DATA_CONTIGUOUS))
/* What comes in while frames are short. */
#define LWIP_HOOK_IP4_INPUT(packet, netif) microdot_lwip_take_packet(packet)
/* Numbers that nobody can guess (RFC 6528). */
#define LWIP_HOOK_TCP_ISN(local_ip, local_port, remote_ip, remote_port) microdot_lwip_random()
/* What `Port::pressure` looks at; the counters of packets cost as much again. */
#define LWIP_STATS 1
#define MEM_STATS 1
#define MEMP_STATS 1
#define SYS_STATS 0
#define LINK_STATS 0
#define ETHARP_STATS 0
#define IP_STATS 0
#define IPFRAG_STATS 0
#define ICMP_STATS 0
#define UDP_STATS 0
#define TCP_STATS 0

#endif
