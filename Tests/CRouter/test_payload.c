/* Payload parsers against rows, prefixes and random bytes. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "wire/av1.h"
#include "wire/payload.h"
#include "wire_support.h"

enum { PAYLOAD_OFFSET = 12, ROWS_MIN = 50 };

struct row {
    char codec[8];
    int marker;
    char hex[256];
    char expected[128];
};

static enum rh_codec codec_named(const char *name)
{
    static const struct { const char *name; enum rh_codec codec; } names[] = {
        {"vp8", RH_CODEC_VP8}, {"vp9", RH_CODEC_VP9},
        {"h264", RH_CODEC_H264}, {"av1", RH_CODEC_AV1},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i].name, name) == 0)
            return names[i].codec;
    fail_msg("no codec %s", name);
    return RH_CODEC_NONE;
}

static size_t say_numbers(const struct rh_layer_info *layer, char *out, size_t room)
{
    size_t at = 0;
    if (layer->picture_id >= 0)
        at += (size_t)snprintf(out + at, room - at, " pid=%d@%u/%u", layer->picture_id,
                               layer->picture_id_offset, layer->picture_id_bytes);
    if (layer->tl0_offset != 0)
        at += (size_t)snprintf(out + at, room - at, " tl0=%u@%u", layer->tl0_pic_idx,
                               layer->tl0_offset);
    const struct { const char *name; uint8_t value; } fields[] = {
        {"s", layer->spatial}, {"t", layer->temporal}, {"d", layer->descriptor_bytes},
        {"n", layer->spatial_count},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].value != 0)
            at += (size_t)snprintf(out + at, room - at, " %s=%u", fields[i].name, fields[i].value);
    return at;
}

static void say(enum rh_result result, const struct rh_layer_info *layer, char *out, size_t room)
{
    static const char *const results[] = {
        [RH_OK] = "ok", [RH_TRUNCATED] = "truncated", [RH_MALFORMED] = "malformed",
        [RH_UNSUPPORTED] = "unsupported",
    };
    size_t at = (size_t)snprintf(out, room, "%s", results[result]);
    if (result != RH_OK)
        return;
    at += say_numbers(layer, out + at, room - at);
    const struct { const char *name; bool value; } flags[] = {
        {"key", layer->keyframe}, {"start", layer->frame_start}, {"end", layer->frame_end},
        {"up", layer->switch_up}, {"disc", layer->discardable}, {"indep", layer->independent},
        {"inter", layer->inter_layer},
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (flags[i].value)
            at += (size_t)snprintf(out + at, room - at, " %s", flags[i].name);
}

/* Parses a payload that lies at the end of its memory. */
static enum rh_result parse(
    enum rh_codec codec, const uint8_t *payload, size_t size, bool marker,
    struct rh_packet *packet)
{
    uint8_t bytes[512] = {0};
    assert_true(size + PAYLOAD_OFFSET <= sizeof bytes);
    if (size != 0)
        memcpy(bytes + PAYLOAD_OFFSET, payload, size);
    *packet = (struct rh_packet){
        .header_bytes = PAYLOAD_OFFSET, .payload_offset = PAYLOAD_OFFSET,
        .payload_bytes = (uint16_t)size, .marker = marker, .layer.picture_id = -1,
    };
    uint8_t *exact = exact_copy(bytes, size + PAYLOAD_OFFSET);
    enum rh_result result = rh_payload_parse(codec, exact, packet);
    free(exact);
    return result;
}

typedef void row_check(const struct row *row);

static void each_row(row_check *check)
{
    FILE *file = fopen("Tests/Vectors/rtp/payloads.txt", "r");
    assert_non_null(file);
    char line[512];
    int rows = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        struct row row;
        if (line[0] == '#')
            continue;
        int found = sscanf(line, "%7s | %d | %255s | %127[^|]", row.codec, &row.marker, row.hex,
                           row.expected);
        assert_int_equal(found, 4);
        size_t end = strlen(row.expected);
        while (end > 0 && row.expected[end - 1] == ' ')
            row.expected[--end] = 0;
        check(&row);
        rows++;
    }
    fclose(file);
    assert_true(rows >= ROWS_MIN);
}

static void check_fields(const struct row *row)
{
    uint8_t payload[256];
    size_t size = from_hex(row->hex, payload, sizeof payload);
    struct rh_packet packet;
    char said[256];
    enum rh_result result =
        parse(codec_named(row->codec), payload, size, row->marker != 0, &packet);
    say(result, &packet.layer, said, sizeof said);
    if (strcmp(said, row->expected) != 0)
        fail_msg("%s %s: \"%s\", not \"%s\"", row->codec, row->hex, said, row->expected);
}

/* A prefix that is accepted must be long enough for all that the whole says. */
static void check_prefixes(const struct row *row)
{
    uint8_t payload[256];
    size_t size = from_hex(row->hex, payload, sizeof payload);
    struct rh_packet whole, packet;
    enum rh_result full = parse(codec_named(row->codec), payload, size, row->marker != 0, &whole);
    for (size_t cut = 0; cut < size; cut++) {
        enum rh_result result =
            parse(codec_named(row->codec), payload, cut, row->marker != 0, &packet);
        if (result != RH_OK) {
            assert_int_equal(packet.layer.picture_id, -1);
            assert_false(packet.layer.keyframe);
            continue;
        }
        assert_true(cut == 0 || cut > packet.layer.descriptor_bytes);
        if (full == RH_OK && cut > whole.layer.descriptor_bytes)
            assert_int_equal(packet.layer.picture_id, whole.layer.picture_id);
    }
}

