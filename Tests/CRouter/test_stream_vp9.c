/* A slot fed with VP9 of three spatial and two temporal layers, checked as a subscriber sees it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Packets are lost, the target changes at any packet. What is sent must have holes only for what
 * was lost; each picture that arrived whole ends with the one packet that has the marker; a layer
 * comes only with all below it and its own reference, and upwards only where the stream allows
 * it. */
#include "select/rewrite.h"
#include "select/select.h"
#include "wire/bytes.h"
#include "wire/payload.h"
#include "wire/seq.h"
#include "wire_support.h"

enum { SEEDS = 2000, PICTURES = 120, SPATIALS = 3, PAYLOAD_BYTES = 8, RATE = 90000 };

struct vp9_stream {
    struct dice dice;
    struct rh_select select;
    struct rh_rewrite rewrite;
    uint64_t next_seq64;
    uint64_t lost_since_sent;  /* packets that never arrived since the last one sent */
    uint64_t last_out_seq64;
    uint32_t timestamp, last_timestamp;
    uint16_t picture_id;
    int last_picture_id;       /* outgoing */
    uint8_t carried_spatials;  /* layers sent of the picture before, 0: none */
    bool is_whole;             /* nothing of this picture was lost */
    uint8_t sent_of_picture, markers_of_picture;
    bool last_was_marker;
    size_t sent, raised, lowered;
};

/* One packet a layer frame: I P L B E; pictures of TID 0 are switching points. */
static void write_payload(
    const struct vp9_stream *stream, bool is_key, uint8_t temporal, uint8_t spatial, uint8_t *out)
{
    out[0] = (uint8_t)(0x80 | (is_key ? 0 : 0x40) | 0x20 | 0x08 | 0x04);
    rh_put16(out + 1, stream->picture_id | 0x8000);
    out[3] = (uint8_t)(temporal << 5 | (temporal == 0) << 4 | spatial << 1 | (spatial > 0));
    out[4] = (uint8_t)(stream->picture_id / 2); /* TL0PICIDX */
    memset(out + 5, spatial, PAYLOAD_BYTES - 5);
}

static void check_sent(
    struct vp9_stream *stream, const struct rh_packet *packet, struct rh_rewritten out,
    bool marker)
{
    if (stream->sent > 0) {
        uint64_t step = out.seq64 - stream->last_out_seq64;
        assert_true(step >= 1 && step <= 1 + stream->lost_since_sent);
        int32_t forward = (int32_t)(out.timestamp - stream->last_timestamp);
        assert_true(stream->sent_of_picture == 0 ? forward > 0 : forward == 0);
    }
    /* layers come from below, without a gap unless one was lost */
    if (stream->is_whole)
        assert_int_equal(packet->layer.spatial, stream->sent_of_picture);
    stream->last_out_seq64 = out.seq64;
    stream->last_timestamp = out.timestamp;
    stream->lost_since_sent = 0;
    stream->sent++;
    stream->sent_of_picture++;
    stream->markers_of_picture += marker;
    stream->last_was_marker = marker;
}

static void send(struct vp9_stream *stream, const uint8_t *payload, uint64_t seq64, bool marker)
{
    uint8_t bytes[12 + PAYLOAD_BYTES] = {0};
    memcpy(bytes + 12, payload, PAYLOAD_BYTES);
    struct rh_packet packet = {
        .timestamp = stream->timestamp, .payload_offset = 12, .payload_bytes = PAYLOAD_BYTES,
        .marker = marker};
    assert_int_equal(rh_payload_parse(RH_CODEC_VP9, bytes, &packet), RH_OK);
    struct rh_rewrite_source source = {
        .seq64 = seq64, .arrival_us = seq64, .clock_rate = RATE, .step = 3000};
    struct rh_select_decision decision = rh_select_decide(&stream->select, 0, &packet);
    if (decision.action == RH_SELECT_SWITCH)
        check_sent(stream, &packet, rh_rewrite_switch(&stream->rewrite, &packet, &source),
                   decision.marker);
    else if (decision.action == RH_SELECT_FORWARD)
        check_sent(stream, &packet,
                   rh_rewrite_forward(&stream->rewrite, &packet, seq64, seq64),
                   decision.marker);
    else if (decision.action == RH_SELECT_DROP)
        rh_rewrite_drop(&stream->rewrite, &packet, seq64);
    /* picture ids are never closed up: references are distances between them */
    assert_int_equal(stream->rewrite.run.picture_id_offset, 0);
}

static void end_picture(struct vp9_stream *stream, bool is_key, uint8_t temporal)
{
    if (!stream->is_whole || stream->sent_of_picture == 0) {
        stream->carried_spatials = stream->is_whole && temporal == 1
            ? stream->carried_spatials : 0;
        return;
    }
    assert_int_equal(stream->markers_of_picture, 1);
    assert_true(stream->last_was_marker);
    if (stream->carried_spatials != 0 && !is_key)
        assert_true(stream->sent_of_picture <= stream->carried_spatials);
    stream->raised += stream->sent_of_picture > stream->carried_spatials;
    stream->lowered += stream->sent_of_picture < stream->carried_spatials;
    stream->carried_spatials = stream->sent_of_picture;
}

static void make_picture(struct vp9_stream *stream, uint32_t number)
{
    uint8_t temporal = number % 2;
    bool is_key = number == 0 || (temporal == 0 && roll_percent(&stream->dice, 6));
    stream->is_whole = true;
    stream->sent_of_picture = stream->markers_of_picture = 0;
    for (uint8_t spatial = 0; spatial < SPATIALS; spatial++) {
        uint8_t payload[PAYLOAD_BYTES];
        write_payload(stream, is_key, temporal, spatial, payload);
        uint64_t seq64 = stream->next_seq64++;
        if (roll_percent(&stream->dice, 5))
            rh_select_set_target(&stream->select, (struct rh_target){
                0, (uint8_t)roll_below(&stream->dice, SPATIALS),
                (uint8_t)roll_below(&stream->dice, 2)});
        if (roll_percent(&stream->dice, 3)) {
            stream->is_whole = false;
            stream->lost_since_sent++;
            continue;
        }
        send(stream, payload, seq64, spatial + 1 == SPATIALS);
    }
    end_picture(stream, is_key, temporal);
    stream->timestamp += 3000;
    stream->picture_id = (uint16_t)((stream->picture_id + 1) & 0x7fff);
}

static void layersAreThinnedWithoutATrace(void **state)
{
    (void)state;
    size_t sent = 0, raised = 0, lowered = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct vp9_stream stream = {.dice = {seed}, .next_seq64 = RH_SEQ64_FIRST + 99};
        stream.timestamp = (uint32_t)roll(&stream.dice);
        stream.picture_id = (uint16_t)(roll(&stream.dice) & 0x7fff);
        rh_select_init(&stream.select, RH_CODEC_VP9, (struct rh_target){0, 1, 255});
        rh_rewrite_init(&stream.rewrite, RH_SEQ64_FIRST + 5, 1);
        for (uint32_t number = 0; number < PICTURES; number++)
            make_picture(&stream, number);
        sent += stream.sent;
        raised += stream.raised;
        lowered += stream.lowered;
    }
    print_message("%zu packets, %zu raised, %zu lowered\n", sent, raised, lowered);
    assert_true(sent > SEEDS * 50 && raised > SEEDS && lowered > SEEDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layersAreThinnedWithoutATrace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
