/* The UDP socket. SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "worker/udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/assert.h"

enum { CONTROL_BYTES = CMSG_SPACE(sizeof(uint32_t)) };

union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct rh_udp_batches {
    struct mmsghdr in[RH_RECEIVE_BATCH];
    struct iovec in_vectors[RH_RECEIVE_BATCH];
    union socket_address in_names[RH_RECEIVE_BATCH];
    alignas(struct cmsghdr) uint8_t control[RH_RECEIVE_BATCH][CONTROL_BYTES];
    struct mmsghdr out[RH_SEND_QUEUE_DATAGRAMS];
    struct iovec out_vectors[RH_SEND_QUEUE_DATAGRAMS];
    union socket_address out_names[RH_SEND_QUEUE_DATAGRAMS];
};

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff}; /* RFC 4291 2.5.5.2 */

static socklen_t to_socket_address(
    const struct rh_address *address, bool is_v6, union socket_address *out)
{
    if (!is_v6 && address->family == 4) { /* IPv6 on an IPv4 socket: refused by the kernel */
        out->v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(address->port)};
        memcpy(&out->v4.sin_addr, address->ip, 4);
        return sizeof out->v4;
    }
    out->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(address->port)};
    if (address->family == 4) {
        memcpy(out->v6.sin6_addr.s6_addr, mapped_prefix, 12);
        memcpy(out->v6.sin6_addr.s6_addr + 12, address->ip, 4);
    } else {
        memcpy(out->v6.sin6_addr.s6_addr, address->ip, 16);
    }
    return sizeof out->v6;
}

/* Returns family 0 for anything that is no IP address. */
static struct rh_address from_socket_address(const union socket_address *name)
{
    struct rh_address address = {0};
    if (name->any.sa_family == AF_INET) {
        address.family = 4;
        address.port = ntohs(name->v4.sin_port);
        memcpy(address.ip, &name->v4.sin_addr, 4);
    } else if (name->any.sa_family == AF_INET6) {
        const uint8_t *ip = name->v6.sin6_addr.s6_addr;
        bool mapped = memcmp(ip, mapped_prefix, 12) == 0;
        address.family = mapped ? 4 : 6;
        address.port = ntohs(name->v6.sin6_port);
        memcpy(address.ip, mapped ? ip + 12 : ip, mapped ? 4 : 16);
    }
    return address;
}

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
    union socket_address name;
    socklen_t size = to_socket_address(bind_to, udp->is_v6, &name);
    if (bind(udp->fd, &name.any, size) != 0)
        return RH_SYSTEM;
    size = sizeof name;
    if (getsockname(udp->fd, &name.any, &size) != 0)
        return RH_SYSTEM;
    udp->port = from_socket_address(&name).port;
    return RH_OK;
}

static struct rh_udp_batches *init_batches(void)
{
    struct rh_udp_batches *batches = calloc(1, sizeof *batches);
    if (batches == NULL)
        return NULL;
    for (uint32_t i = 0; i < RH_RECEIVE_BATCH; i++) {
        batches->in_vectors[i].iov_len = RH_PACKET_BYTES_MAX;
        batches->in[i].msg_hdr = (struct msghdr){
            .msg_name = &batches->in_names[i], .msg_iov = &batches->in_vectors[i],
            .msg_iovlen = 1, .msg_control = batches->control[i]};
    }
    for (uint32_t i = 0; i < RH_SEND_QUEUE_DATAGRAMS; i++)
        batches->out[i].msg_hdr = (struct msghdr){
            .msg_name = &batches->out_names[i], .msg_iov = &batches->out_vectors[i],
            .msg_iovlen = 1};
    return batches;
}

enum rh_result rh_udp_init(
    struct rh_udp *udp, const struct rh_address *bind_to, uint32_t buffer_bytes)
{
    *udp = (struct rh_udp){.fd = -1, .is_v6 = bind_to->family == 6};
    if (bind_to->family != 4 && bind_to->family != 6)
        return RH_MALFORMED;
    int family = udp->is_v6 ? AF_INET6 : AF_INET;
    udp->fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    udp->batches = init_batches();
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
    free(udp->batches);
    *udp = (struct rh_udp){.fd = -1};
}

/* Reads the counter of dropped datagrams that the kernel puts beside each datagram. */
static void read_control(struct rh_udp *udp, struct msghdr *message, struct rh_udp_read *read)
{
    for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control != NULL;
         control = CMSG_NXTHDR(message, control)) {
        if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SO_RXQ_OVFL)
            continue;
        uint32_t total;
        memcpy(&total, CMSG_DATA(control), sizeof total);
        read->kernel_dropped += total - udp->kernel_dropped_last;
        udp->kernel_dropped_last = total;
    }
}

uint32_t rh_udp_receive(struct rh_udp *udp, struct rh_udp_read *read)
{
    RH_ASSERT(read->count <= RH_RECEIVE_BATCH);
    struct rh_udp_batches *batches = udp->batches;
    read->kernel_dropped = 0;
    for (uint32_t i = 0; i < read->count; i++) {
        batches->in_vectors[i].iov_base = read->places[i];
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
        read->from[i] = from_socket_address(&batches->in_names[i]);
        bool usable = read->from[i].family != 0 && !(message->msg_flags & MSG_TRUNC);
        read->sizes[i] = usable ? (uint16_t)batches->in[i].msg_len : 0;
        read_control(udp, message, read);
    }
    return (uint32_t)received;
}

static void prepare_messages(struct rh_udp *udp, const struct rh_sendqueue *queue)
{
    struct rh_udp_batches *batches = udp->batches;
    for (uint32_t i = 0; i < queue->count; i++) {
        const struct rh_sendqueue_entry *entry = &queue->entries[i];
        batches->out_vectors[i] = (struct iovec){queue->arena + entry->offset, entry->size};
        batches->out[i].msg_hdr.msg_namelen =
            to_socket_address(&entry->to, udp->is_v6, &batches->out_names[i]);
    }
}

struct rh_udp_sent rh_udp_flush(struct rh_udp *udp, struct rh_sendqueue *queue)
{
    struct rh_udp_sent sent = {0};
    prepare_messages(udp, queue);
    uint32_t next = 0;
    while (next < queue->count) {
        int taken = sendmmsg(udp->fd, udp->batches->out + next, queue->count - next, MSG_DONTWAIT);
        sent.calls++;
        if (taken > 0) {
            for (uint32_t end = next + (uint32_t)taken; next < end; next++)
                sent.bytes += queue->entries[next].size;
            sent.packets += (uint32_t)taken;
        } else if (errno == EAGAIN || errno == ENOBUFS) {
            sent.dropped += queue->count - next;
            next = queue->count;
        } else if (errno != EINTR) {
            sent.errors++; /* this datagram alone: wrong address, or an ICMP error's turn */
            next++;
        }
    }
    rh_sendqueue_clear(queue);
    return sent;
}