static void rowsAreReadAsTheirSourceSays(void **state)
{
    (void)state;
    each_row(check_fields);
}

static void everyPrefixIsReadOrRefused(void **state)
{
    (void)state;
    each_row(check_prefixes);
}

static void randomPayloadsKeepOffsetsInside(void **state)
{
    (void)state;
    struct dice dice = {1};
    for (int round = 0; round < 40000; round++) {
        uint8_t payload[64];
        size_t size = roll_below(&dice, sizeof payload);
        roll_bytes(&dice, payload, size);
        struct rh_packet packet;
        enum rh_codec codec = RH_CODEC_OPUS + roll_below(&dice, 5);
        if (parse(codec, payload, size, roll_percent(&dice, 50), &packet) != RH_OK || size == 0)
            continue;
        const struct rh_layer_info *layer = &packet.layer;
        if (layer->picture_id_bytes != 0)
            assert_true(layer->picture_id_offset + layer->picture_id_bytes < (int)size);
        assert_true(layer->tl0_offset < size);
        assert_true(codec == RH_CODEC_OPUS || codec == RH_CODEC_H264
                    || layer->descriptor_bytes < size);
    }
}

static void dependencyDescriptorFieldsAreRead(void **state)
{
    (void)state;
    /* Mandatory fields (AV1 RTP appendix A.8.2): start, end, template 5, frame 0x1234; then
     * the structure flag. */
    const uint8_t key[] = {0xc5, 0x12, 0x34, 0x80};
    struct rh_dependency_descriptor descriptor;
    assert_int_equal(rh_dependency_descriptor_parse(key, 4, &descriptor), RH_OK);
    assert_int_equal(descriptor.frame_number, 0x1234);
    assert_int_equal(descriptor.template_id, 5);
    assert_true(descriptor.start_of_frame && descriptor.end_of_frame && descriptor.has_structure);
    assert_int_equal(rh_dependency_descriptor_parse(key, 3, &descriptor), RH_OK);
    assert_false(descriptor.has_structure);
    assert_int_equal(rh_dependency_descriptor_parse(key, 2, &descriptor), RH_TRUNCATED);
    const uint8_t middle[] = {0x05, 0x12, 0x34, 0x80};
    assert_int_equal(rh_dependency_descriptor_parse(middle, 4, &descriptor), RH_MALFORMED);
}

static void dependencyDescriptorSpeaksForEncryptedAv1(void **state)
{
    (void)state;
    uint8_t bytes[32] = {[16] = 0xc5, 0x12, 0x34, 0x80, [20] = 0x98, 0xff};
    struct rh_packet packet = {
        .header_bytes = 20, .payload_offset = 20, .payload_bytes = 12,
        .elements[RH_ELEMENT_DEPENDENCY_DESCRIPTOR] = {16, 4}, .layer.picture_id = -1,
    };
    struct rh_packet copy = packet;
    assert_int_equal(rh_payload_parse(RH_CODEC_AV1, bytes, &packet), RH_OK);
    assert_true(packet.layer.keyframe);
    assert_int_equal(packet.layer.picture_id, 0x1234);
    assert_int_equal(packet.layer.picture_id_bytes, 0);
    bytes[20] = 0x10;
    assert_int_equal(rh_payload_parse(RH_CODEC_VP8, bytes, &copy), RH_OK);
    assert_int_equal(copy.elements[RH_ELEMENT_DEPENDENCY_DESCRIPTOR].offset, 0);
}

static void paddingAndAudioHaveNoLayers(void **state)
{
    (void)state;
    struct rh_packet packet;
    assert_int_equal(parse(RH_CODEC_VP8, NULL, 0, false, &packet), RH_OK);
    assert_int_equal(packet.layer.picture_id, -1);
    const uint8_t opus[] = {0xff, 0xff};
    assert_int_equal(parse(RH_CODEC_OPUS, opus, 2, false, &packet), RH_OK);
    assert_false(packet.layer.keyframe);
    assert_int_equal(parse(RH_CODEC_NONE, opus, 2, false, &packet), RH_UNSUPPORTED);
}

static void shortPictureIdsContinueToFifteenBits(void **state)
{
    (void)state;
    struct dice dice = {7};
    struct rh_picture_ids ids = {0};
    uint32_t truth = 120, highest = 120; /* begins as a 7-bit number says */
    for (int i = 0; i < 100000; i++) {
        truth = highest + roll_below(&dice, 40) - (i == 0 ? 0 : 20);
        if (i == 0 || truth < 120)
            truth = 120;
        struct rh_layer_info layer = {.picture_id = truth & 0x7f, .picture_id_bytes = 1};
        rh_picture_ids_extend(&ids, &layer);
        assert_int_equal(layer.picture_id, truth & 0x7fff);
        highest = truth > highest ? truth : highest;
        assert_int_equal(ids.highest, highest & 0x7fff);
    }
    struct rh_layer_info absent = {.picture_id = -1}, frame = {.picture_id = 65535};
    rh_picture_ids_extend(&ids, &absent);
    rh_picture_ids_extend(&ids, &frame);
    assert_int_equal(absent.picture_id, -1);
    assert_int_equal(frame.picture_id, 65535);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rowsAreReadAsTheirSourceSays),
        cmocka_unit_test(everyPrefixIsReadOrRefused),
        cmocka_unit_test(randomPayloadsKeepOffsetsInside),
        cmocka_unit_test(dependencyDescriptorFieldsAreRead),
        cmocka_unit_test(dependencyDescriptorSpeaksForEncryptedAv1),
        cmocka_unit_test(paddingAndAudioHaveNoLayers),
        cmocka_unit_test(shortPictureIdsContinueToFifteenBits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
