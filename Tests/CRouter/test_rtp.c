/* RTP headers: rows, prefixes, write then parse. SPDX-License-Identifier: Apache-2.0 */
#include "wire/bytes.h"
#include "wire/demux.h"
#include "wire/packet.h"
#include "wire/seq.h"
#include "wire_support.h"

static const struct rh_extension_ids usual_ids = {
    .mid = 4, .rid = 10, .repaired_rid = 11, .abs_send_time = 2, .transport_seq = 3,
    .audio_level = 1, .dependency_descriptor = 12, .video_orientation = 13,
};

static enum rh_result parse(
    const uint8_t *bytes, size_t size, const struct rh_extension_ids *ids,
    struct rh_packet *packet)
{
    struct rh_extension_map map;
    rh_extension_map_init(&map, ids);
    uint8_t *exact = exact_copy(bytes, size);
    enum rh_result result = rh_packet_parse_header(exact, size, packet);
    if (result == RH_OK)
        result = rh_packet_parse_rest(exact, size, &map, packet);
    free(exact);
    return result;
}

struct expected_element {
    uint8_t kind;
    uint16_t offset, bytes;
};

struct header_row {
    const char *hex;
    enum rh_result result;
    uint16_t header_bytes, payload_bytes;
    uint8_t padding_bytes;
    struct expected_element elements[4]; /* the rest is absent */
};

static const struct header_row header_rows[] = {
    /* RFC 3550 section 5.1 */
    {"806f0001 00000002 00000003 aabb", RH_OK, 12, 2, 0, {}},
    {"80ef0001 00000002 00000003", RH_OK, 12, 0, 0, {}},
    {"826f0001 00000002 00000003 11111111 22222222 aa", RH_OK, 20, 1, 0, {}},
    {"826f0001 00000002 00000003 11111111 222222", RH_TRUNCATED, 0, 0, 0, {}},
    {"406f0001 00000002 00000003 aabb", RH_MALFORMED, 0, 0, 0, {}},
    /* padding: count byte included, never 0, never more than there is */
    {"a06f0001 00000002 00000003 aabb0002", RH_OK, 12, 2, 2, {}},
    {"a06f0001 00000002 00000003 aabb0004", RH_OK, 12, 0, 4, {}},
    {"a06f0001 00000002 00000003 aabb0000", RH_MALFORMED, 0, 0, 0, {}},
    {"a06f0001 00000002 00000003 aabb0005", RH_MALFORMED, 0, 0, 0, {}},
    {"a06f0001 00000002 00000003", RH_MALFORMED, 0, 0, 0, {}},
    /* RFC 8285 section 4.2: one element of 1, one of 2 bytes, padding */
    {"906f0001 00000002 00000003 bede0002 10ff 31abcd 000000 aa", RH_OK, 24, 1, 0,
     {{RH_ELEMENT_AUDIO_LEVEL, 17, 1}, {RH_ELEMENT_TRANSPORT_SEQ, 19, 2}}},
    /* padding between elements; 16 bytes of data */
    {"906f0001 00000002 00000003 bede0005 0000 4f000102030405060708090a0b0c0d0e0f 00", RH_OK, 36,
     0, 0, {{RH_ELEMENT_MID, 19, 16}}},
    /* id 15 ends the reading, what came before counts */
    {"906f0001 00000002 00000003 bede0002 10ff f0ab 31abcd 00", RH_OK, 24, 0, 0,
     {{RH_ELEMENT_AUDIO_LEVEL, 17, 1}}},
    /* id 0 with a length ends it too */
    {"906f0001 00000002 00000003 bede0002 10ff 01abcd 31abcd", RH_OK, 24, 0, 0,
     {{RH_ELEMENT_AUDIO_LEVEL, 17, 1}}},
    /* an element that leaves its block */
    {"906f0001 00000002 00000003 bede0001 10ff 32ab aabb", RH_OK, 20, 2, 0,
     {{RH_ELEMENT_AUDIO_LEVEL, 17, 1}}},
    /* an id twice: the first counts; ids of nobody are passed over */
    {"906f0001 00000002 00000003 bede0002 1001 1002 e0ff 0000", RH_OK, 24, 0, 0,
     {{RH_ELEMENT_AUDIO_LEVEL, 17, 1}}},
    /* section 4.3: two-byte form, appbits 5, length 0, length 2 */
    {"906f0001 00000002 00000003 10050002 0100 0302abcd 0000", RH_OK, 24, 0, 0,
     {{RH_ELEMENT_AUDIO_LEVEL, 18, 0}, {RH_ELEMENT_TRANSPORT_SEQ, 20, 2}}},
    {"906f0001 00000002 00000003 10000001 00 0303ab aabb", RH_OK, 20, 2, 0, {}},
    {"906f0001 00000002 00000003 10000001 000000 03 aabb", RH_OK, 20, 2, 0, {}},
    /* another profile, an empty block, a block that ends behind the packet */
    {"906f0001 00000002 00000003 abac0001 10ff10ff aa", RH_OK, 20, 1, 0, {}},
    {"906f0001 00000002 00000003 bede0000 aa", RH_OK, 16, 1, 0, {}},
    {"906f0001 00000002 00000003 bede0002 10ff10ff", RH_TRUNCATED, 0, 0, 0, {}},
    {"906f0001 00000002 00000003 bede", RH_TRUNCATED, 0, 0, 0, {}},
};

