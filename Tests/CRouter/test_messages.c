/* Waiting packets as messages: nothing is lost, changed or out of order, whatever the sizes.
 * SPDX-License-Identifier: Apache-2.0 */
#include "forward/messages.h"
#include "wire/bytes.h"
#include "wire/seq.h"
#include "wire_support.h"

enum {
    TRACKS = 6,      /* video 0..3 with and without RTX in turn, audio 4 and 5 */
    SUBSCRIBERS = 3,
    PT_IN = 96, PT_OUT = 100, PT_RTX_OUT = 101,
    PACKETS_MAX = 4000,
};

/* A packet as a subscriber got it. */
struct got {
    uint32_t ssrc;
    uint16_t seq;
    uint16_t payload_bytes;
    uint32_t timestamp;
    uint64_t sum; /* of the payload */
    uint8_t padding_bytes;
};

struct room {
    struct rh_forwarder forwarder;
    rh_track_id tracks[TRACKS];
    rh_peer_id peers[SUBSCRIBERS];
    rh_slot_id slots[SUBSCRIBERS][TRACKS];
    struct rh_srtp_receive opened[SUBSCRIBERS];
    uint64_t seq64[TRACKS];
    struct got got[SUBSCRIBERS][PACKETS_MAX];
    uint32_t got_count[SUBSCRIBERS];
    uint32_t messages;
};

static const struct rh_srtp_keys keys_out = {.key = {1, 2, 3}, .salt = {4, 5}};

static bool has_rtx(uint32_t track)
{
    return track % 2 == 0 && track < 4;
}

static void make_slots(struct room *room, uint32_t subscriber)
{
    struct rh_media *media = &room->forwarder.media;
    for (uint32_t t = 0; t < TRACKS; t++) {
        struct rh_slot_config config = {
            .kind = t < 4 ? RH_VIDEO : RH_AUDIO, .ssrc = 1000 * (subscriber + 1) + t,
            .rtx_ssrc = has_rtx(t) ? 500000 + 1000 * subscriber + t : 0, .clock_rate = 90000,
            .mid = "m"};
        struct rh_slot_binding binding = {
            .track = room->tracks[t], .payload_type = PT_OUT,
            .rtx_payload_type = has_rtx(t) ? PT_RTX_OUT : 0, .target = {0, 255, 255}};
        rh_slot_id *slot = &room->slots[subscriber][t];
        assert_int_equal(
            rh_media_slot_create(media, room->peers[subscriber], &config, slot), RH_OK);
        assert_int_equal(rh_media_slot_bind(media, *slot, &binding, 1), RH_OK);
    }
}

static struct room *room_make(void)
{
    static const struct rh_extension_ids ids = {
        .mid = 1, .abs_send_time = 2, .audio_level = 3, .video_orientation = 4};
    struct room *room = calloc(1, sizeof *room);
    struct rh_media_sizes sizes = {
        .peers_max = 16, .tracks_max = 16, .slots_max = 64, .buffers_max = 4096, .seed = 7};
    assert_int_equal(rh_forwarder_init(&room->forwarder, &sizes), RH_OK);
    struct rh_media *media = &room->forwarder.media;
    for (uint32_t t = 0; t < TRACKS; t++) {
        /* Mirrors: packets come in parsed and in clear. */
        struct rh_track_config config = {
            .kind = t < 4 ? RH_VIDEO : RH_AUDIO, .codec = t < 4 ? RH_CODEC_VP8 : RH_CODEC_OPUS,
            .payload_type = PT_IN, .encoding_count = 1, .clock_rate = 90000, .mid = "v"};
        assert_int_equal(rh_media_track_create(media, 0, &config, &room->tracks[t]), RH_OK);
        room->seq64[t] = RH_SEQ64_FIRST + 100 * t;
    }
    struct rh_media_keys keys = {.profile = RH_SRTP_AEAD_AES_128_GCM, .send = keys_out};
    for (uint32_t s = 0; s < SUBSCRIBERS; s++) {
        struct rh_address address = {
            .family = 4, .port = (uint16_t)(100 + s), .ip = {127, 0, 0, 1}};
        assert_int_equal(rh_media_peer_create(media, &room->peers[s]), RH_OK);
        assert_int_equal(rh_media_peer_set_extensions(media, room->peers[s], &ids), RH_OK);
        assert_int_equal(rh_media_peer_select_address(media, room->peers[s], &address), RH_OK);
        assert_int_equal(rh_media_peer_set_srtp(media, room->peers[s], &keys), RH_OK);
        assert_int_equal(
            rh_srtp_receive_init(&room->opened[s], rh_cipher_choose(), keys.profile, &keys_out),
            RH_OK);
        make_slots(room, s);
    }
    return room;
}

