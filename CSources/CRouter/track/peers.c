/* Peers: addresses, keys, sources. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "track/media.h"
#include "wire/assert.h"

/* ---- Sources ------------------------------------------------------------------------------- */

struct rh_source *rh_peer_find_source(struct rh_peer *peer, uint32_t ssrc)
{
    for (uint32_t i = 0; i < peer->source_count; i++)
        if (peer->sources[i].ssrc == ssrc)
            return &peer->sources[i];
    return NULL;
}

/* True when a is to give way before b. */
static bool gives_way(const struct rh_source *a, const struct rh_source *b)
{
    bool a_ended = a->track_index == RH_NO_INDEX, b_ended = b->track_index == RH_NO_INDEX;
    return a_ended != b_ended ? a_ended : a->last_arrival_us < b->last_arrival_us;
}

struct rh_source *rh_peer_add_source(struct rh_peer *peer, uint32_t ssrc)
{
    struct rh_source *chosen = &peer->sources[0];
    if (peer->source_count < RH_SOURCES_PER_PEER)
        chosen = &peer->sources[peer->source_count++];
    else
        for (uint32_t i = 1; i < peer->source_count; i++)
            if (gives_way(&peer->sources[i], chosen))
                chosen = &peer->sources[i];
    *chosen = (struct rh_source){.ssrc = ssrc, .track_index = RH_NO_INDEX};
    return chosen;
}

void rh_peer_release_sources(struct rh_peer *peer, uint32_t track_index)
{
    for (uint32_t i = 0; i < peer->source_count; i++)
        if (peer->sources[i].track_index == track_index)
            peer->sources[i].track_index = RH_NO_INDEX;
}

void rh_peer_note_arrival(struct rh_peer *peer, uint16_t transport_seq, uint64_t arrival_us)
{
    if (peer->arrivals_count == RH_ARRIVALS_PER_PEER)
        return;
    uint32_t place = (peer->arrivals_first + peer->arrivals_count) % RH_ARRIVALS_PER_PEER;
    peer->arrivals[place] =
        (struct rh_arrival){.arrival_us = arrival_us, .transport_seq = transport_seq};
    peer->arrivals_count++;
}

/* ---- Life ---------------------------------------------------------------------------------- */

enum rh_result rh_media_peer_create(struct rh_media *media, rh_peer_id *out)
{
    *out = rh_handles_take(&media->peer_handles);
    if (*out == 0)
        return RH_FULL;
    struct rh_peer *peer = &media->peers[rh_handles_index(&media->peer_handles, *out)];
    memset(peer, 0, sizeof *peer);
    peer->id = *out;
    peer->first_track = RH_NO_INDEX;
    peer->first_slot = RH_NO_INDEX;
    rh_extension_map_init(&peer->map, &peer->extensions);
    return RH_OK;
}

enum rh_result rh_media_peer_destroy(struct rh_media *media, rh_peer_id id)
{
    struct rh_peer *peer = rh_media_peer(media, id);
    if (peer == NULL)
        return RH_STALE;
    while (peer->first_slot != RH_NO_INDEX)
        rh_media_slot_destroy(media, media->slots[peer->first_slot].id);
    while (peer->first_track != RH_NO_INDEX)
        rh_media_track_destroy(media, media->tracks[peer->first_track].id);
    for (uint32_t i = 0; i < peer->address_count; i++)
        rh_addresses_remove(&media->addresses, &peer->addresses[i]);
    rh_srtp_receive_deinit(&peer->receive);
    rh_srtp_send_deinit(&peer->send);
    memset(&peer->receive_keys, 0, sizeof peer->receive_keys);
    memset(&peer->send_keys, 0, sizeof peer->send_keys);
    peer->has_keys = false;
    rh_handles_release(&media->peer_handles, id);
    return RH_OK;
}

/* A resend must have the bytes of the first sending, which other ids would change. */
static void forget_runs(struct rh_media *media, const struct rh_peer *peer)
{
    for (uint32_t i = peer->first_slot; i != RH_NO_INDEX; i = media->slots[i].next)
        if (media->slots[i].config.rtx_ssrc == 0)
            media->slots[i].runs.count = 0;
}

enum rh_result rh_media_peer_set_extensions(
    struct rh_media *media, rh_peer_id id, const struct rh_extension_ids *ids)
{
    struct rh_peer *peer = rh_media_peer(media, id);
    if (peer == NULL)
        return RH_STALE;
    if (memcmp(&peer->extensions, ids, sizeof *ids) != 0)
        forget_runs(media, peer);
    peer->extensions = *ids;
    peer->lasting = *ids;
    peer->lasting.abs_send_time = 0;
    peer->lasting.transport_seq = 0;
    /* Nobody reads feedback on transport-wide numbers of ours, and a receiver that sees them sends
     * no REMB: they are read, not written. */
    peer->extensions.transport_seq = 0;
    rh_extension_map_init(&peer->map, ids);
    for (uint32_t i = peer->first_slot; i != RH_NO_INDEX; i = media->slots[i].next)
        media->slots[i].has_header = false;
    return RH_OK;
}