static void check_elements(const struct header_row *row, const struct rh_packet *packet)
{
    struct rh_element expected[RH_ELEMENT_KINDS] = {0};
    for (size_t i = 0; i < 4; i++)
        if (row->elements[i].kind != RH_ELEMENT_NONE)
            expected[row->elements[i].kind] =
                (struct rh_element){row->elements[i].offset, row->elements[i].bytes};
    for (size_t kind = 1; kind < RH_ELEMENT_KINDS; kind++) {
        assert_int_equal(packet->elements[kind].offset, expected[kind].offset);
        assert_int_equal(packet->elements[kind].bytes, expected[kind].bytes);
    }
}

static void headersAreReadAsTheRfcSays(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof header_rows / sizeof *header_rows; i++) {
        const struct header_row *row = &header_rows[i];
        uint8_t bytes[128];
        size_t size = from_hex(row->hex, bytes, sizeof bytes);
        struct rh_packet packet;
        enum rh_result result = parse(bytes, size, &usual_ids, &packet);
        if (result != row->result)
            fail_msg("%s: result %d", row->hex, result);
        if (result != RH_OK)
            continue;
        assert_int_equal(packet.header_bytes, row->header_bytes);
        assert_int_equal(packet.payload_offset, row->header_bytes);
        assert_int_equal(packet.payload_bytes, row->payload_bytes);
        assert_int_equal(packet.padding_bytes, row->padding_bytes);
        assert_int_equal(packet.payload_type, 0x6f);
        assert_int_equal(packet.marker, bytes[1] >> 7);
        assert_int_equal(packet.seq, 1);
        assert_int_equal(packet.timestamp, 2);
        assert_int_equal(packet.ssrc, 3);
        check_elements(row, &packet);
    }
}

static void everyPrefixStaysInside(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof header_rows / sizeof *header_rows; i++) {
        uint8_t bytes[128];
        size_t size = from_hex(header_rows[i].hex, bytes, sizeof bytes);
        for (size_t cut = 0; cut < size; cut++) {
            struct rh_packet packet;
            if (parse(bytes, cut, &usual_ids, &packet) != RH_OK)
                continue;
            assert_int_equal(
                packet.header_bytes + packet.payload_bytes + packet.padding_bytes, cut);
        }
    }
}

static void elementsLieInsideTheirBlock(void **state)
{
    (void)state;
    struct dice dice = {3};
    for (int round = 0; round < 60000; round++) {
        uint8_t bytes[96];
        size_t size = roll_below(&dice, sizeof bytes);
        roll_bytes(&dice, bytes, size);
        if (size > 16) {
            bytes[0] = (uint8_t)(0x90 | (bytes[0] & 0x20));
            rh_put16(bytes + 12, roll_percent(&dice, 50) ? 0xbede : 0x1000);
            rh_put16(bytes + 14, (uint16_t)roll_below(&dice, (uint32_t)(size - 16) / 4 + 2));
        }
        struct rh_packet packet;
        if (parse(bytes, size, &usual_ids, &packet) != RH_OK)
            continue;
        for (int kind = 1; kind < RH_ELEMENT_KINDS; kind++) {
            const struct rh_element *element = &packet.elements[kind];
            if (element->offset == 0)
                continue;
            assert_true(element->offset > packet.extension_offset);
            assert_true(element->offset + element->bytes
                        <= packet.extension_offset + packet.extension_bytes);
        }
    }
}

