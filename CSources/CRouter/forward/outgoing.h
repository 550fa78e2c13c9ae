/* One packet on its way to one subscriber. SPDX-License-Identifier: Apache-2.0 */
#ifndef RH_FORWARD_OUTGOING_H
#define RH_FORWARD_OUTGOING_H

#include "forward/forward.h"
#include "select/rewrite.h"

/* The numbers of the packet in the slot's stream. Values on the stack of whoever sends. */
struct rh_outgoing {
    const struct rh_buffer *buffer;
    const struct rh_rewrite_run *run; /* its constants: picture id, TL0PICIDX */
    uint64_t seq64;
    uint64_t now_us;
    uint32_t timestamp;
    uint32_t send_time; /* rh_abs_send_time of now_us */
    uint8_t payload_type;
    bool marker;
    bool is_resend;
};

/* Sets the numbers that a packet has in a run of the past. Returns the run's constants, to which
 * outgoing->run is to point. */
struct rh_rewrite_run rh_outgoing_of_run(
    struct rh_outgoing *outgoing, const struct rh_run *run, uint64_t out_seq64,
    const struct rh_packet *packet);

/* Writes header and encrypted payload into the send queue, which has room
 * (rh_sendqueue_reserve). As RTX when it is a resend and the slot has RTX; a resend without RTX
 * has the bytes of the first sending (RFC 3711 section 9.1: never other bytes under one index).
 * Returns false when nothing was written: the peer cannot be reached, or the packet would be too
 * long. */
bool rh_outgoing_write(
    struct rh_forwarder *forwarder, struct rh_peer *peer, struct rh_slot *slot,
    const struct rh_outgoing *outgoing);

#endif
