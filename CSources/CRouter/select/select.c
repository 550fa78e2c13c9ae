/* Which packets of a track a slot carries. SPDX-License-Identifier: Apache-2.0 */
#include "select/select.h"

#include "wire/assert.h"

/* Half a second of video: packets that come later than this are given up everywhere. */
enum { RAISE_UNITS = 45000 };

void rh_select_init(struct rh_select *select, enum rh_codec codec, struct rh_target target)
{
    *select = (struct rh_select){
        .target = target,
        .codec = (uint8_t)codec,
        .carried = RH_SELECT_NOTHING,
        .spatial = target.spatial,
        .temporal = target.temporal,
    };
}

void rh_select_set_target(struct rh_select *select, struct rh_target target)
{
    select->target = target;
}

static inline struct rh_select_decision decision(enum rh_select_action action, bool marker)
{
    return (struct rh_select_decision){.action = (uint8_t)action, .marker = marker};
}

/* The highest temporal layer to carry from this picture on. */
static uint8_t temporal_of(const struct rh_select *select, const struct rh_layer_info *layer)
{
    uint8_t wanted = select->target.temporal;
    if (wanted <= select->temporal || layer->keyframe)
        return wanted;
    if (!layer->switch_up)
        return select->temporal;
    /* VP8: Y says that this picture refers to the base layer only; a layer further up may refer
     * to what was left out (RFC 7741 section 4.2). VP9: after U at a carried picture nothing
     * above refers to what was left out (RFC 9628 section 4.2). */
    if (select->codec == RH_CODEC_VP8)
        return layer->temporal == select->temporal + 1 ? layer->temporal : select->temporal;
    return layer->temporal <= select->temporal ? wanted : select->temporal;
}

static uint8_t lower_of(uint8_t left, uint8_t right)
{
    return left < right ? left : right;
}

/* Remembers what was carried before more layers are. Two raises within RAISE_UNITS count as one. */
static void note_raise(struct rh_select *select, uint32_t timestamp)
{
    if (timestamp - select->raised_timestamp > RAISE_UNITS)
        select->raised_spatial = select->raised_temporal = RH_SELECT_ALL;
    select->raised_spatial = lower_of(select->raised_spatial, select->spatial);
    select->raised_temporal = lower_of(select->raised_temporal, select->temporal);
    select->raised_timestamp = timestamp;
}

/* Layers change between pictures only, so none is sent by half. */
static void begin_picture(struct rh_select *select, const struct rh_packet *packet)
{
    uint8_t temporal = temporal_of(select, &packet->layer);
    uint8_t spatial = select->spatial;
    if (select->target.spatial < spatial || packet->layer.keyframe)
        spatial = select->target.spatial;
    if (temporal > select->temporal || spatial > select->spatial)
        note_raise(select, packet->timestamp);
    select->temporal = temporal;
    select->spatial = spatial;
    select->in_picture = true;
    select->picture_timestamp = packet->timestamp;
}

/* The source's marker sits on its highest layer's last packet; where that is left out, the last
 * packet of the highest layer carried ends the picture. */
static bool marker_of(const struct rh_select *select, const struct rh_packet *packet)
{
    return packet->marker
        || (select->codec == RH_CODEC_VP9 && packet->layer.frame_end
            && packet->layer.spatial == select->spatial);
}

static bool is_carried(const struct rh_select *select, const struct rh_layer_info *layer)
{
    return layer->temporal <= select->temporal && layer->spatial <= select->spatial;
}

static struct rh_select_decision decide_other(
    struct rh_select *select, uint8_t encoding, const struct rh_packet *packet)
{
    bool is_wanted = encoding == select->target.encoding;
    bool can_begin = select->codec == RH_CODEC_OPUS || packet->layer.keyframe;
    if (!is_wanted || !can_begin || packet->payload_bytes == 0)
        return decision(RH_SELECT_IGNORE, false);
    select->carried = encoding;
    begin_picture(select, packet);
    /* When it was carried before, what else than the base layer was is no longer known. */
    select->raised_spatial = select->raised_temporal = 0;
    select->raised_timestamp = packet->timestamp;
    return decision(RH_SELECT_SWITCH, marker_of(select, packet));
}

struct rh_select_decision rh_select_decide(
    struct rh_select *select, uint8_t encoding, const struct rh_packet *packet)
{
    RH_ASSERT(encoding < RH_ENCODINGS_MAX);
    if (encoding != select->carried)
        return decide_other(select, encoding, packet);
    if (packet->payload_bytes == 0)
        return decision(RH_SELECT_DROP, false);
    if (!select->in_picture || packet->timestamp != select->picture_timestamp)
        begin_picture(select, packet);
    if (!is_carried(select, &packet->layer))
        return decision(RH_SELECT_DROP, false);
    return decision(RH_SELECT_FORWARD, marker_of(select, packet));
}

struct rh_select_decision rh_select_decide_late(
    const struct rh_select *select, const struct rh_packet *packet)
{
    const struct rh_layer_info *layer = &packet->layer;
    bool was_before = (int32_t)(packet->timestamp - select->raised_timestamp) < 0;
    if (packet->payload_bytes == 0 || !is_carried(select, layer)
        || (was_before && (layer->spatial > select->raised_spatial
                           || layer->temporal > select->raised_temporal)))
        return decision(RH_SELECT_IGNORE, false);
    return decision(RH_SELECT_FORWARD, marker_of(select, packet));
}
