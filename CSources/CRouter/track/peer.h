/* One participant's transport: addresses, keys, header-extension ids, the SSRCs it sends.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef RH_TRACK_PEER_H
#define RH_TRACK_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/srtp.h"
#include "limits.h"
#include "rh_router.h"
#include "wire/packet.h"

/* One SSRC that a peer sends. Kept after another SSRC replaced it and after its track ended, so
 * that its packets cannot be replayed and a track made anew goes on in the same cycle of
 * numbers. Owner: struct rh_peer. */
struct rh_source {
    struct rh_srtp_source srtp;
    uint64_t last_arrival_us;
    uint32_t ssrc;
    uint32_t track_index; /* RH_NO_INDEX: its track ended */
    uint8_t encoding;
    bool is_rtx;
};

/* Owner: struct rh_media. 10 KiB. */
struct rh_peer {
    rh_peer_id id;
    uint32_t first_track, first_slot; /* heads of lists; RH_NO_INDEX: empty */
    uint32_t address_count, source_count;
    struct rh_address addresses[RH_ADDRESSES_PER_PEER]; /* oldest first */
    struct rh_address selected;
    bool has_selection, has_keys;

    struct rh_extension_ids extensions;
    struct rh_extension_ids lasting; /* those whose values do not depend on the time of sending */
    struct rh_extension_map map;
    struct rh_srtp_receive receive;
    struct rh_srtp_send send;
    struct rh_srtp_keys receive_keys, send_keys; /* masters of the above, to know them again */

    struct rh_source sources[RH_SOURCES_PER_PEER];
    struct rh_arrival arrivals[RH_ARRIVALS_PER_PEER]; /* a ring */
    uint32_t arrivals_first, arrivals_count;
    uint16_t transport_seq; /* next transport-wide number sent */

    uint64_t unknown_told_at_us; /* RH_EVENT_SOURCE_UNKNOWN */
    uint64_t received_packets, received_bytes, sent_packets, sent_bytes;
    uint64_t last_received_us;
};

/* Returns the source with that SSRC, NULL when there is none. */
struct rh_source *rh_peer_find_source(struct rh_peer *peer, uint32_t ssrc);

/* Makes a place for a source. With none left the one silent for longest gives way, those without a
 * track first. */
struct rh_source *rh_peer_add_source(struct rh_peer *peer, uint32_t ssrc);

/* Parts the sources from a track that ends. */
void rh_peer_release_sources(struct rh_peer *peer, uint32_t track_index);

/* Notes that a packet with a transport-wide number arrived; dropped when the record is full. */
void rh_peer_note_arrival(struct rh_peer *peer, uint16_t transport_seq, uint64_t arrival_us);

/* True when something can be sent to the peer and protected. */
static inline bool rh_peer_is_reachable(const struct rh_peer *peer)
{
    return peer->has_keys && peer->has_selection;
}

#endif
