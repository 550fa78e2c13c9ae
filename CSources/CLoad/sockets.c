/* Sockets: opening them, and reading all that waits. SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "loop.h"
#include "wire/assert.h"
#include "wire/demux.h"
#include "wire/packet.h"
#include "worker/socket_address.h"

enum {
    /* time stamp, GRO size, drop counter */
    CONTROL_BYTES = CMSG_SPACE(sizeof(struct timespec)) + 2 * CMSG_SPACE(sizeof(int)),
    READY_MAX = 256,
    ROUNDS_MAX = 512, /* of one socket in a wake-up */
};

struct rh_load_receive_batch {
    struct mmsghdr headers[RH_LOAD_RECEIVE_MESSAGES];
    struct iovec vectors[RH_LOAD_RECEIVE_MESSAGES];
    union rh_socket_address names[RH_LOAD_RECEIVE_MESSAGES];
    alignas(struct cmsghdr) uint8_t control[RH_LOAD_RECEIVE_MESSAGES][CONTROL_BYTES];
    uint8_t bytes[RH_LOAD_RECEIVE_MESSAGES][RH_LOAD_MESSAGE_BYTES];
};

/* ---- Opening --------------------------------------------------------------------------------- */

static void set_buffer(int fd, int option, int force_option, uint32_t wanted_bytes)
{
    int value = wanted_bytes > INT32_MAX / 2 ? INT32_MAX / 2 : (int)wanted_bytes;
    if (setsockopt(fd, SOL_SOCKET, force_option, &value, sizeof value) != 0)
        setsockopt(fd, SOL_SOCKET, option, &value, sizeof value);
}

uint32_t rh_load_socket_granted(int fd)
{
    int granted = 0;
    socklen_t size = sizeof granted;
    getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &granted, &size);
    return (uint32_t)granted;
}

static void set_options(const struct rh_load_loop *loop, int fd)
{
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    if (!loop->config.coalescing_off) /* refused before Linux 5.0: single datagrams then */
        setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
    set_buffer(fd, SO_RCVBUF, SO_RCVBUFFORCE, loop->config.socket_buffer_bytes);
    set_buffer(fd, SO_SNDBUF, SO_SNDBUFFORCE, loop->config.socket_buffer_bytes);
}

enum rh_result rh_load_socket_open(
    const struct rh_load_loop *loop, const struct rh_address *bind_to,
    struct rh_load_endpoint *endpoint, struct rh_address *local)
{
    struct rh_address wanted = *bind_to;
    if (wanted.family == 0)
        wanted.family = 4;
    if (wanted.family != 4 && wanted.family != 6)
        return RH_MALFORMED;
    endpoint->is_v6 = wanted.family == 6;
    int family = endpoint->is_v6 ? AF_INET6 : AF_INET;
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return RH_SYSTEM;
    set_options(loop, fd);
    union rh_socket_address name;
    socklen_t size = rh_socket_address_of(&wanted, endpoint->is_v6, &name);
    socklen_t name_bytes = sizeof name;
    if (bind(fd, &name.any, size) != 0 || getsockname(fd, &name.any, &name_bytes) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return RH_SYSTEM;
    }
    *local = rh_socket_address_get(&name);
    endpoint->fd = fd;
    return RH_OK;
}

bool rh_load_socket_connect(struct rh_load_endpoint *endpoint, const struct rh_address *remote)
{
    union rh_socket_address name;
    socklen_t size = rh_socket_address_of(remote, endpoint->is_v6, &name);
    return connect(endpoint->fd, &name.any, size) == 0;
}

/* ---- Reading --------------------------------------------------------------------------------- */

struct rh_load_receive_batch *rh_load_receive_init(void)
{
    struct rh_load_receive_batch *batch = malloc(sizeof *batch);
    if (batch == NULL)
        return NULL;
    for (uint32_t i = 0; i < RH_LOAD_RECEIVE_MESSAGES; i++) {
        batch->vectors[i] = (struct iovec){batch->bytes[i], RH_LOAD_MESSAGE_BYTES};
        batch->headers[i].msg_hdr = (struct msghdr){
            .msg_name = &batch->names[i], .msg_iov = &batch->vectors[i], .msg_iovlen = 1,
            .msg_control = batch->control[i]};
    }
    return batch;
}

void rh_load_receive_deinit(struct rh_load_receive_batch *batch)
{
    free(batch);
}

/* What the kernel says beside a message. */
struct note {
    uint64_t arrival_ns; /* 0: unknown */
    uint32_t segment_bytes; /* 0: one datagram */
};

static void note_drops(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint, uint32_t total)
{
    uint32_t drops = total - endpoint->kernel_drops_last;
    endpoint->kernel_drops_last = total;
    endpoint->report.kernel_drops += drops;
    loop->totals.kernel_drops += drops;
}

static struct note read_control(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint, struct msghdr *message)
{
    struct note note = {0};
    for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control != NULL;
         control = CMSG_NXTHDR(message, control)) {
        const uint8_t *data = CMSG_DATA(control);
        if (control->cmsg_level == SOL_UDP && control->cmsg_type == UDP_GRO) {
            int bytes;
            memcpy(&bytes, data, sizeof bytes);
            note.segment_bytes = bytes > 0 ? (uint32_t)bytes : 0;
        } else if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SO_TIMESTAMPNS) {
            struct timespec time;
            memcpy(&time, data, sizeof time);
            int64_t realtime = (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
            note.arrival_ns = (uint64_t)(realtime - loop->realtime_offset_ns);
        } else if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SO_RXQ_OVFL) {
            uint32_t total;
            memcpy(&total, data, sizeof total);
            note_drops(loop, endpoint, total);
        }
    }
    return note;
}

