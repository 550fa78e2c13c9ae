/* Outgoing numbers of a slot. SPDX-License-Identifier: Apache-2.0 */
#include "select/rewrite.h"

#include "wire/assert.h"
#include "wire/bytes.h"
#include "wire/seq.h"

enum { PICTURE_ID_MASK = 0x7fff, LONG_ID = 0x8000, READABLE_BYTES = 8 };

/* Layer indices and TL0PICIDX behind a 7-bit picture id. */
enum { BEHIND_SHORT_ID_BYTES = 2 };

static const uint64_t second_us = 1000000;

/* More than 2^31 would look like a step back (3.3 hours of video). */
enum { ADVANCE_MAX = 1 << 30 };

void rh_rewrite_init(struct rh_rewrite *rewrite, uint64_t first_seq64, uint32_t first_timestamp)
{
    RH_ASSERT(first_seq64 >= RH_SEQ64_FIRST);
    *rewrite = (struct rh_rewrite){
        .highest_out_seq64 = first_seq64 - 1,
        .last_timestamp = first_timestamp,
    };
}

/* How far picture id to is after from; negative when before. Frame numbers of a dependency
 * descriptor (not in the payload) have 16 bits, picture ids 15. */
static int picture_distance(const struct rh_layer_info *layer, uint16_t from, uint16_t to)
{
    if (layer->picture_id_bytes == 0)
        return (int16_t)(uint16_t)(to - from);
    return (int16_t)(uint16_t)((uint32_t)(to - from) << 1) / 2;
}

static void note_picture_id(struct rh_rewrite *rewrite, const struct rh_layer_info *layer)
{
    uint16_t id = (uint16_t)(layer->picture_id + rewrite->run.picture_id_offset);
    if (!rewrite->has_picture_id || picture_distance(layer, rewrite->last_picture_id, id) > 0)
        rewrite->last_picture_id = id;
    rewrite->has_picture_id = true;
}

static void note_tl0(struct rh_rewrite *rewrite, const struct rh_layer_info *layer)
{
    uint8_t tl0 = (uint8_t)(layer->tl0_pic_idx + rewrite->run.tl0_offset);
    if (!rewrite->has_tl0 || (int8_t)(uint8_t)(tl0 - rewrite->last_tl0) > 0)
        rewrite->last_tl0 = tl0;
    rewrite->has_tl0 = true;
}

static struct rh_rewritten note_sent(
    struct rh_rewrite *rewrite, const struct rh_packet *packet, uint64_t arrival_us)
{
    struct rh_rewritten out = {
        .seq64 = rewrite->highest_out_seq64,
        .timestamp = packet->timestamp + rewrite->run.timestamp_offset,
    };
    if (packet->layer.picture_id >= 0)
        note_picture_id(rewrite, &packet->layer);
    if (packet->layer.tl0_offset != 0)
        note_tl0(rewrite, &packet->layer);
    rewrite->is_dropping = false;
    rewrite->has_hole = false;
    rewrite->has_sent = true;
    rewrite->last_arrival_us = arrival_us;
    rewrite->last_timestamp = out.timestamp;
    return out;
}

/* Clock units from one NTP time to another. */
static uint32_t clock_units(uint64_t from_ntp, uint64_t to_ntp, uint32_t clock_rate)
{
    __int128 span = (__int128)(int64_t)(to_ntp - from_ntp) * clock_rate;
    return (uint32_t)(span >> 32);
}

/* Sets both timestamp offsets for a source whose first timestamp is timestamp. */
static void align_timestamp(
    struct rh_rewrite *rewrite, uint32_t timestamp, const struct rh_rewrite_source *source)
{
    if (!rewrite->has_sent) {
        rewrite->aligned_offset = rewrite->last_timestamp - timestamp;
        rewrite->run.timestamp_offset = rewrite->aligned_offset;
        return;
    }
    uint64_t elapsed_us = source->arrival_us > rewrite->last_arrival_us
        ? source->arrival_us - rewrite->last_arrival_us : 0;
    uint64_t elapsed_units = elapsed_us / second_us * source->clock_rate
        + elapsed_us % second_us * source->clock_rate / second_us;
    if (elapsed_units > ADVANCE_MAX)
        elapsed_units = ADVANCE_MAX;
    uint32_t by_arrival = rewrite->last_timestamp + (uint32_t)elapsed_units;
    uint32_t out = by_arrival;
    if (source->from.known && source->to.known) {
        uint32_t at_report = source->from.rtp + rewrite->aligned_offset
            + clock_units(source->from.ntp, source->to.ntp, source->clock_rate);
        uint32_t by_reports = at_report + (timestamp - source->to.rtp);
        int64_t apart = (int32_t)(by_reports - by_arrival);
        if (apart <= source->clock_rate && -apart <= source->clock_rate)
            out = by_reports;
    }
    rewrite->aligned_offset = out - timestamp;
    if ((int32_t)(out - rewrite->last_timestamp) < (int32_t)source->step)
        out = rewrite->last_timestamp + source->step;
    if (rewrite->has_hole && (int32_t)(out - rewrite->hole_timestamp) < 0)
        out = rewrite->hole_timestamp;
    rewrite->run.timestamp_offset = out - timestamp;
}

