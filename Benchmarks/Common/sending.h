/* Messages to the kernel as the router sends them. SPDX-License-Identifier: Apache-2.0
 *
 * Many in one sendmmsg, each of one or more segments of equal size but the last. */
#ifndef RH_BENCHMARKS_SENDING_H
#define RH_BENCHMARKS_SENDING_H

#include <netinet/udp.h>

#include "bench.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef SOL_UDP
#define SOL_UDP 17
#endif

enum { SENDING_MESSAGES = 512, SENDING_BYTES = 768 * 1024, MESSAGE_BYTES_MAX = 65507 };

/* All that waits for the next sendmmsg. */
struct sending {
    int fd;
    uint32_t count, used_bytes;
    uint64_t messages, segmented_packets, packets, bytes, calls, refused;
    uint8_t *arena; /* SENDING_BYTES and room for the message being written */
    struct mmsghdr headers[SENDING_MESSAGES];
    struct iovec vectors[SENDING_MESSAGES];
    struct sockaddr_in to[SENDING_MESSAGES];
    alignas(8) char control[SENDING_MESSAGES][CMSG_SPACE(sizeof(uint16_t))];
};

static inline struct sending *sending_make(void)
{
    struct sending *sending = calloc(1, sizeof *sending);
    bench_require(sending != NULL, "memory");
    sending->arena = aligned_alloc(64, SENDING_BYTES + 128 * 1024);
    bench_require(sending->arena != NULL, "memory");
    memset(sending->arena, 0, SENDING_BYTES + 128 * 1024);
    sending->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bench_require(sending->fd >= 0, "socket");
    int bytes = 4 << 20;
    setsockopt(sending->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    return sending;
}

static inline void sending_flush(struct sending *sending)
{
    for (uint32_t sent = 0; sent < sending->count;) {
        int done = sendmmsg(sending->fd, sending->headers + sent, sending->count - sent, 0);
        sending->calls++;
        if (done > 0) {
            sent += (uint32_t)done;
            continue;
        }
        bench_require(errno == ENOBUFS || errno == EAGAIN || errno == EIO || errno == EINVAL,
                      "sendmmsg (is there a route to 10.100.0.0/16?)");
        sending->refused++;
        sent++;
    }
    sending->count = sending->used_bytes = 0;
}

static inline uint8_t *sending_place(const struct sending *sending)
{
    return sending->arena + sending->used_bytes;
}

/* Takes the message of size bytes that was written at the place, in segments of segment_bytes. */
static inline void sending_commit(
    struct sending *sending, const struct sockaddr_in *to, size_t size, uint32_t segment_bytes)
{
    uint32_t i = sending->count++;
    uint32_t segments = (uint32_t)((size + segment_bytes - 1) / segment_bytes);
    struct msghdr *header = &sending->headers[i].msg_hdr;
    sending->to[i] = *to;
    sending->vectors[i] = (struct iovec){sending_place(sending), size};
    *header = (struct msghdr){
        .msg_name = &sending->to[i], .msg_namelen = sizeof *to,
        .msg_iov = &sending->vectors[i], .msg_iovlen = 1};
    if (segments > 1) {
        header->msg_control = sending->control[i];
        header->msg_controllen = sizeof sending->control[i];
        struct cmsghdr *control = CMSG_FIRSTHDR(header);
        control->cmsg_level = SOL_UDP;
        control->cmsg_type = UDP_SEGMENT;
        control->cmsg_len = CMSG_LEN(sizeof(uint16_t));
        memcpy(CMSG_DATA(control), &(uint16_t){(uint16_t)segment_bytes}, sizeof(uint16_t));
        sending->segmented_packets += segments;
    }
    sending->used_bytes += ((uint32_t)size + 63u) & ~63u;
    sending->packets += segments;
    sending->messages++;
    sending->bytes += size;
    if (sending->count == SENDING_MESSAGES || sending->used_bytes >= SENDING_BYTES)
        sending_flush(sending);
}

#endif