/* ---- Addresses ----------------------------------------------------------------------------- */

static void forget_address(struct rh_peer *peer, const struct rh_address *address)
{
    for (uint32_t i = 0; i < peer->address_count; i++) {
        if (!rh_address_equal(&peer->addresses[i], address))
            continue;
        peer->address_count--;
        memmove(&peer->addresses[i], &peer->addresses[i + 1],
                (peer->address_count - i) * sizeof *peer->addresses);
        return;
    }
}

/* Makes room for one more address: the oldest that is not selected gives way. */
static void make_room(struct rh_media *media, struct rh_peer *peer)
{
    if (peer->address_count < RH_ADDRESSES_PER_PEER)
        return;
    bool first_is_selected =
        peer->has_selection && rh_address_equal(&peer->addresses[0], &peer->selected);
    struct rh_address leaving = peer->addresses[first_is_selected ? 1 : 0];
    rh_addresses_remove(&media->addresses, &leaving);
    forget_address(peer, &leaving);
}

enum rh_result rh_media_peer_add_address(
    struct rh_media *media, rh_peer_id id, const struct rh_address *address)
{
    struct rh_peer *peer = rh_media_peer(media, id);
    if (peer == NULL)
        return RH_STALE;
    if (address->family != 4 && address->family != 6)
        return RH_MALFORMED;
    uint32_t index = (uint32_t)(peer - media->peers);
    uint32_t holder = rh_addresses_find(&media->addresses, address);
    if (holder == index)
        return RH_OK;
    if (holder != RH_NO_INDEX) {
        struct rh_peer *other = &media->peers[holder];
        forget_address(other, address);
        if (other->has_selection && rh_address_equal(&other->selected, address))
            other->has_selection = false;
    }
    make_room(media, peer);
    if (!rh_addresses_set(&media->addresses, address, index))
        return RH_FULL;
    peer->addresses[peer->address_count++] = *address;
    return RH_OK;
}

enum rh_result rh_media_peer_select_address(
    struct rh_media *media, rh_peer_id id, const struct rh_address *address)
{
    enum rh_result result = rh_media_peer_add_address(media, id, address);
    if (result != RH_OK)
        return result;
    struct rh_peer *peer = rh_media_peer(media, id);
    peer->selected = *address;
    peer->has_selection = true;
    return RH_OK;
}

/* ---- Keys ---------------------------------------------------------------------------------- */

/* Under new keys the receiver counts the rollovers of each stream from 0 (RFC 3711 section
 * 3.3.1), so the SRTP index of a slot begins anew in the cycle where its numbers are. */
static void restart_indexes(struct rh_media *media, struct rh_peer *peer)
{
    for (uint32_t i = peer->first_slot; i != RH_NO_INDEX; i = media->slots[i].next) {
        struct rh_slot *slot = &media->slots[i];
        slot->index_base = (slot->rewrite.highest_out_seq64 + 1) & ~(uint64_t)0xffff;
        slot->rtx_index_base = slot->rtx_next_seq64 & ~(uint64_t)0xffff;
    }
    for (uint32_t i = 0; i < peer->source_count; i++)
        peer->sources[i].srtp = (struct rh_srtp_source){0};
}

static bool same_keys(const struct rh_peer *peer, const struct rh_media_keys *keys)
{
    return peer->send.profile == keys->profile
        && memcmp(&peer->send_keys, &keys->send, sizeof keys->send) == 0
        && memcmp(&peer->receive_keys, &keys->receive, sizeof keys->receive) == 0;
}

enum rh_result rh_media_peer_set_srtp(
    struct rh_media *media, rh_peer_id id, const struct rh_media_keys *keys)
{
    struct rh_peer *peer = rh_media_peer(media, id);
    if (peer == NULL)
        return RH_STALE;
    if (peer->has_keys && same_keys(peer, keys))
        return RH_OK; /* beginning anew would use numbers twice under one key */
    const struct rh_cipher_backend *backend = rh_cipher_choose();
    struct rh_srtp_receive receive;
    struct rh_srtp_send send;
    enum rh_result result =
        rh_srtp_receive_init(&receive, backend, keys->profile, &keys->receive);
    if (result != RH_OK)
        return result;
    result = rh_srtp_send_init(&send, backend, keys->profile, &keys->send);
    if (result != RH_OK) {
        rh_srtp_receive_deinit(&receive);
        return result;
    }
    rh_srtp_receive_deinit(&peer->receive);
    rh_srtp_send_deinit(&peer->send);
    peer->receive = receive;
    peer->send = send;
    peer->receive_keys = keys->receive;
    peer->send_keys = keys->send;
    peer->has_keys = true;
    restart_indexes(media, peer);
    return RH_OK;
}
