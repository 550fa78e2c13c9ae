/* All media state of one worker: peers, tracks, slots, packet buffers, relay rings, counters.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every call of the public interface that names a peer, track or slot ends here. Nothing in it is
 * shared with other threads but counters (read) and relay rings. Owner: struct rh_forwarder. */
#ifndef RH_TRACK_MEDIA_H
#define RH_TRACK_MEDIA_H

#include "rh_router.h"
#include "track/addresses.h"
#include "track/buffers.h"
#include "track/events.h"
#include "track/handles.h"
#include "track/peer.h"
#include "track/relay.h"
#include "track/slot.h"
#include "track/subscriptions.h"
#include "track/track.h"

/* Capacities, 0 for the default; seed: anything unpredictable. */
struct rh_media_sizes {
    uint32_t peers_max, tracks_max, slots_max, buffers_max;
    uint64_t seed;
};

struct rh_media {
    struct rh_handles peer_handles, track_handles, slot_handles;
    struct rh_peer *peers;
    struct rh_track *tracks;
    struct rh_slot *slots;
    struct rh_addresses addresses;
    struct rh_subscription_pool subscriptions;
    struct rh_buffers buffers;
    struct rh_events events;
    uint32_t *history_rings; /* RH_HISTORY_PACKETS for each encoding of each track */
    struct rh_relay *relays_in[RH_WORKERS_MAX];  /* from that worker; not owned */
    struct rh_relay *relays_out[RH_WORKERS_MAX]; /* to that worker; owned */
    uint64_t relays_filled; /* bit i: worker i is to be woken */
    uint32_t expire_next;   /* track at which the next expiry goes on */
    uint64_t seed;
    struct rh_counters counters;
};

/* Adds to a counter that other threads may read. */
#define RH_COUNT(media, field, amount) \
    __atomic_store_n(&(media)->counters.field, (media)->counters.field + (amount), \
                     __ATOMIC_RELAXED)

/* Raises a counter that other threads may read to value. */
static inline void rh_count_highest(uint64_t *counter, uint64_t value)
{
    if (value > *counter)
        __atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

/* Makes room for everything. Returns RH_SYSTEM when memory is refused. */
enum rh_result rh_media_init(struct rh_media *media, const struct rh_media_sizes *sizes);
void rh_media_deinit(struct rh_media *media);

/* Takes a packet buffer; when none is free the histories give up their older halves. Returns
 * NULL when every buffer is otherwise held. */
struct rh_buffer *rh_media_take_buffer(struct rh_media *media);

/* Lets go of history that is too old, a part of all tracks at each call. */
void rh_media_expire(struct rh_media *media, uint64_t now_us);

/* Puts state changes that found no room into the now empty event array. */
void rh_media_announce_again(struct rh_media *media);

/* Copies the counters and fills in what is in use now. any thread. */
void rh_media_counters(const struct rh_media *media, struct rh_counters *counters);

/* Places that handles name; NULL for a stale handle. */
struct rh_peer *rh_media_peer(const struct rh_media *media, rh_peer_id peer);
struct rh_track *rh_media_track(const struct rh_media *media, rh_track_id track);
struct rh_slot *rh_media_slot(const struct rh_media *media, rh_slot_id slot);

/* Peers: as the public functions of like name. */
enum rh_result rh_media_peer_create(struct rh_media *media, rh_peer_id *peer);
enum rh_result rh_media_peer_destroy(struct rh_media *media, rh_peer_id peer);
enum rh_result rh_media_peer_set_extensions(
    struct rh_media *media, rh_peer_id peer, const struct rh_extension_ids *ids);
enum rh_result rh_media_peer_add_address(
    struct rh_media *media, rh_peer_id peer, const struct rh_address *address);
enum rh_result rh_media_peer_select_address(
    struct rh_media *media, rh_peer_id peer, const struct rh_address *address);

struct rh_media_keys {
    enum rh_srtp_profile profile;
    struct rh_srtp_keys receive, send;
};
enum rh_result rh_media_peer_set_srtp(
    struct rh_media *media, rh_peer_id peer, const struct rh_media_keys *keys);

/* Tracks. peer 0 makes a mirror. */
enum rh_result rh_media_track_create(
    struct rh_media *media, rh_peer_id peer, const struct rh_track_config *config,
    rh_track_id *track);
enum rh_result rh_media_track_destroy(struct rh_media *media, rh_track_id track);
enum rh_result rh_media_add_branch(
    struct rh_media *media, rh_track_id track, uint32_t worker_index, rh_track_id mirror);
enum rh_result rh_media_remove_branch(
    struct rh_media *media, rh_track_id track, uint32_t worker_index);
enum rh_result rh_media_encoding_report(
    const struct rh_media *media, rh_track_id track, uint32_t encoding,
    struct rh_encoding_report *report);

/* Slots that carry the encoding begin anew with its next packet from which decoding can begin: what
 * came between is no hole in their streams. */
void rh_media_reselect(struct rh_media *media, struct rh_track *track, uint32_t encoding);

/* A new stream feeds the encoding: its numbers, history and the slots that carry it begin anew. */
void rh_media_restart_encoding(struct rh_media *media, struct rh_track *track, uint32_t encoding);

/* A slot waits for a keyframe of the encoding: told once in a wake-up, and again no earlier than
 * RH_KEYFRAME_REPEAT_US. urgent: a new wish, told at once. */
void rh_media_want_keyframe(
    struct rh_media *media, struct rh_track *track, uint32_t encoding, uint64_t now_us,
    bool urgent);

/* Slots. */
enum rh_result rh_media_slot_create(
    struct rh_media *media, rh_peer_id peer, const struct rh_slot_config *config,
    rh_slot_id *slot);
enum rh_result rh_media_slot_destroy(struct rh_media *media, rh_slot_id slot);
enum rh_result rh_media_slot_bind(
    struct rh_media *media, rh_slot_id slot, const struct rh_slot_binding *binding,
    uint64_t now_us);
enum rh_result rh_media_slot_unbind(struct rh_media *media, rh_slot_id slot);
enum rh_result rh_media_slot_set_target(
    struct rh_media *media, rh_slot_id slot, struct rh_target target, uint64_t now_us);
enum rh_result rh_media_slot_set_paused(
    struct rh_media *media, rh_slot_id slot, bool paused, uint64_t now_us);
enum rh_result rh_media_slot_report(
    const struct rh_media *media, rh_slot_id slot, struct rh_slot_report *report);

/* True when the slot carries nothing yet and may begin with the newest keyframe (rh_replay): bind
 * and set_paused then ask for no other. */
bool rh_media_slot_can_replay(
    const struct rh_media *media, const struct rh_slot *slot, uint64_t now_us);

/* Asks for the keyframe that the slot waits for, if any. */
void rh_media_slot_ask(struct rh_media *media, struct rh_slot *slot, uint64_t now_us);

/* Copies what a bound slot carries and waits for, as its selector has it, into the track's list. */
void rh_media_note_layers(struct rh_media *media, struct rh_slot *slot);

/* Tells that the slot carries another source now. */
void rh_media_tell_switched(struct rh_media *media, struct rh_slot *slot);

#endif
