/* The UDP socket. SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "worker/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/assert.h"
#include "worker/socket_address.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103 /* linux/udp.h; C libraries before 2.31 lack it */
#endif

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum {
    CONTROL_BYTES = CMSG_SPACE(sizeof(uint32_t)) + CMSG_SPACE(sizeof(int)),
    OVERFLOW_BYTES = 65536, /* the rest of the largest message that UDP_GRO makes */
    SEGMENT_CONTROL_BYTES = CMSG_SPACE(sizeof(uint16_t)),
    REFUSALS_MAX = 16, /* one address may have a small MTU; so many in a row mean the kernel */
};

struct rh_udp_batches {
    struct mmsghdr in[RH_RECEIVE_BATCH];
    struct iovec in_vectors[RH_RECEIVE_BATCH][2]; /* a packet buffer, and the rest */
    uint8_t *overflow;                            /* OVERFLOW_BYTES for each message */
    union rh_socket_address in_names[RH_RECEIVE_BATCH];
    alignas(struct cmsghdr) uint8_t control[RH_RECEIVE_BATCH][CONTROL_BYTES];
    struct mmsghdr out[RH_SEND_QUEUE_MESSAGES];
    struct iovec out_vectors[RH_SEND_QUEUE_MESSAGES];
    union rh_socket_address out_names[RH_SEND_QUEUE_MESSAGES];
    alignas(struct cmsghdr) uint8_t out_control[RH_SEND_QUEUE_MESSAGES][SEGMENT_CONTROL_BYTES];
};

/* Asks for a socket buffer, beyond the system's limit where the process may. Returns what it
 * got. */
static uint32_t set_buffer(int fd, int option, int force_option, uint32_t wanted_bytes)
{
    int value = wanted_bytes > INT32_MAX / 2 ? INT32_MAX / 2 : (int)wanted_bytes;
    if (value > 0 && setsockopt(fd, SOL_SOCKET, force_option, &value, sizeof value) != 0)
        setsockopt(fd, SOL_SOCKET, option, &value, sizeof value);
    int granted = 0;
    socklen_t size = sizeof granted;
    getsockopt(fd, SOL_SOCKET, option, &granted, &size);
    return (uint32_t)granted;
}

static enum rh_result bind_socket(struct rh_udp *udp, const struct rh_address *bind_to)
{
    static const uint8_t any_ip[16];
    int only_v6 = memcmp(bind_to->ip, any_ip, 16) != 0, on = 1;
    if (udp->is_v6
        && setsockopt(udp->fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof only_v6) != 0)
        return RH_SYSTEM;
    setsockopt(udp->fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
    union rh_socket_address name;
    socklen_t size = rh_socket_address_of(bind_to, udp->is_v6, &name);
    if (bind(udp->fd, &name.any, size) != 0)
        return RH_SYSTEM;
    size = sizeof name;
    if (getsockname(udp->fd, &name.any, &size) != 0)
        return RH_SYSTEM;
    udp->port = rh_socket_address_get(&name).port;
    return RH_OK;
}

static struct rh_udp_batches *init_batches(bool coalesces)
{
    struct rh_udp_batches *batches = calloc(1, sizeof *batches);
    if (batches == NULL)
        return NULL;
    batches->overflow = coalesces ? malloc((size_t)RH_RECEIVE_BATCH * OVERFLOW_BYTES) : NULL;
    if (coalesces && batches->overflow == NULL) {
        free(batches);
        return NULL;
    }
    for (uint32_t i = 0; i < RH_RECEIVE_BATCH; i++) {
        batches->in_vectors[i][0].iov_len = RH_PACKET_BYTES_MAX;
        if (coalesces)
            batches->in_vectors[i][1] = (struct iovec){
                batches->overflow + (size_t)i * OVERFLOW_BYTES, OVERFLOW_BYTES};
        batches->in[i].msg_hdr = (struct msghdr){
            .msg_name = &batches->in_names[i], .msg_iov = batches->in_vectors[i],
            .msg_iovlen = coalesces ? 2 : 1, .msg_control = batches->control[i]};
    }
    for (uint32_t i = 0; i < RH_SEND_QUEUE_MESSAGES; i++) {
        batches->out[i].msg_hdr = (struct msghdr){
            .msg_name = &batches->out_names[i], .msg_iov = &batches->out_vectors[i],
            .msg_iovlen = 1};
        *(struct cmsghdr *)batches->out_control[i] = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(uint16_t)), .cmsg_level = IPPROTO_UDP,
            .cmsg_type = UDP_SEGMENT};
    }
    return batches;
}