static void tell_owner(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint,
    const struct rh_load_datagram *datagram)
{
    bool is_stun = datagram->kind == RH_LOAD_STUN;
    endpoint->report.received_stun += is_stun;
    endpoint->report.received_dtls += !is_stun;
    loop->totals.received_stun += is_stun;
    loop->totals.received_dtls += !is_stun;
    if (loop->config.calls.on_datagram != NULL)
        loop->config.calls.on_datagram(loop->config.calls.context, datagram);
}

static void on_malformed(struct rh_load_loop *loop, struct rh_load_endpoint *endpoint)
{
    endpoint->report.malformed++;
    loop->totals.malformed++;
}

static void on_datagram(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint,
    const struct rh_load_received *received, const union rh_socket_address *name)
{
    endpoint->report.received_datagrams++;
    loop->totals.received_datagrams++;
    enum rh_traffic traffic = rh_demux_classify(received->bytes, received->size);
    bool is_media = traffic == RH_TRAFFIC_RTP || traffic == RH_TRAFFIC_RTCP;
    if (is_media && rh_load_is_lost(loop, loop->loss_in)) {
        loop->totals.impaired_in++;
    } else if (traffic == RH_TRAFFIC_RTP) {
        rh_load_on_rtp(loop, endpoint, received);
    } else if (traffic == RH_TRAFFIC_RTCP) {
        rh_load_on_rtcp(loop, endpoint, received);
    } else if (traffic == RH_TRAFFIC_STUN || traffic == RH_TRAFFIC_DTLS) {
        tell_owner(loop, endpoint, &(struct rh_load_datagram){
            .bytes = received->bytes, .size = (uint32_t)received->size,
            .kind = traffic == RH_TRAFFIC_STUN ? RH_LOAD_STUN : RH_LOAD_DTLS,
            .endpoint = endpoint->id, .user = endpoint->config.user,
            .from = rh_socket_address_get(name), .received_ns = received->arrival_ns});
    } else {
        on_malformed(loop, endpoint);
    }
}

/* Cuts a message into its datagrams. */
static void read_message(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint, uint32_t index,
    uint64_t read_ns)
{
    struct rh_load_receive_batch *batch = loop->batch;
    struct msghdr *message = &batch->headers[index].msg_hdr;
    struct note note = read_control(loop, endpoint, message);
    if (note.arrival_ns == 0 || note.arrival_ns > read_ns)
        note.arrival_ns = read_ns;
    uint64_t lag_ns = read_ns - note.arrival_ns;
    rh_load_histogram_add(&loop->histograms[RH_LOAD_RECEIVE_LAG], lag_ns);
    if (lag_ns > loop->totals.receive_lag_max_ns)
        loop->totals.receive_lag_max_ns = lag_ns;
    loop->totals.received_messages++;
    size_t left = batch->headers[index].msg_len;
    size_t segment_bytes = note.segment_bytes != 0 ? note.segment_bytes : left;
    for (size_t at = 0; at + RH_RTP_HEADER_BYTES <= left; at += segment_bytes)
        rh_load_prefetch(endpoint, batch->bytes[index] + at);
    struct rh_load_received received = {
        .bytes = batch->bytes[index], .arrival_ns = note.arrival_ns};
    while (left > 0) {
        received.size = left < segment_bytes ? left : segment_bytes;
        on_datagram(loop, endpoint, &received, &batch->names[index]);
        received.bytes += received.size;
        left -= received.size;
    }
}

/* Reads a socket until it is empty. Returns false when there is still something. */
static bool read_socket(struct rh_load_loop *loop, struct rh_load_endpoint *endpoint)
{
    struct rh_load_receive_batch *batch = loop->batch;
    for (uint32_t round = 0; round < ROUNDS_MAX; round++) {
        for (uint32_t i = 0; i < RH_LOAD_RECEIVE_MESSAGES; i++) {
            batch->headers[i].msg_hdr.msg_namelen = sizeof batch->names[i];
            batch->headers[i].msg_hdr.msg_controllen = CONTROL_BYTES;
        }
        int count = recvmmsg(
            endpoint->fd, batch->headers, RH_LOAD_RECEIVE_MESSAGES, MSG_DONTWAIT, NULL);
        if (count < 0 && (errno == EINTR || errno == ECONNREFUSED))
            continue; /* an ICMP error's turn */
        if (count <= 0)
            return true;
        uint64_t read_ns = rh_load_now_ns();
        for (int i = 0; i < count; i++)
            read_message(loop, endpoint, (uint32_t)i, read_ns);
        if (count < RH_LOAD_RECEIVE_MESSAGES)
            return true;
    }
    return false;
}

void rh_load_receive_all(struct rh_load_loop *loop)
{
    struct epoll_event events[READY_MAX];
    for (uint32_t rounds = loop->endpoint_end / READY_MAX + 1; rounds > 0; rounds--) {
        int count = epoll_wait(loop->epoll_fd, events, READY_MAX, 0);
        for (int i = 0; i < count; i++) {
            struct rh_load_endpoint *endpoint = rh_load_find_endpoint(loop, events[i].data.u32);
            if (endpoint == NULL || read_socket(loop, endpoint))
                continue;
            struct epoll_event again = {.events = EPOLLIN | EPOLLET, .data.u32 = endpoint->id};
            epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, endpoint->fd, &again);
        }
        if (count < READY_MAX)
            return;
    }
}