static void room_end(struct room *room)
{
    for (uint32_t s = 0; s < SUBSCRIBERS; s++)
        rh_srtp_receive_deinit(&room->opened[s]);
    rh_forwarder_deinit(&room->forwarder);
    free(room);
}

/* Opens one datagram as its subscriber would and notes it. */
static void take(struct room *room, uint32_t subscriber, const uint8_t *datagram, size_t size)
{
    uint8_t bytes[RH_PACKET_BYTES_MAX];
    assert_in_range(size, 28, sizeof bytes);
    memcpy(bytes, datagram, size);
    struct rh_packet packet;
    assert_int_equal(rh_packet_parse_header(bytes, size, &packet), RH_OK);
    static struct rh_srtp_source source; /* replay is not what is tested here */
    memset(&source, 0, sizeof source);
    struct rh_srtp_packet srtp = {.bytes = bytes, .size = size};
    assert_int_equal(
        rh_srtp_unprotect_rtp(&room->opened[subscriber], &source, &packet, &srtp), RH_OK);
    static struct rh_extension_map map;
    assert_int_equal(rh_packet_parse_rest(bytes, srtp.size, &map, &packet), RH_OK);
    struct got got = {
        .ssrc = packet.ssrc, .seq = packet.seq, .payload_bytes = packet.payload_bytes,
        .timestamp = packet.timestamp, .padding_bytes = packet.padding_bytes};
    for (uint32_t i = 0; i < packet.payload_bytes; i++)
        got.sum = got.sum * 31 + bytes[packet.payload_offset + i];
    assert_in_range(room->got_count[subscriber], 0, PACKETS_MAX - 1);
    room->got[subscriber][room->got_count[subscriber]++] = got;
}

/* Cuts the messages apart as the kernel would. */
static void take_queue(struct room *room)
{
    struct rh_sendqueue *queue = &room->forwarder.queue;
    for (uint32_t i = 0; i < queue->count; i++) {
        const struct rh_sendqueue_entry *entry = &queue->entries[i];
        uint32_t subscriber = entry->to.port - 100;
        uint32_t at = 0, segments = 0;
        for (; at < entry->size; at += entry->segment_bytes, segments++) {
            uint32_t left = entry->size - at;
            take(room, subscriber, queue->arena + entry->offset + at,
                 left < entry->segment_bytes ? left : entry->segment_bytes);
        }
        assert_int_equal(segments, entry->segments);
        assert_true(segments <= RH_SEGMENTS_MAX && entry->size <= RH_MESSAGE_BYTES_MAX);
    }
    room->messages += queue->count;
    rh_sendqueue_clear(queue);
}

static void write_all(struct room *room)
{
    enum rh_result result;
    do {
        result = rh_forwarder_write_pending(&room->forwarder, 9000000);
        take_queue(room);
    } while (result == RH_FULL);
    assert_false(rh_forwarder_has_pending(&room->forwarder));
}

/* One packet of a track into the room. */
static void feed(struct room *room, uint32_t track, uint16_t payload_bytes, struct dice *dice)
{
    static struct rh_relay_entry entry;
    memset(&entry, 0, sizeof entry);
    uint64_t seq64 = room->seq64[track]++;
    uint8_t *bytes = entry.bytes;
    bytes[0] = 0x80;
    bytes[1] = PT_IN;
    rh_put16(bytes + 2, (uint16_t)seq64);
    rh_put32(bytes + 4, (uint32_t)seq64 * 3000);
    rh_put32(bytes + 8, 77 + track);
    roll_bytes(dice, bytes + 12, payload_bytes);
    if (track < 4) { /* VP8, no picture id, every packet a keyframe's first */
        bytes[12] = 0x10;
        bytes[13] = 0x00;
    }
    entry.size = (uint16_t)(12 + payload_bytes);
    assert_int_equal(rh_packet_parse_header(bytes, entry.size, &entry.packet), RH_OK);
    static struct rh_extension_map map;
    assert_int_equal(rh_packet_parse_rest(bytes, entry.size, &map, &entry.packet), RH_OK);
    enum rh_codec codec = track < 4 ? RH_CODEC_VP8 : RH_CODEC_OPUS;
    assert_int_equal(rh_payload_parse(codec, bytes, &entry.packet), RH_OK);
    entry.mirror = room->tracks[track];
    entry.arrival_us = 8999000;
    entry.seq64 = seq64;
    struct rh_buffer *buffer = rh_media_take_buffer(&room->forwarder.media);
    struct rh_received received = rh_receive_relayed(&room->forwarder, buffer, &entry);
    assert_int_equal(received.step, RH_RECEIVE_FORWARD);
    while (rh_forward(&room->forwarder, &received.job, 9000000) == RH_FULL)
        write_all(room);
    rh_buffers_release(&room->forwarder.media.buffers, buffer);
    room->forwarder.media.events.count = 0;
}