enum rh_result rh_udp_init(
    struct rh_udp *udp, const struct rh_address *bind_to, uint32_t buffer_bytes, bool coalesces)
{
    *udp = (struct rh_udp){.fd = -1, .is_v6 = bind_to->family == 6};
    if (bind_to->family != 4 && bind_to->family != 6)
        return RH_MALFORMED;
    int family = udp->is_v6 ? AF_INET6 : AF_INET;
    udp->fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    udp->coalesces = coalesces && udp->fd >= 0
        && setsockopt(udp->fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on) == 0;
    udp->batches = init_batches(udp->coalesces);
    if (udp->fd < 0 || udp->batches == NULL || bind_socket(udp, bind_to) != RH_OK) {
        int error = errno;
        rh_udp_deinit(udp);
        errno = error;
        return RH_SYSTEM;
    }
    udp->receive_buffer_bytes = set_buffer(udp->fd, SO_RCVBUF, SO_RCVBUFFORCE, buffer_bytes);
    udp->send_buffer_bytes = set_buffer(udp->fd, SO_SNDBUF, SO_SNDBUFFORCE, buffer_bytes);
    return RH_OK;
}

void rh_udp_deinit(struct rh_udp *udp)
{
    if (udp->fd >= 0)
        close(udp->fd);
    if (udp->batches != NULL)
        free(udp->batches->overflow);
    free(udp->batches);
    *udp = (struct rh_udp){.fd = -1};
}

/* What the kernel puts beside each message: how many datagrams it dropped so far, and the size of
 * the datagrams that it put together. */
static void read_control(
    struct rh_udp *udp, struct msghdr *message, struct rh_udp_read *read, uint16_t *segment_bytes)
{
    for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control != NULL;
         control = CMSG_NXTHDR(message, control)) {
        if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SO_RXQ_OVFL) {
            uint32_t total;
            memcpy(&total, CMSG_DATA(control), sizeof total);
            read->kernel_dropped += total - udp->kernel_dropped_last;
            udp->kernel_dropped_last = total;
        } else if (control->cmsg_level == IPPROTO_UDP && control->cmsg_type == UDP_GRO) {
            int bytes;
            memcpy(&bytes, CMSG_DATA(control), sizeof bytes);
            *segment_bytes = (uint16_t)(bytes > 0 && bytes <= UINT16_MAX ? bytes : 0);
        }
    }
}

uint32_t rh_udp_receive(struct rh_udp *udp, struct rh_udp_read *read)
{
    RH_ASSERT(read->count <= RH_RECEIVE_BATCH);
    struct rh_udp_batches *batches = udp->batches;
    read->kernel_dropped = 0;
    for (uint32_t i = 0; i < read->count; i++) {
        batches->in_vectors[i][0].iov_base = read->places[i];
        batches->in[i].msg_hdr.msg_namelen = sizeof batches->in_names[i];
        batches->in[i].msg_hdr.msg_controllen = CONTROL_BYTES;
    }
    int received;
    do
        received = recvmmsg(udp->fd, batches->in, read->count, MSG_DONTWAIT, NULL);
    while (received < 0 && errno == EINTR);
    if (received <= 0)
        return 0; /* nothing waits; an ICMP error for a peer that left is read off by this too */
    for (int i = 0; i < received; i++) {
        struct msghdr *message = &batches->in[i].msg_hdr;
        uint32_t size = batches->in[i].msg_len;
        uint16_t segment_bytes = 0;
        read_control(udp, message, read, &segment_bytes);
        if (segment_bytes == 0 || segment_bytes > size)
            segment_bytes = (uint16_t)(size < UINT16_MAX ? size : UINT16_MAX);
        read->from[i] = rh_socket_address_get(&batches->in_names[i]);
        bool usable = read->from[i].family != 0 && !(message->msg_flags & MSG_TRUNC)
            && segment_bytes <= RH_PACKET_BYTES_MAX;
        read->sizes[i] = usable ? size : 0;
        read->segment_bytes[i] = usable ? segment_bytes : 0;
    }
    return (uint32_t)received;
}

uint16_t rh_udp_copy_part(
    const struct rh_udp *udp, const struct rh_udp_read *read, uint32_t message, uint32_t part,
    uint8_t out[RH_PACKET_BYTES_MAX])
{
    uint32_t from = part * read->segment_bytes[message];
    if (from >= read->sizes[message])
        return 0;
    uint32_t left = read->sizes[message] - from;
    uint32_t size = left < read->segment_bytes[message] ? left : read->segment_bytes[message];
    const uint8_t *rest = udp->batches->in_vectors[message][1].iov_base;
    uint32_t copied = 0;
    if (from < RH_PACKET_BYTES_MAX) {
        copied = RH_PACKET_BYTES_MAX - from < size ? RH_PACKET_BYTES_MAX - from : size;
        memcpy(out, read->places[message] + from, copied);
    }
    if (copied < size)
        memcpy(out + copied, rest + from + copied - RH_PACKET_BYTES_MAX, size - copied);
    return (uint16_t)size;
}

/* ---- Sending --------------------------------------------------------------------------------- */

