/* Any series of packets, targets and switches through selection and rewriting.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Eight bytes an event. Numbers only ever rise within an encoding, as the receive window sees to;
 * all else is the input's. Outgoing numbers must rise too, by one at a switch. */
#include "select/rewrite.h"
#include "select/select.h"
#include "wire/assert.h"
#include "wire/bytes.h"
#include "wire/seq.h"

enum { EVENT_BYTES = 8, FIRST_OUT = RH_SEQ64_FIRST + 5 };

struct slot {
    struct rh_select select;
    struct rh_rewrite rewrite;
    uint64_t highest_in[RH_ENCODINGS_MAX];
    uint64_t now_us;
};

static struct rh_packet packet_of(const uint8_t *event)
{
    uint8_t flags = event[5];
    return (struct rh_packet){
        .timestamp = rh_get32(event + 1), .payload_bytes = event[7] & 0x80 ? 0 : 50,
        .marker = flags & 1,
        .layer = {
            .picture_id = flags & 2 ? rh_get16(event + 6) & 0x7fff : -1,
            .picture_id_bytes = flags & 2 ? 2 : 0, .picture_id_offset = flags & 2 ? 1 : 0,
            .tl0_offset = flags & 4 ? 4 : 0, .tl0_pic_idx = event[6],
            .temporal = flags >> 3 & 3, .spatial = event[6] & 3, .keyframe = flags >> 5 & 1,
            .switch_up = flags >> 6 & 1, .is_dense = flags >> 7,
            .frame_end = event[6] >> 2 & 1}};
}

static void send(
    struct slot *slot, uint8_t encoding, const struct rh_packet *packet, const uint8_t *event)
{
    uint64_t seq64 = ++slot->highest_in[encoding];
    uint64_t before = slot->rewrite.highest_out_seq64;
    struct rh_select_decision decision = rh_select_decide(&slot->select, encoding, packet);
    if (decision.action == RH_SELECT_SWITCH) {
        struct rh_rewrite_source source = {
            .seq64 = seq64, .arrival_us = slot->now_us, .clock_rate = 90000, .step = 3000,
            .from = {(uint64_t)rh_get32(event + 2) << 32, event[3], event[4] & 1},
            .to = {(uint64_t)rh_get32(event + 3) << 30, event[5], event[4] & 2}};
        uint32_t last = slot->rewrite.last_timestamp;
        bool is_free = !slot->rewrite.has_sent || slot->rewrite.has_hole;
        struct rh_rewritten out = rh_rewrite_switch(&slot->rewrite, packet, &source);
        RH_ASSERT(out.seq64 == before + 1);
        RH_ASSERT(is_free || (int32_t)(out.timestamp - last) > 0);
    } else if (decision.action == RH_SELECT_FORWARD) {
        struct rh_rewritten out =
            rh_rewrite_forward(&slot->rewrite, packet, seq64, slot->now_us);
        RH_ASSERT(out.seq64 > before);
        RH_ASSERT(slot->rewrite.highest_out_seq64 == out.seq64);
    } else if (decision.action == RH_SELECT_DROP) {
        rh_rewrite_drop(&slot->rewrite, packet, seq64);
        RH_ASSERT(slot->rewrite.highest_out_seq64 >= before);
    }
    rh_select_decide_late(&slot->select, packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct slot slot = {.highest_in = {70000, 80000, 90000}, .now_us = 1};
    const struct rh_target first = {0, RH_SELECT_ALL, RH_SELECT_ALL};
    rh_select_init(&slot.select, RH_CODEC_VP8, first);
    rh_rewrite_init(&slot.rewrite, FIRST_OUT, 7);
    for (size_t at = 0; at + EVENT_BYTES <= size; at += EVENT_BYTES) {
        const uint8_t *event = bytes + at;
        uint8_t encoding = event[0] % RH_ENCODINGS_MAX;
        struct rh_target target = {encoding, event[1], event[2]};
        slot.highest_in[encoding] += event[0] >> 4 & 7;
        slot.now_us += (uint64_t)event[7] << (event[0] >> 4 & 7) * 4;
        if (event[0] == 255)
            rh_select_init(&slot.select, RH_CODEC_OPUS + event[3] % 5, target);
        else if (event[0] >= 240)
            rh_select_set_target(&slot.select, target);
        struct rh_packet packet = packet_of(event);
        send(&slot, encoding, &packet, event);
    }
    return 0;
}
