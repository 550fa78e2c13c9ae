/* A worker's UDP socket: batches in, batches out.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Non-blocking; recvmmsg into the caller's buffers, sendmmsg out of the send queue's arena. IPv4,
 * IPv6, or both where the socket is bound to :: (IPv4 peers then appear as family 4 all the same).
 * Owner: struct rh_worker. State: message headers for one batch each
 * way, 150 KiB, and 4 MiB of address space for what UDP_GRO puts together. */
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
    bool coalesces; /* UDP_GRO is on */
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
 * coalesces: asks for UDP_GRO, which a kernel before 5.0 does not have.
 * Returns RH_SYSTEM (errno) when anything is refused, RH_MALFORMED for a wrong family. */
enum rh_result rh_udp_init(
    struct rh_udp *udp, const struct rh_address *bind_to, uint32_t buffer_bytes, bool coalesces);
void rh_udp_deinit(struct rh_udp *udp);

/* Reads up to count messages (count <= RH_RECEIVE_BATCH) in one system call. A message is a
 * datagram, or several of one sender that the kernel put together (UDP_GRO).
 *
 * places          where each message's first RH_PACKET_BYTES_MAX bytes go
 * sizes, from     out; a size of 0 stands for an empty, cut or unusable message
 * segment_bytes   out; of each datagram of the message but the last, which may be shorter; the
 *                 message's size when it is one datagram
 * kernel_dropped  out; datagrams the kernel threw away since the last call
 * Returns how many were read; 0 when none waits. */
struct rh_udp_read {
    uint8_t **places;
    uint32_t *sizes;
    uint16_t *segment_bytes;
    struct rh_address *from;
    uint32_t count;
    uint32_t kernel_dropped;
};
uint32_t rh_udp_receive(struct rh_udp *udp, struct rh_udp_read *read);

/* Copies one datagram out of a message of several, as long as neither its place nor the socket was
 * used again. part: 0 is the first. Returns its bytes, 0 when the message has fewer datagrams. */
uint16_t rh_udp_copy_part(
    const struct rh_udp *udp, const struct rh_udp_read *read, uint32_t message, uint32_t part,
    uint8_t out[RH_PACKET_BYTES_MAX]);

/* Sends the queue. When the kernel takes no more (udp->blocked) the rest stays for the next call,
 * or is given up where give_up is set; else the queue is empty afterwards. */
struct rh_udp_sent rh_udp_flush(struct rh_udp *udp, struct rh_sendqueue *queue, bool give_up);

#endif
