/* A worker's UDP socket: batches in, batches out.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Non-blocking; recvmmsg into the caller's buffers, sendmmsg out of the send queue's arena. IPv4,
 * IPv6, or both where the socket is bound to :: (IPv4 peers then appear as family 4 all the same).
 * Owner: struct rh_worker. State: message headers for one batch each way, 90 KiB. */
#ifndef RH_WORKER_UDP_H
#define RH_WORKER_UDP_H

#include <stdbool.h>
#include <stdint.h>

#include "forward/sendqueue.h"
#include "rh_router.h"

struct rh_udp_batches; /* message headers, see udp.c */

struct rh_udp {
    int fd; /* -1: none */
    bool is_v6;
    uint16_t port;
    uint32_t kernel_dropped_last; /* SO_RXQ_OVFL as last read; wraps */
    uint32_t receive_buffer_bytes, send_buffer_bytes; /* granted */
    bool segmentation_refused; /* for good: messages go out in pieces */
    uint32_t refusals;         /* of UDP_SEGMENT since the last message that it took */
    bool blocked;              /* the kernel took no more at the last flush */
    struct rh_udp_batches *batches;
};

/* What one flush did. */
struct rh_udp_sent {
    uint64_t packets, bytes, calls, messages;
    uint64_t segmented_messages, segmented_packets; /* sent by UDP_SEGMENT */
    uint64_t refused; /* messages that had to go out in pieces */
    uint64_t dropped; /* packets given up: the kernel took no more (EAGAIN, ENOBUFS) */
    uint64_t errors;  /* packets of messages refused for any other reason */
};

/* Makes and binds the socket. buffer_bytes: wanted socket buffers, 0 for the system's own choice.
 * Returns RH_SYSTEM (errno) when anything is refused, RH_MALFORMED for a wrong family. */
enum rh_result rh_udp_init(
    struct rh_udp *udp, const struct rh_address *bind_to, uint32_t buffer_bytes);
void rh_udp_deinit(struct rh_udp *udp);

/* Reads up to count datagrams (count <= RH_RECEIVE_BATCH) in one system call, each to at most
 * RH_PACKET_BYTES_MAX bytes.
 *
 * places          where each datagram goes
 * sizes, from     out; a size of 0 stands for an empty, cut or unusable datagram
 * kernel_dropped  out; datagrams the kernel threw away since the last call
 * Returns how many were read; 0 when none waits. */
struct rh_udp_read {
    uint8_t **places;
    uint16_t *sizes;
    struct rh_address *from;
    uint32_t count;
    uint32_t kernel_dropped;
};
uint32_t rh_udp_receive(struct rh_udp *udp, struct rh_udp_read *read);

/* Sends the queue. When the kernel takes no more (udp->blocked) the rest stays for the next call,
 * or is given up where give_up is set; else the queue is empty afterwards. */
struct rh_udp_sent rh_udp_flush(struct rh_udp *udp, struct rh_sendqueue *queue, bool give_up);

#endif
