/* A bad network for tests: takes the packets of one NFQUEUE and delays, drops or slows them, for
 * kernels without netem. SPDX-License-Identifier: Apache-2.0
 *
 *   impair -q QUEUE [-l LOSS_PERCENT] [-d DELAY_MS] [-j JITTER_MS] [-r RATE_KBIT]
 *          [-m QUEUE_MS_MAX] [-s SEED]
 *   cc -O2 impair.c -o impair -lnetfilter_queue
 *
 * An iptables rule chooses the packets: -j NFQUEUE --queue-num QUEUE. Prints "ready" once the queue
 * is bound; SIGTERM and SIGINT print the counts as one line of JSON and end it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    HEADER_BYTES = 64,              /* enough of a packet to read its length */
    HELD_MAX = 65536,               /* packets that wait at once; more are dropped and counted */
    SOCKET_BYTES = 8 << 20,
};

struct held {
    uint64_t due_ns;
    uint32_t id;
};

struct network {
    double loss_percent, delay_ms, jitter_ms, rate_kbit, queue_ms_max;
    uint64_t link_free_ns;          /* when the slow link has sent all it has taken */
    struct held heap[HELD_MAX];     /* smallest due_ns first */
    size_t held;
    unsigned long taken, accepted, lost, overflowed;
};

static volatile sig_atomic_t stopping;

static void stop(int number)
{
    (void)number;
    stopping = 1;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void hold(struct network *network, struct held packet)
{
    size_t at = network->held++;
    for (; at > 0 && network->heap[(at - 1) / 2].due_ns > packet.due_ns; at = (at - 1) / 2)
        network->heap[at] = network->heap[(at - 1) / 2];
    network->heap[at] = packet;
}

static struct held take(struct network *network)
{
    struct held first = network->heap[0];
    struct held last = network->heap[--network->held];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < network->held; at = child) {
        if (child + 1 < network->held &&
            network->heap[child + 1].due_ns < network->heap[child].due_ns)
            child++;
        if (network->heap[child].due_ns >= last.due_ns)
            break;
        network->heap[at] = network->heap[child];
    }
    network->heap[at] = last;
    return first;
}

/* When a packet of `size` bytes leaves the far end; 0 drops it at the slow link's queue. */
static uint64_t due_time(struct network *network, uint64_t now, unsigned size)
{
    uint64_t due = now;
    if (network->rate_kbit > 0) {
        if (network->link_free_ns < now)
            network->link_free_ns = now;
        if ((double)(network->link_free_ns - now) / 1e6 > network->queue_ms_max)
            return 0;
        network->link_free_ns += (uint64_t)(size * 8.0 / network->rate_kbit * 1e6);
        due = network->link_free_ns;
    }
    double extra_ms = network->delay_ms + network->jitter_ms * (2 * drand48() - 1);
    return extra_ms > 0 ? due + (uint64_t)(extra_ms * 1e6) : due;
}

static int on_packet(struct nfq_q_handle *queue, struct nfgenmsg *message, struct nfq_data *data,
                     void *context)
{
    struct network *network = context;
    struct nfqnl_msg_packet_hdr *header = nfq_get_msg_packet_hdr(data);
    unsigned char *payload = NULL;
    int have = nfq_get_payload(data, &payload);
    unsigned size = have >= 4 ? (unsigned)(payload[2] << 8 | payload[3]) : 1000;
    uint32_t id = ntohl(header->packet_id);
    (void)message;
    network->taken++;
    if (drand48() * 100 < network->loss_percent) {
        network->lost++;
        return nfq_set_verdict(queue, id, NF_DROP, 0, NULL);
    }
    uint64_t now = now_ns(), due = due_time(network, now, size);
    if (due == 0 || network->held == HELD_MAX) {
        network->overflowed++;
        return nfq_set_verdict(queue, id, NF_DROP, 0, NULL);
    }
    if (due <= now) {
        network->accepted++;
        return nfq_set_verdict(queue, id, NF_ACCEPT, 0, NULL);
    }
    hold(network, (struct held){due, id});
    return 0;
}

static void release_due(struct network *network, struct nfq_q_handle *queue)
{
    uint64_t now = now_ns();
    while (network->held > 0 && network->heap[0].due_ns <= now) {
        nfq_set_verdict(queue, take(network).id, NF_ACCEPT, 0, NULL);
        network->accepted++;
    }
}

static void run(struct network *network, struct nfq_handle *handle, struct nfq_q_handle *queue)
{
    static char buffer[65536];
    struct pollfd readable = {.fd = nfq_fd(handle), .events = POLLIN};
    while (!stopping) {
        release_due(network, queue);
        struct timespec wait = {1, 0};
        if (network->held > 0) {
            uint64_t now = now_ns(), due = network->heap[0].due_ns;
            uint64_t left = due > now ? due - now : 0;
            wait = (struct timespec){(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
        }
        if (ppoll(&readable, 1, &wait, NULL) <= 0)
            continue;
        ssize_t size;
        while ((size = recv(readable.fd, buffer, sizeof buffer, MSG_DONTWAIT)) > 0)
            nfq_handle_packet(handle, buffer, (int)size);
    }
}

static int read_options(struct network *network, int count, char **words)
{
    int queue = -1;
    for (int option; (option = getopt(count, words, "q:l:d:j:r:m:s:")) > 0;)
        switch (option) {
        case 'q': queue = atoi(optarg); break;
        case 'l': network->loss_percent = atof(optarg); break;
        case 'd': network->delay_ms = atof(optarg); break;
        case 'j': network->jitter_ms = atof(optarg); break;
        case 'r': network->rate_kbit = atof(optarg); break;
        case 'm': network->queue_ms_max = atof(optarg); break;
        case 's': srand48(atol(optarg)); break;
        default: return -1;
        }
    return queue;
}

int main(int count, char **words)
{
    static struct network network = {.queue_ms_max = 200};
    int number = read_options(&network, count, words);
    if (number < 0)
        return fprintf(stderr, "impair: -q QUEUE is needed\n"), 2;
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    struct nfq_handle *handle = nfq_open();
    struct nfq_q_handle *queue =
        handle ? nfq_create_queue(handle, (uint16_t)number, on_packet, &network) : NULL;
    if (!queue || nfq_set_mode(queue, NFQNL_COPY_PACKET, HEADER_BYTES) < 0)
        return fprintf(stderr, "impair: cannot bind the queue (error %d)\n", errno), 1;
    nfq_set_queue_maxlen(queue, HELD_MAX);
    int bytes = SOCKET_BYTES;
    setsockopt(nfq_fd(handle), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
    puts("ready");
    fflush(stdout);
    run(&network, handle, queue);
    printf("{\"taken\": %lu, \"accepted\": %lu, \"lost\": %lu, \"overflowed\": %lu}\n",
           network.taken, network.accepted, network.lost, network.overflowed);
    return 0;
}
