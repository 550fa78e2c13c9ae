/* Datagrams on their way to the kernel. SPDX-License-Identifier: Apache-2.0
 *
 * Runs of equal size go in one UDP_SEGMENT message, all messages of a socket in one sendmmsg. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "loop.h"
#include "wire/assert.h"
#include "worker/socket_address.h"

enum { SEGMENTS_MAX = 64, RUN_BYTES_MAX = 65000 };

struct messages {
    struct mmsghdr headers[RH_LOAD_OUTBOX_DATAGRAMS];
    struct iovec vectors[RH_LOAD_OUTBOX_DATAGRAMS];
    uint32_t datagrams[RH_LOAD_OUTBOX_DATAGRAMS]; /* in each */
    alignas(struct cmsghdr) uint8_t control[RH_LOAD_OUTBOX_DATAGRAMS][CMSG_SPACE(2)];
    uint32_t count;
};

/* How many datagrams from first on are of one size, but for a shorter last one. */
static uint32_t run_length(const struct rh_load_outbox *outbox, uint32_t first)
{
    uint32_t size = outbox->sizes[first], bytes = size, end = first + 1;
    while (end < outbox->count && end - first < SEGMENTS_MAX && outbox->sizes[end] <= size
           && bytes + outbox->sizes[end] <= RUN_BYTES_MAX) {
        bytes += outbox->sizes[end];
        if (outbox->sizes[end++] < size)
            break;
    }
    return end - first;
}

static void add_message(
    const struct rh_load_outbox *outbox, struct messages *messages, uint32_t first,
    uint32_t length)
{
    uint32_t place = messages->count++, last = first + length - 1;
    messages->vectors[place] = (struct iovec){
        outbox->arena + outbox->offsets[first],
        outbox->offsets[last] + outbox->sizes[last] - outbox->offsets[first]};
    messages->datagrams[place] = length;
    struct msghdr *header = &messages->headers[place].msg_hdr;
    *header = (struct msghdr){.msg_iov = &messages->vectors[place], .msg_iovlen = 1};
    if (length == 1)
        return;
    header->msg_control = messages->control[place];
    header->msg_controllen = CMSG_SPACE(sizeof(uint16_t));
    struct cmsghdr *control = CMSG_FIRSTHDR(header);
    *control = (struct cmsghdr){
        .cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof(uint16_t))};
    memcpy(CMSG_DATA(control), &outbox->sizes[first], sizeof(uint16_t));
}

static void count_errors(struct rh_load_loop *loop, uint32_t datagrams, bool would_block)
{
    loop->outbox.endpoint->report.send_errors += datagrams;
    if (would_block)
        loop->totals.send_would_block += datagrams;
    else
        loop->totals.send_errors += datagrams;
}

/* Sends prepared messages. Returns how many datagrams are done with: less than all when the kernel
 * refused UDP_SEGMENT. */
static uint32_t send_messages(struct rh_load_loop *loop, struct messages *messages)
{
    uint32_t next = 0, done = 0;
    int fd = loop->outbox.endpoint->fd;
    while (next < messages->count) {
        int taken = sendmmsg(fd, messages->headers + next, messages->count - next, MSG_DONTWAIT);
        if (taken > 0) {
            loop->totals.sent_messages += (uint32_t)taken;
            loop->outbox.endpoint->report.sent_messages += (uint32_t)taken;
            for (uint32_t end = next + (uint32_t)taken; next < end; next++)
                done += messages->datagrams[next];
            continue;
        }
        if (errno == EINTR || errno == ECONNREFUSED) /* the latter: an ICMP error's turn */
            continue;
        bool is_segmented = messages->headers[next].msg_hdr.msg_controllen != 0;
        if ((errno == EINVAL || errno == EIO) && is_segmented) {
            loop->totals.segmentation_on = false;
            return done;
        }
        bool would_block = errno == EAGAIN || errno == ENOBUFS;
        for (uint32_t end = would_block ? messages->count : next + 1; next < end; next++) {
            count_errors(loop, messages->datagrams[next], would_block);
            done += messages->datagrams[next];
        }
    }
    return done;
}

void rh_load_outbox_flush(struct rh_load_loop *loop)
{
    struct rh_load_outbox *outbox = &loop->outbox;
    uint32_t first = 0;
    while (first < outbox->count) { /* once; again when UDP_SEGMENT was refused */
        struct messages messages;
        messages.count = 0;
        for (uint32_t at = first; at < outbox->count;) {
            uint32_t length = loop->totals.segmentation_on ? run_length(outbox, at) : 1;
            add_message(outbox, &messages, at, length);
            at += length;
        }
        first += send_messages(loop, &messages);
    }
    outbox->count = 0;
    outbox->used_bytes = 0;
    outbox->endpoint = NULL;
}

uint8_t *rh_load_outbox_reserve(struct rh_load_loop *loop, struct rh_load_endpoint *endpoint)
{
    struct rh_load_outbox *outbox = &loop->outbox;
    bool is_full = outbox->count == RH_LOAD_OUTBOX_DATAGRAMS
        || outbox->used_bytes + RH_LOAD_DATAGRAM_BYTES_MAX > RH_LOAD_OUTBOX_BYTES;
    if (outbox->count != 0 && (outbox->endpoint != endpoint || is_full))
        rh_load_outbox_flush(loop);
    outbox->endpoint = endpoint;
    return outbox->arena + outbox->used_bytes;
}

void rh_load_outbox_commit(struct rh_load_loop *loop, size_t size)
{
    struct rh_load_outbox *outbox = &loop->outbox;
    RH_ASSERT(outbox->endpoint != NULL);
    RH_ASSERT(size != 0 && size <= RH_LOAD_DATAGRAM_BYTES_MAX);
    outbox->sizes[outbox->count] = (uint16_t)size;
    outbox->offsets[outbox->count] = outbox->used_bytes;
    outbox->used_bytes += (uint32_t)size;
    outbox->count++;
}

void rh_load_send_now(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint, const struct rh_address *to,
    const uint8_t *bytes, size_t size)
{
    union rh_socket_address name;
    socklen_t name_bytes = 0;
    if (to != NULL)
        name_bytes = rh_socket_address_of(to, endpoint->is_v6, &name);
    ssize_t sent;
    uint32_t tries = 0;
    do
        sent = sendto(
            endpoint->fd, bytes, size, MSG_DONTWAIT, to != NULL ? &name.any : NULL, name_bytes);
    while (sent < 0 && (errno == EINTR || errno == ECONNREFUSED) && ++tries < 4);
    if (sent >= 0)
        return;
    endpoint->report.send_errors++;
    if (errno == EAGAIN || errno == ENOBUFS)
        loop->totals.send_would_block++;
    else
        loop->totals.send_errors++;
}