/* A source packet with some elements in the two-byte form. */
static size_t make_source(struct dice *dice, uint8_t *bytes, struct rh_packet *packet)
{
    uint8_t *at = bytes + 16;
    const uint8_t kinds[] = {usual_ids.audio_level, usual_ids.video_orientation,
                             usual_ids.dependency_descriptor};
    for (size_t i = 0; i < sizeof kinds; i++) {
        if (roll_percent(dice, 40))
            continue;
        uint8_t data_bytes = 1;
        if (i == 2)
            data_bytes = (uint8_t)(roll_percent(dice, 50) ? 3 : roll_below(dice, 256));
        *at++ = kinds[i];
        *at++ = data_bytes;
        roll_bytes(dice, at, data_bytes);
        at += data_bytes;
    }
    while ((at - bytes) % 4 != 0)
        *at++ = 0;
    rh_put32(bytes, 0x90600000 | (uint16_t)roll(dice));
    roll_bytes(dice, bytes + 4, 8);
    rh_put16(bytes + 12, 0x1000);
    rh_put16(bytes + 14, (uint16_t)((at - bytes - 16) / 4));
    size_t size = (size_t)(at - bytes);
    assert_int_equal(parse(bytes, size, &usual_ids, packet), RH_OK);
    return size;
}

static struct rh_header make_header(struct dice *dice, const struct rh_extension_ids *ids)
{
    return (struct rh_header){
        .ids = ids, .mid = "0123456789abcdef", .mid_bytes = (uint8_t)roll_below(dice, 17),
        .timestamp = (uint32_t)roll(dice), .ssrc = (uint32_t)roll(dice),
        .abs_send_time = roll_below(dice, 1 << 24), .seq = (uint16_t)roll(dice),
        .transport_seq = (uint16_t)roll(dice), .frame_number_offset = (uint16_t)roll(dice),
        .payload_type = (uint8_t)roll_below(dice, 128), .marker = roll_percent(dice, 50),
    };
}

/* Distinct ids, some 0, now and then above 14. */
static struct rh_extension_ids make_ids(struct dice *dice)
{
    uint8_t base = (uint8_t)(roll_percent(dice, 20) ? 1 + roll_below(dice, 247) : 1);
    uint8_t ids[8];
    for (uint8_t i = 0; i < 8; i++)
        ids[i] = roll_percent(dice, 30) ? 0 : (uint8_t)(base + i);
    struct rh_extension_ids out;
    memcpy(&out, ids, sizeof out);
    return out;
}

static void check_copied(
    const struct rh_packet *source, const uint8_t *from, const struct rh_packet *written,
    const uint8_t *to, enum rh_element_kind kind)
{
    const struct rh_element *in = &source->elements[kind], *out = &written->elements[kind];
    assert_int_equal(out->bytes, in->bytes);
    if (kind != RH_ELEMENT_DEPENDENCY_DESCRIPTOR || in->bytes < 3)
        assert_memory_equal(to + out->offset, from + in->offset, in->bytes);
}

