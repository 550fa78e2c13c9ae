/* Datagrams ready for the kernel, in the order in which they were written.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One arena a worker: each datagram is written (encrypted) straight to its place and stays there
 * until the worker's flush. The owner of the socket reads entries and empties the queue. An
 * entry keeps its peer's place so that runs of one subscriber can be sent as one message. Owner:
 * struct rh_forwarder. State: RH_SEND_QUEUE_BYTES and 32 B an entry. */
#ifndef RH_FORWARD_SENDQUEUE_H
#define RH_FORWARD_SENDQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limits.h"
#include "rh_router.h"

struct rh_sendqueue_entry {
    uint32_t offset; /* into the arena */
    uint16_t size;   /* bytes of the datagram */
    uint16_t reserved;
    uint32_t peer_index; /* RH_NO_INDEX: no peer's */
    struct rh_address to;
};

struct rh_sendqueue {
    uint8_t *arena;
    struct rh_sendqueue_entry *entries;
    uint32_t count;
    uint32_t used_bytes;
};

bool rh_sendqueue_init(struct rh_sendqueue *queue);
void rh_sendqueue_deinit(struct rh_sendqueue *queue);

/* Returns where the next datagram of up to RH_PACKET_BYTES_MAX bytes (and slack) is to be written,
 * NULL when the queue is full. Nothing is taken until rh_sendqueue_commit. */
static inline uint8_t *rh_sendqueue_reserve(const struct rh_sendqueue *queue)
{
    if (queue->count == RH_SEND_QUEUE_DATAGRAMS
        || queue->used_bytes + RH_PACKET_BYTES_MAX + RH_PACKET_SLACK_BYTES > RH_SEND_QUEUE_BYTES)
        return NULL;
    return queue->arena + queue->used_bytes;
}

/* Takes the size bytes written at the reserved place. */
static inline void rh_sendqueue_commit(
    struct rh_sendqueue *queue, size_t size, const struct rh_address *to, uint32_t peer_index)
{
    queue->entries[queue->count++] = (struct rh_sendqueue_entry){
        .offset = queue->used_bytes, .size = (uint16_t)size, .peer_index = peer_index, .to = *to};
    queue->used_bytes += ((uint32_t)size + 15u) & ~15u;
}

/* Forgets all datagrams: they were sent or given up. */
static inline void rh_sendqueue_clear(struct rh_sendqueue *queue)
{
    queue->count = 0;
    queue->used_bytes = 0;
}

#endif
