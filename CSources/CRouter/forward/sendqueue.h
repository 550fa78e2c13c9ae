/* Messages ready for the kernel, in the order in which they were written.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One arena a worker: each datagram is written (encrypted) straight to its place and stays there
 * until the worker's flush. A message is one datagram, or several of equal size but the last for
 * one address, one behind the other, which the kernel cuts apart (UDP_SEGMENT). The owner of the
 * socket reads entries and empties the queue. Owner: struct rh_forwarder. State:
 * RH_SEND_QUEUE_BYTES and 40 B a message. */
#ifndef RH_FORWARD_SENDQUEUE_H
#define RH_FORWARD_SENDQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limits.h"
#include "rh_router.h"

struct rh_sendqueue_entry {
    uint32_t offset;        /* into the arena */
    uint32_t size;          /* bytes of all segments */
    uint16_t segment_bytes; /* of each segment but the last, which may be shorter */
    uint16_t segments;      /* 1 or more */
    struct rh_address to;
};

struct rh_sendqueue {
    uint8_t *arena;
    struct rh_sendqueue_entry *entries;
    uint32_t count;
    uint32_t sent; /* entries that the kernel has already; the rest waits for room there */
    uint32_t used_bytes;
};

bool rh_sendqueue_init(struct rh_sendqueue *queue);
void rh_sendqueue_deinit(struct rh_sendqueue *queue);

/* True when messages of so many bytes together (and slack) find room. */
static inline bool rh_sendqueue_has_room(
    const struct rh_sendqueue *queue, size_t messages, size_t bytes)
{
    return queue->count + messages <= RH_SEND_QUEUE_MESSAGES
        && queue->used_bytes + bytes + RH_PACKET_SLACK_BYTES <= RH_SEND_QUEUE_BYTES;
}

/* Returns where the next message is to be written; there is room (rh_sendqueue_has_room). Nothing
 * is taken until rh_sendqueue_commit. */
static inline uint8_t *rh_sendqueue_place(const struct rh_sendqueue *queue)
{
    return queue->arena + queue->used_bytes;
}

/* The same for one datagram of up to RH_PACKET_BYTES_MAX bytes; NULL when the queue is full. */
static inline uint8_t *rh_sendqueue_reserve(const struct rh_sendqueue *queue)
{
    return rh_sendqueue_has_room(queue, 1, RH_PACKET_BYTES_MAX) ? rh_sendqueue_place(queue) : NULL;
}

/* What was written at the place. */
struct rh_message {
    size_t size;
    uint16_t segment_bytes;
    uint16_t segments;
};

static inline void rh_sendqueue_commit(
    struct rh_sendqueue *queue, const struct rh_address *to, struct rh_message message)
{
    queue->entries[queue->count++] = (struct rh_sendqueue_entry){
        .offset = queue->used_bytes, .size = (uint32_t)message.size,
        .segment_bytes = message.segment_bytes, .segments = message.segments, .to = *to};
    queue->used_bytes += ((uint32_t)message.size + 15u) & ~15u;
}

/* Takes one datagram. */
static inline void rh_sendqueue_commit_one(
    struct rh_sendqueue *queue, const struct rh_address *to, size_t size)
{
    rh_sendqueue_commit(
        queue, to,
        (struct rh_message){.size = size, .segment_bytes = (uint16_t)size, .segments = 1});
}

/* Forgets all messages: they were sent or given up. */
static inline void rh_sendqueue_clear(struct rh_sendqueue *queue)
{
    queue->count = 0;
    queue->sent = 0;
    queue->used_bytes = 0;
}

#endif
