/* Matching SSRCs with tracks. SPDX-License-Identifier: Apache-2.0 */
#include "forward/sources.h"

#include <string.h>

static const struct rh_match nowhere = {.track_index = RH_NO_INDEX};

/* True when the element is there and equals the text. */
static bool element_is(const struct rh_element *element, const uint8_t *bytes, const char *text)
{
    return element->offset != 0 && element->bytes == strlen(text)
        && memcmp(bytes + element->offset, text, element->bytes) == 0;
}

static bool is_payload_type(const struct rh_track_config *config, uint8_t type, bool is_rtx)
{
    return is_rtx ? config->rtx_payload_type != 0 && config->rtx_payload_type == type
                  : config->payload_type == type;
}

/* The encoding of a track that a packet with the track's MID belongs to. */
static struct rh_match match_rid(
    const struct rh_track *track, uint32_t index, const struct rh_packet *packet,
    const uint8_t *bytes)
{
    const struct rh_track_config *config = &track->config;
    const struct rh_element *repaired = &packet->elements[RH_ELEMENT_REPAIRED_RID];
    bool is_rtx = is_payload_type(config, packet->payload_type, true);
    if (!is_rtx && !is_payload_type(config, packet->payload_type, false))
        return nowhere;
    const struct rh_element *rid =
        is_rtx && repaired->offset != 0 ? repaired : &packet->elements[RH_ELEMENT_RID];
    for (uint8_t e = 0; e < config->encoding_count; e++)
        if (config->rid[e][0] != 0 && element_is(rid, bytes, config->rid[e]))
            return (struct rh_match){index, e, is_rtx};
    if (config->encoding_count == 1 && config->rid[0][0] == 0)
        return (struct rh_match){index, 0, is_rtx};
    return nowhere;
}

static struct rh_match match_declared(
    const struct rh_track *track, uint32_t index, uint32_t ssrc)
{
    for (uint8_t e = 0; e < track->config.encoding_count; e++) {
        if (track->config.ssrc[e] == ssrc)
            return (struct rh_match){index, e, false};
        if (track->config.rtx_ssrc[e] == ssrc)
            return (struct rh_match){index, e, true};
    }
    return nowhere;
}

struct rh_match rh_sources_match(
    const struct rh_media *media, const struct rh_peer *peer, const struct rh_packet *packet,
    const uint8_t *bytes)
{
    const struct rh_element *mid = &packet->elements[RH_ELEMENT_MID];
    struct rh_match by_type = nowhere;
    uint32_t with_type = 0;
    for (uint32_t i = peer->first_track; i != RH_NO_INDEX; i = media->tracks[i].next) {
        const struct rh_track *track = &media->tracks[i];
        if (mid->offset != 0 && element_is(mid, bytes, track->config.mid))
            return match_rid(track, i, packet, bytes);
    }
    for (uint32_t i = peer->first_track; i != RH_NO_INDEX; i = media->tracks[i].next) {
        const struct rh_track *track = &media->tracks[i];
        struct rh_match declared = match_declared(track, i, packet->ssrc);
        if (declared.track_index != RH_NO_INDEX)
            return declared;
        bool is_rtx = is_payload_type(&track->config, packet->payload_type, true);
        if (!is_rtx && !is_payload_type(&track->config, packet->payload_type, false))
            continue;
        with_type++;
        by_type = match_rid(track, i, packet, bytes);
    }
    return with_type == 1 && mid->offset == 0 ? by_type : nowhere;
}

static void tell_bound(
    struct rh_media *media, const struct rh_peer *peer, const struct rh_source *source)
{
    struct rh_track *track = &media->tracks[source->track_index];
    struct rh_event event = {
        .kind = RH_EVENT_SOURCE_BOUND, .encoding = source->encoding, .peer = peer->id,
        .track = track->id, .ssrc = source->ssrc, .count = source->is_rtx};
    if (rh_events_push(&media->events, event))
        return;
    track->encodings[source->encoding].announce |=
        source->is_rtx ? RH_ANNOUNCE_RTX_BOUND : RH_ANNOUNCE_BOUND;
    RH_COUNT(media, events_lost, 1);
}

bool rh_sources_take_over(
    struct rh_media *media, struct rh_peer *peer, struct rh_source *source, uint64_t now_us)
{
    struct rh_track *track = &media->tracks[source->track_index];
    struct rh_encoding *encoding = &track->encodings[source->encoding];
    uint32_t *feeding = source->is_rtx ? &encoding->rtx_ssrc : &encoding->ssrc;
    if (*feeding == source->ssrc)
        return true;
    bool is_new = source->last_arrival_us == 0;
    bool other_is_heard = encoding->last_arrival_us + RH_SOURCE_RETURN_US > now_us;
    if (!is_new && *feeding != 0 && other_is_heard)
        return false;
    bool replaces = *feeding != 0 && !source->is_rtx;
    *feeding = source->ssrc;
    if (replaces)
        rh_media_restart_encoding(media, track, source->encoding);
    tell_bound(media, peer, source);
    return true;
}
