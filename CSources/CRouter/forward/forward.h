/* From one received packet to every slot that carries it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * receive.c turns a datagram into a decrypted, parsed, numbered packet of an encoding; forward.c
 * walks the track's subscriptions and writes one encrypted packet for each; resend.c answers
 * NACKs out of the history. All write into the send queue; a full queue is reported upwards, and
 * the same call goes on where it stopped once the queue was flushed. Owner: struct rh_worker. */
#ifndef RH_FORWARD_FORWARD_H
#define RH_FORWARD_FORWARD_H

#include "forward/sendqueue.h"
#include "rh_router.h"
#include "track/media.h"

struct rh_forwarder {
    struct rh_media media;
    struct rh_sendqueue queue;
};

/* A packet on its way through a track's subscriptions. */
struct rh_forward_job {
    struct rh_buffer *buffer;
    uint32_t track_index;
    uint8_t encoding;
    bool late;      /* a lower sequence number than the newest */
    bool branched;  /* relayed to the branches already */
    uint32_t send_time; /* rh_abs_send_time, once it is branched */
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

/* Writes the packet for every slot that carries it. Returns RH_FULL when the send queue is to be
 * flushed before the call is repeated with the same job, RH_OK when all is written. */
enum rh_result rh_forward(
    struct rh_forwarder *forwarder, struct rh_forward_job *job, uint64_t now_us);

/* Writes the packet with this outgoing number again, as RTX where the slot has it. Returns RH_OK;
 * RH_REPLAYED when it was resent within rtt_us, RH_STALE when it is gone, RH_FULL as above. */
struct rh_resend_request {
    uint32_t slot_index;
    uint16_t seq;
    uint32_t rtt_us;
    uint64_t now_us;
};
enum rh_result rh_resend(struct rh_forwarder *forwarder, const struct rh_resend_request *request);

/* Protects one RTCP packet of a peer and queues it. RH_STALE: no such peer or it has no keys or no
 * address; RH_FULL as above; RH_MALFORMED: no RTCP or too long. */
enum rh_result rh_send_rtcp(
    struct rh_forwarder *forwarder, rh_peer_id peer, const uint8_t *bytes, size_t size);

/* Queues bytes as they are. RH_FULL as above; RH_MALFORMED when longer than a packet may be. */
enum rh_result rh_send_plain(
    struct rh_forwarder *forwarder, const struct rh_address *to, const uint8_t *bytes, size_t size);

#endif