static void check_written(
    const struct rh_header *header, const struct rh_packet *source, const uint8_t *from,
    const uint8_t *bytes, size_t size)
{
    struct rh_packet written;
    assert_int_equal(parse(bytes, size, header->ids, &written), RH_OK);
    assert_int_equal(written.header_bytes, size);
    assert_int_equal(written.seq, header->seq);
    assert_int_equal(written.timestamp, header->timestamp);
    assert_int_equal(written.ssrc, header->ssrc);
    assert_int_equal(written.payload_type, header->payload_type);
    assert_int_equal(written.marker, header->marker);
    assert_int_equal(written.csrc_count, 0);
    const struct rh_extension_ids *ids = header->ids;
    const struct rh_element *mid = &written.elements[RH_ELEMENT_MID];
    assert_int_equal(mid->offset != 0, ids->mid != 0 && header->mid_bytes != 0);
    if (mid->offset != 0) {
        assert_int_equal(mid->bytes, header->mid_bytes);
        assert_memory_equal(bytes + mid->offset, header->mid, mid->bytes);
    }
    assert_int_equal(rh_packet_transport_seq(&written, bytes),
                     ids->transport_seq != 0 ? header->transport_seq : -1);
    const struct rh_element *time = &written.elements[RH_ELEMENT_ABS_SEND_TIME];
    if (ids->abs_send_time != 0)
        assert_int_equal(rh_get24(bytes + time->offset), header->abs_send_time);
    assert_int_equal(rh_packet_audio_level(&written, bytes),
                     ids->audio_level != 0 ? rh_packet_audio_level(source, from) : -1);
    if (ids->audio_level != 0)
        check_copied(source, from, &written, bytes, RH_ELEMENT_AUDIO_LEVEL);
    if (ids->video_orientation != 0)
        check_copied(source, from, &written, bytes, RH_ELEMENT_VIDEO_ORIENTATION);
    const struct rh_element *in = &source->elements[RH_ELEMENT_DEPENDENCY_DESCRIPTOR];
    const struct rh_element *out = &written.elements[RH_ELEMENT_DEPENDENCY_DESCRIPTOR];
    if (ids->dependency_descriptor == 0 || in->bytes < 3)
        return;
    check_copied(source, from, &written, bytes, RH_ELEMENT_DEPENDENCY_DESCRIPTOR);
    assert_int_equal((uint16_t)(rh_get16(from + in->offset + 1) + header->frame_number_offset),
                     rh_get16(bytes + out->offset + 1));
    assert_memory_equal(bytes + out->offset + 3, from + in->offset + 3, in->bytes - 3u);
}

static void writtenHeadersAreReadBack(void **state)
{
    (void)state;
    struct dice dice = {11};
    for (int round = 0; round < 20000; round++) {
        uint8_t from[600];
        struct rh_packet source;
        make_source(&dice, from, &source);
        struct rh_extension_ids ids = make_ids(&dice);
        struct rh_header header = make_header(&dice, &ids);
        uint8_t *out = malloc(RH_WRITTEN_HEADER_BYTES_MAX);
        assert_non_null(out);
        size_t size = rh_packet_write_header(&header, &source, from, out);
        assert_true(size % 4 == 0 && size <= RH_WRITTEN_HEADER_BYTES_MAX);
        check_written(&header, &source, from, out, size);
        free(out);
    }
}

static void shortElementsUseTheOneByteForm(void **state)
{
    (void)state;
    struct rh_packet source = {.layer.picture_id = -1};
    uint8_t out[RH_WRITTEN_HEADER_BYTES_MAX];
    struct rh_header header = {
        .ids = &usual_ids, .mid = "a1", .mid_bytes = 2, .seq = 0x0102, .timestamp = 0x03040506,
        .ssrc = 0x0708090a, .abs_send_time = 0x0b0c0d, .transport_seq = 0x0e0f,
        .payload_type = 96, .marker = true,
    };
    uint8_t expected[64];
    size_t expected_bytes = from_hex(
        "90e00102 03040506 0708090a bede0003 416131 220b0c0d 310e0f 0000", expected,
        sizeof expected);
    assert_int_equal(rh_packet_write_header(&header, &source, NULL, out), expected_bytes);
    assert_memory_equal(out, expected, expected_bytes);
    struct rh_extension_ids long_ids = usual_ids;
    long_ids.mid = 15;
    header.ids = &long_ids;
    expected_bytes = from_hex(
        "90e00102 03040506 0708090a 10000004 0f026131 02030b0c0d 03020e0f 000000", expected,
        sizeof expected);
    assert_int_equal(rh_packet_write_header(&header, &source, NULL, out), expected_bytes);
    assert_memory_equal(out, expected, expected_bytes);
    const struct rh_extension_ids no_ids = {0};
    header.ids = &no_ids;
    assert_int_equal(rh_packet_write_header(&header, &source, NULL, out), 12);
    assert_int_equal(out[0], 0x80);
}

