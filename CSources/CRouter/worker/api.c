/* The public functions on a worker's media state. SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "crypto/cipher.h"
#include "wire/assert.h"
#include "worker/worker.h"

static struct rh_media *media_of(struct rh_worker *worker)
{
    return &worker->forwarder.media;
}

static const struct rh_media *media_in(const struct rh_worker *worker)
{
    return &worker->forwarder.media;
}

const char *rh_cipher_name(void)
{
    return rh_cipher_choose()->name;
}

uint16_t rh_worker_port(const struct rh_worker *worker)
{
    return worker->udp.port;
}

void rh_worker_counters(const struct rh_worker *worker, struct rh_counters *counters)
{
    rh_media_counters(media_in(worker), counters);
}

enum rh_result rh_worker_send(
    struct rh_worker *worker, const struct rh_address *to, const uint8_t *bytes, size_t size)
{
    if (size > RH_PACKET_BYTES_MAX)
        return RH_FULL;
    enum rh_result result = rh_send_plain(&worker->forwarder, to, bytes, size);
    if (result != RH_FULL)
        return result;
    rh_worker_flush(worker);
    return rh_send_plain(&worker->forwarder, to, bytes, size);
}

/* ---- Peers --------------------------------------------------------------------------------- */

enum rh_result rh_peer_create(struct rh_worker *worker, rh_peer_id *peer)
{
    return rh_media_peer_create(media_of(worker), peer);
}

enum rh_result rh_peer_set_extensions(
    struct rh_worker *worker, rh_peer_id peer, const struct rh_extension_ids *ids)
{
    return rh_media_peer_set_extensions(media_of(worker), peer, ids);
}

enum rh_result rh_peer_add_address(
    struct rh_worker *worker, rh_peer_id peer, const struct rh_address *address)
{
    return rh_media_peer_add_address(media_of(worker), peer, address);
}

enum rh_result rh_peer_select_address(
    struct rh_worker *worker, rh_peer_id peer, const struct rh_address *address)
{
    return rh_media_peer_select_address(media_of(worker), peer, address);
}

enum rh_result rh_peer_clear_selection(struct rh_worker *worker, rh_peer_id id)
{
    struct rh_peer *peer = rh_media_peer(media_of(worker), id);
    if (peer == NULL)
        return RH_STALE;
    peer->has_selection = false;
    return RH_OK;
}

enum rh_result rh_peer_set_srtp(
    struct rh_worker *worker, rh_peer_id peer, enum rh_srtp_profile profile,
    const struct rh_srtp_keys *receive, const struct rh_srtp_keys *send)
{
    struct rh_media_keys keys = {.profile = profile, .receive = *receive, .send = *send};
    /* What waits belongs under the old keys and goes out before anything under the new. */
    rh_worker_send_pending(worker);
    return rh_media_peer_set_srtp(media_of(worker), peer, &keys);
}

enum rh_result rh_peer_send_rtcp(
    struct rh_worker *worker, rh_peer_id peer, const uint8_t *bytes, size_t size)
{
    enum rh_result result = rh_send_rtcp(&worker->forwarder, peer, bytes, size);
    if (result != RH_FULL)
        return result;
    rh_worker_flush(worker);
    return rh_send_rtcp(&worker->forwarder, peer, bytes, size);
}

uint32_t rh_peer_take_arrivals(
    struct rh_worker *worker, rh_peer_id id, struct rh_arrival *arrivals, uint32_t count_max)
{
    struct rh_peer *peer = rh_media_peer(media_of(worker), id);
    uint32_t taken = 0;
    while (peer != NULL && taken < count_max && peer->arrivals_count > 0) {
        arrivals[taken++] = peer->arrivals[peer->arrivals_first];
        peer->arrivals_first = (peer->arrivals_first + 1) % RH_ARRIVALS_PER_PEER;
        peer->arrivals_count--;
    }
    return taken;
}

enum rh_result rh_peer_get_report(
    const struct rh_worker *worker, rh_peer_id id, struct rh_peer_report *report)
{
    *report = (struct rh_peer_report){0};
    const struct rh_peer *peer = rh_media_peer(media_in(worker), id);
    if (peer == NULL)
        return RH_STALE;
    *report = (struct rh_peer_report){
        .received_packets = peer->received_packets, .received_bytes = peer->received_bytes,
        .sent_packets = peer->sent_packets, .sent_bytes = peer->sent_bytes,
        .last_received_us = peer->last_received_us, .has_keys = peer->has_keys,
        .has_selection = peer->has_selection};
    return RH_OK;
}

enum rh_result rh_peer_destroy(struct rh_worker *worker, rh_peer_id peer)
{
    return rh_media_peer_destroy(media_of(worker), peer);
}

/* ---- Tracks -------------------------------------------------------------------------------- */

enum rh_result rh_track_create(
    struct rh_worker *worker, rh_peer_id peer, const struct rh_track_config *config,
    rh_track_id *track)
{
    if (peer == 0) {
        *track = 0;
        return RH_STALE;
    }
    return rh_media_track_create(media_of(worker), peer, config, track);
}

