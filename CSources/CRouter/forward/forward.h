/* From one received packet to every slot that carries it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * receive.c turns a datagram into a decrypted, parsed, numbered packet of an encoding; forward.c
 * walks the track's subscriptions and notes for each subscriber what it gets; resend.c answers
 * NACKs out of the history in the same way; messages.c later writes and encrypts all that waits
 * for a subscriber as few messages in the send queue. What is full is reported upwards, and the
 * same call goes on where it stopped once there is room. Owner: struct rh_worker. */
#ifndef RH_FORWARD_FORWARD_H
#define RH_FORWARD_FORWARD_H

#include "forward/pending.h"
#include "forward/sendqueue.h"
#include "rh_router.h"
#include "track/media.h"

struct rh_forwarder {
    struct rh_media media;
    struct rh_pending pending;
    struct rh_sendqueue queue;
    uint32_t round;              /* counts parts written, modulo 2^32 */
    uint16_t padding_bytes_max;  /* 0..RH_PADDING_BYTES_MAX */
    bool segmentation_off;       /* one packet a message */
};

/* A packet on its way through a track's subscriptions. */
struct rh_forward_job {
    struct rh_buffer *buffer;
    uint32_t track_index;
    uint8_t encoding;
    bool late;      /* a lower sequence number than the newest */
    bool branched;  /* relayed to the branches already */
    bool is_replay; /* for one slot, out of the history */
    uint32_t place;  /* of the buffer, */
    uint64_t now_us; /* and the time: filled in where the walk begins */
    uint32_t chunk; /* where the walk goes on; RH_NO_INDEX: at its end */
    uint32_t entry;
};

/* What is to be done with a received datagram. */
enum rh_receive_step {
    RH_RECEIVE_DROP,    /* nothing; it was counted */
    RH_RECEIVE_TELL,    /* hand it to the owner as kind */
    RH_RECEIVE_FORWARD, /* call rh_forward with job */
};

struct rh_received {
    enum rh_receive_step step;
    enum rh_datagram_kind kind;
    rh_peer_id peer;
    struct rh_forward_job job;
};

/* Makes room for everything. sizes: capacities, 0 for defaults. Returns RH_SYSTEM without
 * memory. */
enum rh_result rh_forwarder_init(
    struct rh_forwarder *forwarder, const struct rh_media_sizes *sizes);
void rh_forwarder_deinit(struct rh_forwarder *forwarder);

/* Classifies, authenticates, decrypts, parses, numbers and keeps one datagram (RFC 7983, 5761,
 * 3711, 3550, 4588). Any bytes are accepted. The buffer stays the caller's. */
struct rh_received rh_receive(
    struct rh_forwarder *forwarder, struct rh_buffer *buffer, const struct rh_address *from);

/* The same for a packet from a relay ring, copied into buffer already. */
struct rh_received rh_receive_relayed(
    struct rh_forwarder *forwarder, struct rh_buffer *buffer, const struct rh_relay_entry *entry);

/* Notes the packet for every slot that carries it. Returns RH_FULL when what waits is to be
 * written before the call is repeated with the same job, RH_OK when every slot was looked at. */
enum rh_result rh_forward(
    struct rh_forwarder *forwarder, struct rh_forward_job *job, uint64_t now_us);

/* Lets a slot that carries nothing yet begin with the newest keyframe and all that came since, out
 * of the history, where rh_media_slot_can_replay says so; asks for a keyframe where not all of it
 * is there or finds room. */
void rh_replay(struct rh_forwarder *forwarder, rh_slot_id slot, uint64_t now_us);

/* Writes all that waits for subscribers into the send queue. Returns RH_FULL when the queue is to
 * be flushed before the call is repeated, RH_OK when nothing waits any more. */
enum rh_result rh_forwarder_write_pending(struct rh_forwarder *forwarder, uint64_t now_us);

/* True when something waits. */
static inline bool rh_forwarder_has_pending(const struct rh_forwarder *forwarder)
{
    return forwarder->pending.count != 0;
}

/* Notes the packet with this outgoing number once more, as RTX where the slot has it. Returns
 * RH_OK; RH_REPLAYED when it was resent within rtt_us, RH_STALE when it is gone, RH_FULL as
 * rh_forward. */
struct rh_resend_request {
    uint32_t slot_index;
    uint16_t seq;
    uint32_t rtt_us;
    uint64_t now_us;
};
enum rh_result rh_resend(struct rh_forwarder *forwarder, const struct rh_resend_request *request);

/* Protects one RTCP packet of a peer and puts it into the send queue. RH_STALE: no such peer or it
 * has no keys or no address; RH_FULL: the queue is to be flushed first; RH_MALFORMED: no RTCP or
 * too long. */
enum rh_result rh_send_rtcp(
    struct rh_forwarder *forwarder, rh_peer_id peer, const uint8_t *bytes, size_t size);

/* Queues bytes as they are. RH_FULL as above; RH_MALFORMED when longer than a packet may be. */
enum rh_result rh_send_plain(
    struct rh_forwarder *forwarder, const struct rh_address *to, const uint8_t *bytes, size_t size);

#endif