/* ---- Everything arrives as it was --------------------------------------------------- */

static int by_stream(const void *left, const void *right)
{
    const struct got *a = left, *b = right;
    if (a->ssrc != b->ssrc)
        return a->ssrc < b->ssrc ? -1 : 1;
    return (a->seq > b->seq) - (a->seq < b->seq);
}

/* Feeds the same packets with other settings; returns the room. */
static struct room *run(uint64_t seed, uint16_t padding_bytes_max, bool segmentation_off)
{
    struct dice dice = {seed};
    struct room *room = room_make();
    room->forwarder.padding_bytes_max = padding_bytes_max;
    room->forwarder.segmentation_off = segmentation_off;
    for (uint32_t round = 0; round < 20; round++) {
        uint32_t packets = roll_below(&dice, round == 7 ? 400 : 60);
        uint32_t span = 1 + roll_below(&dice, 1300);
        for (uint32_t i = 0; i < packets; i++)
            feed(room, roll_below(&dice, TRACKS), (uint16_t)(2 + roll_below(&dice, span)), &dice);
        write_all(room);
    }
    return room;
}

static void check_order(const struct room *room, uint32_t subscriber)
{
    uint16_t last[TRACKS] = {0};
    bool seen[TRACKS] = {false};
    for (uint32_t i = 0; i < room->got_count[subscriber]; i++) {
        const struct got *got = &room->got[subscriber][i];
        uint32_t track = got->ssrc % 1000;
        if (seen[track])
            assert_int_equal((uint16_t)(last[track] + 1), got->seq);
        seen[track] = true;
        last[track] = got->seq;
    }
}

static void nothingIsLostOrChangedByCutting(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 25; seed++) {
        struct room *plain = run(seed, 0, true);
        static const uint16_t paddings[] = {0, 8, 16, 32, RH_PADDING_BYTES_MAX};
        struct room *cut = run(seed, paddings[seed % 5], false);
        assert_int_equal(plain->messages, plain->forwarder.media.counters.forwarded_packets);
        assert_true(cut->messages < plain->messages);
        for (uint32_t s = 0; s < SUBSCRIBERS; s++) {
            check_order(plain, s);
            check_order(cut, s);
            uint32_t count = plain->got_count[s];
            assert_int_equal(cut->got_count[s], count);
            qsort(plain->got[s], count, sizeof(struct got), by_stream);
            qsort(cut->got[s], count, sizeof(struct got), by_stream);
            for (uint32_t i = 0; i < count; i++) {
                const struct got *a = &plain->got[s][i], *b = &cut->got[s][i];
                assert_int_equal(a->ssrc, b->ssrc);
                assert_int_equal(a->seq, b->seq);
                assert_int_equal(a->timestamp, b->timestamp);
                assert_int_equal(a->payload_bytes, b->payload_bytes);
                assert_true(a->sum == b->sum);
                assert_int_equal(a->padding_bytes, 0);
                assert_true(b->padding_bytes <= cut->forwarder.padding_bytes_max);
                uint32_t track = b->ssrc % 1000;
                if (track < 4 && !has_rtx(track)) /* may be sent again under its number */
                    assert_int_equal(b->padding_bytes, 0);
            }
        }
        room_end(plain);
        room_end(cut);
    }
}

/* A frame of equal packets, but its last: one message for each subscriber. */
static void framesBecomeOneMessage(void **state)
{
    (void)state;
    struct dice dice = {5};
    struct room *room = room_make();
    for (uint32_t i = 0; i < 10; i++)
        feed(room, 1, i < 9 ? 1100 : 321, &dice); /* without RTX: not padded */
    write_all(room);
    assert_int_equal(room->messages, SUBSCRIBERS);
    assert_int_equal(room->forwarder.media.counters.padded_packets, 0);
    room_end(room);
}

static void paddingJoinsNeighbours(void **state)
{
    (void)state;
    struct dice dice = {6};
    struct room *room = room_make();
    room->forwarder.padding_bytes_max = 32;
    feed(room, 4, 90, &dice);
    feed(room, 5, 110, &dice);
    feed(room, 4, 100, &dice);
    feed(room, 0, 95, &dice);
    write_all(room);
    assert_int_equal(room->messages, SUBSCRIBERS);
    assert_true(room->forwarder.media.counters.padded_packets >= SUBSCRIBERS);
    assert_true(room->forwarder.media.counters.padding_bytes > 0);
    room_end(room);
}

/* ---- What becomes of waiting packets when things change ------------------------------ */