static void rtxPacketsTurnIntoTheirOriginal(void **state)
{
    (void)state;
    uint8_t bytes[32];
    size_t size = from_hex("80610009 00000002 00000003 1234 aabb", bytes, sizeof bytes);
    struct rh_packet packet;
    assert_int_equal(parse(bytes, size, &usual_ids, &packet), RH_OK);
    assert_int_equal(rh_packet_unwrap_rtx(bytes, 77, 96, &packet), RH_OK);
    assert_int_equal(packet.seq, 0x1234);
    assert_int_equal(packet.ssrc, 77);
    assert_int_equal(packet.payload_type, 96);
    assert_int_equal(packet.payload_offset, 14);
    assert_int_equal(packet.payload_bytes, 2);
    assert_int_equal(rh_packet_unwrap_rtx(bytes, 77, 96, &packet), RH_OK);
    assert_int_equal(rh_packet_unwrap_rtx(bytes, 77, 96, &packet), RH_TRUNCATED);
}

static void datagramsAreToldApartByTheirFirstBytes(void **state)
{
    (void)state;
    static const struct { uint8_t from, to; enum rh_traffic kind; } rows[] = {
        {0, 3, RH_TRAFFIC_STUN},       {4, 15, RH_TRAFFIC_UNKNOWN},
        {16, 19, RH_TRAFFIC_ZRTP},     {20, 63, RH_TRAFFIC_DTLS},
        {64, 79, RH_TRAFFIC_TURN_CHANNEL}, {80, 127, RH_TRAFFIC_QUIC},
        {128, 191, RH_TRAFFIC_RTP},    {192, 255, RH_TRAFFIC_QUIC},
    }; /* RFC 9443 section 3 figure 3 */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (unsigned first = rows[i].from; first <= rows[i].to; first++)
            assert_int_equal(rh_demux_classify((uint8_t[]){(uint8_t)first, 96}, 2), rows[i].kind);
    for (unsigned second = 0; second < 256; second++)
        assert_int_equal(
            rh_demux_classify((uint8_t[]){0x80, (uint8_t)second}, 2),
            second >= 192 && second <= 223 ? RH_TRAFFIC_RTCP : RH_TRAFFIC_RTP);
    assert_int_equal(rh_demux_classify((uint8_t[]){0x80}, 1), RH_TRAFFIC_UNKNOWN);
    assert_int_equal(rh_demux_classify(NULL, 0), RH_TRAFFIC_UNKNOWN);
}

static void sequenceNumbersExtendToTheNearest(void **state)
{
    (void)state;
    assert_int_equal(rh_seq_extend(0x10000, 0xffff), 0xffff);
    assert_int_equal(rh_seq_extend(0x1ffff, 0), 0x20000);
    assert_int_equal(rh_seq_extend(0x20000, 0xffff), 0x1ffff);
    struct dice dice = {5};
    uint64_t highest = 0x10000;
    for (int i = 0; i < 100000; i++) {
        uint64_t truth = highest + roll_below(&dice, 0x8000 + 0x7fff) - 0x7fff;
        assert_int_equal(rh_seq_extend(highest, (uint16_t)truth), truth);
        highest = truth > highest ? truth : highest;
    }
}

static void sendTimesWrapEvery64Seconds(void **state)
{
    (void)state;
    assert_int_equal(rh_abs_send_time(0), 0);
    assert_int_equal(rh_abs_send_time(1000000), 1 << 18);
    assert_int_equal(rh_abs_send_time(64000000), 0);
    assert_int_equal(rh_abs_send_time(63999999), 0xffffff);
    assert_int_equal(rh_abs_send_time(64000000ull * 1000000 + 500000), 1 << 17);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headersAreReadAsTheRfcSays),
        cmocka_unit_test(everyPrefixStaysInside),
        cmocka_unit_test(elementsLieInsideTheirBlock),
        cmocka_unit_test(writtenHeadersAreReadBack),
        cmocka_unit_test(shortElementsUseTheOneByteForm),
        cmocka_unit_test(rtxPacketsTurnIntoTheirOriginal),
        cmocka_unit_test(datagramsAreToldApartByTheirFirstBytes),
        cmocka_unit_test(sequenceNumbersExtendToTheNearest),
        cmocka_unit_test(sendTimesWrapEvery64Seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
