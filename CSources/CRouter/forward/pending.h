/* What each subscriber is still to be sent: packets that wait for company.
 * SPDX-License-Identifier: Apache-2.0
 *
 * An entry says which packet buffer goes out in which slot under which numbers; nothing is written
 * or encrypted yet. One list a peer, in the order of arrival, out of one array that is filled from
 * the front and empty again after each round of writing (messages.h). Each entry holds a reference
 * to its buffer. Owner: struct rh_forwarder. 32 B an entry, 16 B a peer. */
#ifndef RH_FORWARD_PENDING_H
#define RH_FORWARD_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "limits.h"
#include "rh_router.h"
#include "track/handles.h"

struct rh_pending_packet {
    uint64_t seq64;             /* outgoing */
    uint32_t next;              /* entry of the same peer; RH_NO_INDEX: last */
    uint32_t buffer;            /* place of the packet buffer */
    rh_slot_id slot;
    uint32_t timestamp;         /* outgoing */
    uint16_t picture_id_offset; /* of the run: outgoing minus incoming */
    uint8_t tl0_offset;
    uint8_t payload_type;       /* outgoing */
    bool marker;
    bool is_resend;
    bool is_replay; /* waited in the history: no matter of latency */
};
static_assert(sizeof(struct rh_pending_packet) <= 40);

struct rh_pending_list {
    uint32_t first, last; /* RH_NO_INDEX: empty */
};

struct rh_pending {
    struct rh_pending_packet *packets;
    uint32_t count;                /* filled since the last round */
    struct rh_pending_list *lists; /* by peer */
    uint32_t *peers;               /* places of peers whose list is not empty */
    uint32_t peer_count;
    uint32_t peer_next;            /* of peers: where a round of writing goes on */
};

/* Makes empty lists for peers_max peers. False when memory is refused. */
bool rh_pending_init(struct rh_pending *pending, uint32_t peers_max);
void rh_pending_deinit(struct rh_pending *pending);

/* True when nothing more can be added before a round of writing. */
static inline bool rh_pending_is_full(const struct rh_pending *pending)
{
    return pending->count == RH_PENDING_PACKETS;
}

/* Where the next packet is to be written; the array is not full. It counts once it is added. */
static inline struct rh_pending_packet *rh_pending_place(struct rh_pending *pending)
{
    return &pending->packets[pending->count];
}

/* Adds the packet written at rh_pending_place to a peer's list; next is set here. */
static inline void rh_pending_add(struct rh_pending *pending, uint32_t peer_index)
{
    uint32_t place = pending->count++;
    struct rh_pending_list *list = &pending->lists[peer_index];
    pending->packets[place].next = RH_NO_INDEX;
    if (list->first == RH_NO_INDEX) {
        list->first = place;
        pending->peers[pending->peer_count++] = peer_index;
    } else {
        pending->packets[list->last].next = place;
    }
    list->last = place;
}

/* Forgets that anything was there; every list is empty already. */
void rh_pending_restart(struct rh_pending *pending);

#endif
