/* Packet memory: fixed places with a plain reference count, taken and given back on one thread.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A buffer holds one datagram and, once decrypted and parsed, what the parser found; from then
 * on it is read-only. Holders: the receive batch, datagrams on their way to the owner,
 * histories. Owner: struct rh_media. RH_BUFFER_BYTES a place, reserved at start, touched as
 * used. */
#ifndef RH_TRACK_BUFFERS_H
#define RH_TRACK_BUFFERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limits.h"
#include "wire/packet.h"

struct rh_buffer {
    uint32_t next_free;  /* place + 1 of the next free buffer; 0: none */
    uint16_t references; /* 0: free */
    uint16_t size;       /* bytes of the datagram; after decryption of the packet */
    bool resumes;        /* the first packet of its encoding after a mute */
    uint64_t arrival_us;
    uint64_t seq64;           /* extended sequence number in its encoding */
    struct rh_packet packet;  /* offsets count from bytes */
    alignas(16) uint8_t bytes[RH_PACKET_BYTES_MAX + RH_PACKET_SLACK_BYTES];
};

struct rh_buffers {
    uint8_t *memory;
    uint32_t capacity;
    uint32_t touched;
    uint32_t free_first; /* place + 1 */
    uint32_t used;
};

bool rh_buffers_init(struct rh_buffers *buffers, uint32_t capacity);
void rh_buffers_deinit(struct rh_buffers *buffers);

/* Takes a free buffer with one reference. Returns NULL when there is none. */
struct rh_buffer *rh_buffers_take(struct rh_buffers *buffers);

/* Gives one reference back; the last frees the buffer. */
void rh_buffers_release(struct rh_buffers *buffers, struct rh_buffer *buffer);

static inline void rh_buffer_retain(struct rh_buffer *buffer)
{
    buffer->references++;
}

static inline struct rh_buffer *rh_buffers_at(const struct rh_buffers *buffers, uint32_t place)
{
    return (struct rh_buffer *)(buffers->memory + (size_t)place * RH_BUFFER_BYTES);
}

static inline uint32_t rh_buffers_place(
    const struct rh_buffers *buffers, const struct rh_buffer *buffer)
{
    return (uint32_t)((size_t)((const uint8_t *)buffer - buffers->memory) / RH_BUFFER_BYTES);
}

#endif