struct rh_rewritten rh_rewrite_switch(
    struct rh_rewrite *rewrite, const struct rh_packet *packet,
    const struct rh_rewrite_source *source)
{
    RH_ASSERT(source->step > 0);
    RH_ASSERT(source->clock_rate > 0);
    const struct rh_layer_info *layer = &packet->layer;
    align_timestamp(rewrite, packet->timestamp, source);
    rewrite->run.first_in_seq64 = source->seq64;
    rewrite->run.first_out_seq64 = ++rewrite->highest_out_seq64;
    if (layer->picture_id >= 0)
        rewrite->run.picture_id_offset = rewrite->has_picture_id
            ? (uint16_t)(rewrite->last_picture_id + 1 - layer->picture_id) : 0;
    if (layer->tl0_offset != 0)
        rewrite->run.tl0_offset =
            rewrite->has_tl0 ? (uint8_t)(rewrite->last_tl0 + 1 - layer->tl0_pic_idx) : 0;
    rewrite->highest_in_seq64 = source->seq64;
    rewrite->has_dropped_picture = false;
    return note_sent(rewrite, packet, source->arrival_us);
}

struct rh_rewritten rh_rewrite_forward(
    struct rh_rewrite *rewrite, const struct rh_packet *packet, uint64_t seq64,
    uint64_t arrival_us)
{
    RH_ASSERT(seq64 > rewrite->highest_in_seq64);
    RH_ASSERT(seq64 >= rewrite->run.first_in_seq64);
    rewrite->highest_in_seq64 = seq64;
    rewrite->highest_out_seq64 =
        rewrite->run.first_out_seq64 + (seq64 - rewrite->run.first_in_seq64);
    return note_sent(rewrite, packet, arrival_us);
}

/* Picture ids close up when a picture is left out of which nothing was sent. Those of pictures
 * missing before it are kept for them. */
static void drop_picture(struct rh_rewrite *rewrite, const struct rh_layer_info *layer)
{
    uint16_t id = (uint16_t)layer->picture_id;
    if (rewrite->has_dropped_picture && rewrite->dropped_picture_id == id)
        return;
    uint16_t out = (uint16_t)(id + rewrite->run.picture_id_offset);
    if (picture_distance(layer, rewrite->last_picture_id, out) <= 0)
        return;
    rewrite->has_dropped_picture = true;
    rewrite->dropped_picture_id = id;
    rewrite->last_picture_id = out - 1;
    rewrite->run.picture_id_offset--;
}

/* A picture that is missing below a packet left out may still be sent. */
static void note_hole(struct rh_rewrite *rewrite, const struct rh_packet *packet)
{
    rewrite->has_hole = true;
    rewrite->hole_timestamp = packet->timestamp + rewrite->run.timestamp_offset;
}

void rh_rewrite_drop(struct rh_rewrite *rewrite, const struct rh_packet *packet, uint64_t seq64)
{
    RH_ASSERT(seq64 > rewrite->highest_in_seq64);
    RH_ASSERT(rewrite->highest_in_seq64 != 0);
    bool is_same_picture =
        rewrite->is_dropping && packet->timestamp == rewrite->dropped_timestamp;
    uint64_t reused = rewrite->run.first_out_seq64;
    if (!is_same_picture)
        reused += seq64 - rewrite->run.first_in_seq64;
    if (!is_same_picture && seq64 != rewrite->highest_in_seq64 + 1)
        note_hole(rewrite, packet);
    rewrite->run.first_in_seq64 = seq64 + 1;
    rewrite->run.first_out_seq64 = reused;
    rewrite->highest_in_seq64 = seq64;
    rewrite->highest_out_seq64 = reused - 1;
    rewrite->is_dropping = true;
    rewrite->dropped_timestamp = packet->timestamp;
    const struct rh_layer_info *layer = &packet->layer;
    if (layer->tl0_offset != 0)
        note_tl0(rewrite, layer);
    if (layer->picture_id < 0 || !rewrite->has_picture_id)
        return;
    if (layer->is_dense)
        drop_picture(rewrite, layer);
    else
        note_picture_id(rewrite, layer);
}

struct rh_patch rh_rewrite_patch(
    const struct rh_rewrite_run *run, const struct rh_layer_info *layer, const uint8_t *payload)
{
    struct rh_patch patch = {0};
    bool has_id = layer->picture_id_bytes != 0;
    bool changes_id = has_id
        && ((run->picture_id_offset & PICTURE_ID_MASK) != 0 || layer->picture_id_bytes == 1);
    bool changes_tl0 = layer->tl0_offset != 0 && run->tl0_offset != 0;
    if (!changes_id && !changes_tl0)
        return patch;
    size_t id_end = (size_t)layer->picture_id_offset + layer->picture_id_bytes;
    size_t skip = layer->tl0_offset != 0 ? layer->tl0_offset + 1u : id_end;
    RH_ASSERT(skip >= id_end && skip < READABLE_BYTES);
    size_t growth = layer->picture_id_bytes == 1;
    memcpy(patch.bytes, payload, READABLE_BYTES);
    if (has_id) {
        uint16_t id = (uint16_t)(layer->picture_id + run->picture_id_offset) & PICTURE_ID_MASK;
        if (growth != 0)
            memcpy(patch.bytes + id_end + 1, payload + id_end, BEHIND_SHORT_ID_BYTES);
        rh_put16(patch.bytes + layer->picture_id_offset, id | LONG_ID);
    }
    patch.skip = (uint8_t)skip;
    patch.count = (uint8_t)(skip + growth);
    if (layer->tl0_offset != 0)
        patch.bytes[patch.count - 1] = (uint8_t)(layer->tl0_pic_idx + run->tl0_offset);
    return patch;
}

size_t rh_patch_apply(
    const struct rh_patch *patch, const uint8_t *payload, size_t payload_bytes, uint8_t *out)
{
    RH_ASSERT(payload_bytes >= patch->skip);
    memcpy(out, patch->bytes, patch->count);
    memcpy(out + patch->count, payload + patch->skip, payload_bytes - patch->skip);
    return patch->count + payload_bytes - patch->skip;
}