static void prepare_messages(struct rh_udp *udp, const struct rh_sendqueue *queue)
{
    struct rh_udp_batches *batches = udp->batches;
    for (uint32_t i = queue->sent; i < queue->count; i++) {
        const struct rh_sendqueue_entry *entry = &queue->entries[i];
        struct msghdr *message = &batches->out[i].msg_hdr;
        batches->out_vectors[i] = (struct iovec){queue->arena + entry->offset, entry->size};
        message->msg_namelen = rh_socket_address_of(&entry->to, udp->is_v6, &batches->out_names[i]);
        message->msg_control = NULL;
        message->msg_controllen = 0;
        if (entry->segments == 1)
            continue;
        message->msg_control = batches->out_control[i];
        message->msg_controllen = SEGMENT_CONTROL_BYTES;
        memcpy(CMSG_DATA((struct cmsghdr *)batches->out_control[i]), &entry->segment_bytes,
               sizeof entry->segment_bytes);
    }
}

static void count_sent(
    struct rh_udp_sent *sent, const struct rh_sendqueue_entry *entry, bool is_segmented)
{
    sent->packets += entry->segments;
    sent->bytes += entry->size;
    sent->messages += is_segmented ? 1 : entry->segments;
    if (is_segmented && entry->segments > 1) {
        sent->segmented_messages++;
        sent->segmented_packets += entry->segments;
    }
}

/* Sends a message of several segments datagram by datagram. Returns false when the kernel took no
 * more; the segments sent by then are taken off the entry. */
static bool send_in_pieces(
    struct rh_udp *udp, struct rh_sendqueue *queue, struct rh_udp_sent *sent)
{
    struct rh_sendqueue_entry *entry = &queue->entries[queue->sent];
    union rh_socket_address name;
    socklen_t name_bytes = rh_socket_address_of(&entry->to, udp->is_v6, &name);
    while (entry->segments > 0) {
        uint32_t size = entry->segments > 1 ? entry->segment_bytes : entry->size;
        ssize_t taken = sendto(
            udp->fd, queue->arena + entry->offset, size, MSG_DONTWAIT, &name.any, name_bytes);
        sent->calls++;
        if (taken < 0 && errno == EINTR)
            continue;
        if (taken < 0 && (errno == EAGAIN || errno == ENOBUFS))
            return false;
        if (taken < 0)
            sent->errors++;
        else
            count_sent(sent, &(struct rh_sendqueue_entry){.size = size, .segments = 1}, false);
        entry->offset += size;
        entry->size -= size;
        entry->segments--;
    }
    return true;
}

/* The kernel refuses to cut: because of this address (its MTU), or always. */
static bool send_refused(struct rh_udp *udp, struct rh_sendqueue *queue, struct rh_udp_sent *sent)
{
    if (!udp->segmentation_refused && ++udp->refusals == REFUSALS_MAX)
        udp->segmentation_refused = true;
    sent->refused++;
    bool is_done = send_in_pieces(udp, queue, sent);
    queue->sent += is_done;
    return is_done;
}

/* One call's worth from queue->sent on. Returns false when the kernel took no more. */
static bool send_some(struct rh_udp *udp, struct rh_sendqueue *queue, struct rh_udp_sent *sent)
{
    const struct rh_sendqueue_entry *entry = &queue->entries[queue->sent];
    if (udp->segmentation_refused && entry->segments > 1)
        return send_refused(udp, queue, sent);
    int taken = sendmmsg(
        udp->fd, udp->batches->out + queue->sent, queue->count - queue->sent, MSG_DONTWAIT);
    sent->calls++;
    if (taken > 0) {
        uint64_t before = sent->segmented_messages;
        for (uint32_t end = queue->sent + (uint32_t)taken; queue->sent < end; queue->sent++)
            count_sent(sent, &queue->entries[queue->sent], true);
        if (sent->segmented_messages > before)
            udp->refusals = 0;
    } else if (errno == EAGAIN || errno == ENOBUFS) {
        return false;
    } else if (entry->segments > 1 && (errno == EINVAL || errno == EIO || errno == EOPNOTSUPP)) {
        return send_refused(udp, queue, sent);
    } else if (errno != EINTR) {
        sent->errors += entry->segments; /* this message alone: a wrong address, or too long */
        queue->sent++;
    }
    return true;
}

struct rh_udp_sent rh_udp_flush(struct rh_udp *udp, struct rh_sendqueue *queue, bool give_up)
{
    struct rh_udp_sent sent = {0};
    prepare_messages(udp, queue);
    udp->blocked = false;
    while (queue->sent < queue->count && !udp->blocked)
        udp->blocked = !send_some(udp, queue, &sent);
    if (udp->blocked && !give_up)
        return sent;
    for (; queue->sent < queue->count; queue->sent++)
        sent.dropped += queue->entries[queue->sent].segments;
    rh_sendqueue_clear(queue);
    return sent;
}