static void nothingIsSentForWhatIsGone(void **state)
{
    (void)state;
    struct dice dice = {8};
    struct room *room = room_make();
    struct rh_media *media = &room->forwarder.media;
    for (uint32_t t = 0; t < TRACKS; t++)
        feed(room, t, 200, &dice);
    assert_int_equal(rh_media_peer_destroy(media, room->peers[0]), RH_OK);
    rh_peer_id heir; /* takes the same place */
    assert_int_equal(rh_media_peer_create(media, &heir), RH_OK);
    assert_int_equal(rh_media_slot_destroy(media, room->slots[1][2]), RH_OK);
    struct rh_media_keys keys = {
        .profile = RH_SRTP_AEAD_AES_128_GCM, .receive.key = {9}, .send.key = {8}};
    assert_int_equal(rh_media_peer_set_srtp(media, room->peers[2], &keys), RH_OK);
    rh_srtp_receive_deinit(&room->opened[2]); /* what waits goes out under the new keys */
    assert_int_equal(
        rh_srtp_receive_init(&room->opened[2], rh_cipher_choose(), keys.profile, &keys.send),
        RH_OK);
    write_all(room);
    assert_int_equal(room->got_count[0], 0);
    assert_int_equal(room->got_count[1], TRACKS - 1);
    assert_int_equal(room->got_count[2], TRACKS);
    /* Histories hold one reference each, nobody else any. */
    assert_int_equal(media->buffers.used, TRACKS);
    for (uint32_t t = 0; t < TRACKS; t++)
        assert_int_equal(rh_media_track_destroy(media, room->tracks[t]), RH_OK);
    assert_int_equal(media->buffers.used, 0);
    room_end(room);
}

static void fullPendingIsSaidAndGoesOn(void **state)
{
    (void)state;
    struct dice dice = {9};
    struct room *room = room_make();
    room->forwarder.pending.count = RH_PENDING_PACKETS - 1; /* as if others waited */
    feed(room, 4, 60, &dice); /* three subscribers: full in between */
    write_all(room);
    for (uint32_t s = 0; s < SUBSCRIBERS; s++)
        assert_int_equal(room->got_count[s], 1);
    room_end(room);
}

static void templatesWriteWhatFullHeadersDo(void **state)
{
    (void)state;
    struct dice dice = {10};
    for (uint32_t i = 0; i < 20000; i++) {
        struct rh_extension_ids ids;
        uint8_t *each = (uint8_t *)&ids;
        for (uint32_t k = 0; k < sizeof ids; k++)
            each[k] = roll_percent(&dice, 50) ? 0 : (uint8_t)(1 + roll_below(&dice, 15));
        char mid[RH_MID_BYTES_MAX + 1] = "abcdefghijklmnop";
        uint8_t source_bytes[64];
        roll_bytes(&dice, source_bytes, sizeof source_bytes);
        struct rh_packet source = {0};
        for (uint32_t kind = 1; kind < RH_ELEMENT_KINDS; kind++) {
            if (roll_percent(&dice, 60))
                continue;
            source.elements[kind] = (struct rh_element){(uint16_t)(1 + roll_below(&dice, 30)),
                (uint16_t)(1 + roll_below(&dice, 20))};
            source.element_mask |= (uint16_t)(1u << kind);
        }
        struct rh_header header = {
            .ids = &ids, .mid = mid, .mid_bytes = (uint8_t)roll_below(&dice, 17),
            .timestamp = (uint32_t)roll(&dice), .ssrc = (uint32_t)roll(&dice),
            .abs_send_time = (uint32_t)roll(&dice) & 0xffffff, .seq = (uint16_t)roll(&dice),
            .transport_seq = (uint16_t)roll(&dice), .payload_type = roll(&dice) & 127,
            .marker = roll_percent(&dice, 50), .frame_number_offset = (uint16_t)roll(&dice)};
        uint8_t full[RH_WRITTEN_HEADER_BYTES_MAX], quick[RH_WRITTEN_HEADER_BYTES_MAX];
        size_t size = rh_packet_write_header(&header, &source, source_bytes, full);
        assert_int_equal(rh_packet_measure_header(&header, &source), size);
        struct rh_header_template template;
        rh_header_template_init(&template, &header, roll_percent(&dice, 50));
        if (!rh_header_template_fits(&template, &source))
            continue;
        assert_int_equal(
            rh_header_template_write(&template, &header, &source, source_bytes, quick), size);
        assert_memory_equal(full, quick, size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothingIsLostOrChangedByCutting),
        cmocka_unit_test(framesBecomeOneMessage),
        cmocka_unit_test(paddingJoinsNeighbours),
        cmocka_unit_test(nothingIsSentForWhatIsGone),
        cmocka_unit_test(fullPendingIsSaidAndGoesOn),
        cmocka_unit_test(templatesWriteWhatFullHeadersDo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