enum rh_result rh_mirror_create(
    struct rh_worker *worker, const struct rh_track_config *config, rh_track_id *mirror)
{
    return rh_media_track_create(media_of(worker), 0, config, mirror);
}

enum rh_result rh_track_add_branch(
    struct rh_worker *worker, rh_track_id track, uint32_t worker_index, rh_track_id mirror)
{
    return rh_media_add_branch(media_of(worker), track, worker_index, mirror);
}

enum rh_result rh_track_remove_branch(
    struct rh_worker *worker, rh_track_id track, uint32_t worker_index)
{
    return rh_media_remove_branch(media_of(worker), track, worker_index);
}

enum rh_result rh_track_set_muted(struct rh_worker *worker, rh_track_id id, bool muted)
{
    struct rh_track *track = rh_media_track(media_of(worker), id);
    if (track == NULL)
        return RH_STALE;
    track->muted = muted;
    return RH_OK;
}

enum rh_result rh_track_destroy(struct rh_worker *worker, rh_track_id track)
{
    return rh_media_track_destroy(media_of(worker), track);
}

enum rh_result rh_encoding_get_report(
    const struct rh_worker *worker, rh_track_id track, uint32_t encoding,
    struct rh_encoding_report *report)
{
    return rh_media_encoding_report(media_in(worker), track, encoding, report);
}

bool rh_encoding_has(
    const struct rh_worker *worker, rh_track_id id, uint32_t encoding, uint64_t seq64)
{
    const struct rh_track *track = rh_media_track(media_in(worker), id);
    return track != NULL && encoding < track->config.encoding_count
        && rh_window_has(&track->encodings[encoding].window, seq64);
}

enum rh_result rh_encoding_set_sender_report(
    struct rh_worker *worker, rh_track_id id, uint32_t encoding, uint64_t ntp, uint32_t rtp)
{
    struct rh_track *track = rh_media_track(media_of(worker), id);
    if (track == NULL)
        return RH_STALE;
    if (encoding >= track->config.encoding_count)
        return RH_UNSUPPORTED;
    struct rh_encoding *state = &track->encodings[encoding];
    state->report_ntp = ntp;
    state->report_rtp = rtp;
    state->has_report = true;
    return RH_OK;
}

/* ---- Slots --------------------------------------------------------------------------------- */

enum rh_result rh_slot_create(
    struct rh_worker *worker, rh_peer_id peer, const struct rh_slot_config *config,
    rh_slot_id *slot)
{
    return rh_media_slot_create(media_of(worker), peer, config, slot);
}

enum rh_result rh_slot_bind(
    struct rh_worker *worker, rh_slot_id slot, const struct rh_slot_binding *binding)
{
    uint64_t now_us = rh_worker_now_us(worker);
    enum rh_result result = rh_media_slot_bind(media_of(worker), slot, binding, now_us);
    if (result == RH_OK)
        rh_replay(&worker->forwarder, slot, now_us);
    return result;
}

enum rh_result rh_slot_unbind(struct rh_worker *worker, rh_slot_id slot)
{
    return rh_media_slot_unbind(media_of(worker), slot);
}

enum rh_result rh_slot_set_target(
    struct rh_worker *worker, rh_slot_id slot, struct rh_target target)
{
    return rh_media_slot_set_target(media_of(worker), slot, target, rh_worker_now_us(worker));
}

enum rh_result rh_slot_set_paused(struct rh_worker *worker, rh_slot_id slot, bool paused)
{
    uint64_t now_us = rh_worker_now_us(worker);
    enum rh_result result = rh_media_slot_set_paused(media_of(worker), slot, paused, now_us);
    if (result == RH_OK)
        rh_replay(&worker->forwarder, slot, now_us);
    return result;
}

uint32_t rh_slot_resend(
    struct rh_worker *worker, rh_slot_id id, const uint16_t *seqs, uint32_t count,
    uint32_t rtt_us)
{
    struct rh_slot *slot = rh_media_slot(media_of(worker), id);
    uint32_t resent = 0;
    for (uint32_t i = 0; slot != NULL && i < count; i++) {
        struct rh_resend_request request = {
            .slot_index = (uint32_t)(slot - media_of(worker)->slots), .seq = seqs[i],
            .rtt_us = rtt_us, .now_us = rh_worker_now_us(worker)};
        enum rh_result result = rh_resend(&worker->forwarder, &request);
        if (result == RH_FULL) {
            rh_worker_send_pending(worker);
            result = rh_resend(&worker->forwarder, &request);
        }
        resent += result == RH_OK;
    }
    return resent;
}

enum rh_result rh_slot_get_report(
    const struct rh_worker *worker, rh_slot_id slot, struct rh_slot_report *report)
{
    return rh_media_slot_report(media_in(worker), slot, report);
}

enum rh_result rh_slot_destroy(struct rh_worker *worker, rh_slot_id slot)
{
    return rh_media_slot_destroy(media_of(worker), slot);
}
