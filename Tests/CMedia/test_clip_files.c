/* IVF, Ogg Opus and H.264 files: read as written, and no bytes do harm.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file_support.h"
#include "wire/h264.h"

static struct file file;

enum kind { IVF, OGG, H264 };

/* Reads from an allocation of exactly `size` bytes, so that AddressSanitizer sees one too many. */
static struct rh_clip *read_exactly(
    enum kind kind, const uint8_t *bytes, size_t size, struct rh_clip_error *error)
{
    uint8_t *copy = malloc(size != 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    *error = (struct rh_clip_error){""};
    struct rh_clip *clip =
        kind == IVF ? rh_clip_read_ivf(copy, size, 0, error)
        : kind == OGG ? rh_clip_read_ogg_opus(copy, size, error)
                      : rh_clip_read_h264(copy, size, &(struct rh_clip_video_options){0}, error);
    free(copy);
    if (clip == NULL)
        assert_true(strlen(error->text) > 10);
    return clip;
}

/* Every prefix of the file is refused with words or is a clip with fewer frames. Returns how many
 * prefixes are clips. */
static uint32_t check_prefixes(enum kind kind, uint32_t frame_count)
{
    uint32_t accepted = 0;
    for (size_t size = 0; size < file.size; size++) {
        struct rh_clip_error error;
        struct rh_clip *clip = read_exactly(kind, file.bytes, size, &error);
        if (clip == NULL)
            continue;
        accepted++;
        assert_true(clip->frame_count <= frame_count);
        rh_clip_free(clip);
    }
    return accepted;
}

/* One changed byte at each place: refused or read, never a crash. */
static void check_changed_bytes(enum kind kind)
{
    for (size_t at = 0; at < file.size; at++) {
        struct rh_clip_error error;
        uint8_t kept = file.bytes[at];
        file.bytes[at] = (uint8_t)(kept ^ (1 + at * 37 % 255));
        rh_clip_free(read_exactly(kind, file.bytes, file.size, &error));
        file.bytes[at] = kept;
    }
}

static void assert_refused(enum kind kind, const char *words)
{
    struct rh_clip_error error;
    struct rh_clip *clip = read_exactly(kind, file.bytes, file.size, &error);
    if (clip != NULL)
        fail_msg("accepted; expected: %s", words);
    if (strstr(error.text, words) == NULL)
        fail_msg("said \"%s\"; expected: %s", error.text, words);
}

static struct rh_clip *make_video(uint8_t codec, uint32_t frame_count)
{
    struct rh_clip_error error = {""};
    struct rh_clip_video_options options = video_options(codec, 1, 1);
    options.width = 80;
    options.height = 44;
    options.bitrate_bps = 60000;
    options.frame_count = frame_count;
    return made(rh_clip_make_video(&options, &error), &error);
}

static void ivf_gives_the_frames_that_were_written(void **state)
{
    (void)state;
    static struct assembly assembly, original;
    for (uint8_t codec = RH_CLIP_VP8; codec <= RH_CLIP_VP9; codec++) {
        struct rh_clip *clip = make_video(codec, 24);
        write_ivf(clip, &file);
        struct rh_clip_error error;
        struct rh_clip *again = made(read_exactly(IVF, file.bytes, file.size, &error), &error);
        assert_int_equal(again->codec, codec);
        assert_int_equal(again->frame_count, clip->frame_count);
        assert_int_equal(again->duration, clip->duration);
        assert_int_equal(again->width, 80);
        struct rh_clip_cursor at = rh_clip_start(clip, 0);
        for (uint32_t i = 0; i < 24; i++, rh_clip_advance(clip, &at)) {
            assemble(clip, &at, 0, &original);
            assemble(again, &at, 0, &assembly);
            assert_int_equal(assembly.size, original.size);
            assert_memory_equal(assembly.bytes, original.bytes, original.size);
            assert_int_equal(again->frames[i].timestamp, clip->frames[i].timestamp);
            assert_int_equal(again->frames[i].is_keyframe, clip->frames[i].is_keyframe);
        }
        rh_clip_free(clip);
        rh_clip_free(again);
    }
}

static void ivf_takes_any_bytes(void **state)
{
    (void)state;
    for (uint8_t codec = RH_CLIP_VP8; codec <= RH_CLIP_VP9; codec++) {
        struct rh_clip *clip = make_video(codec, 6);
        write_ivf(clip, &file);
        assert_int_equal(check_prefixes(IVF, 6), 5);
        check_changed_bytes(IVF);
        rh_clip_free(clip);
    }
}

static void ivf_says_what_is_wrong(void **state)
{
    (void)state;
    struct rh_clip *clip = make_video(RH_CLIP_VP8, 6);
    static const struct { size_t at; uint8_t value; const char *words; } rows[] = {
        {0, 'X', "not an IVF file"},
        {8, 'A', "byte 8: the IVF file holds neither VP8 nor VP9"},
        {6, 31, "byte 6: an IVF header of 31 bytes"},
        {16, 0, "byte 16: a time base of 1/0 s"},
        {35, 1, "byte 32: frame 0 has "},
        {44, 0x11, "byte 32: the first frame is no keyframe"},
        {47, 0, "byte 44: frame 0 is not VP8"},
        {36, 99, "frame 1 is not later than the one before"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        write_ivf(clip, &file);
        file.bytes[rows[i].at] = rows[i].value;
        assert_refused(IVF, rows[i].words);
    }
    write_ivf(clip, &file);
    file.size -= 1;
    assert_refused(IVF, "frame 5 has");
    rh_clip_free(clip);
}

static struct rh_clip *make_sound(uint32_t bitrate_bps, uint32_t frame_count)
{
    struct rh_clip_error error = {""};
    struct rh_clip_audio_options options = {
        .sound = RH_CLIP_SPEECH, .channels = 2, .bitrate_bps = bitrate_bps,
        .frame_count = frame_count};
    return made(rh_clip_make_audio(&options, &error), &error);
}

static void ogg_gives_the_packets_that_were_written(void **state)
{
    (void)state;
    struct rh_clip *clip = make_sound(128000, 100);
    write_ogg(clip, &file);
    struct rh_clip_error error;
    struct rh_clip *again = made(read_exactly(OGG, file.bytes, file.size, &error), &error);
    assert_int_equal(again->frame_count, 100);
    assert_int_equal(again->duration, clip->duration);
    assert_int_equal(again->channels, 2);
    bool has_long = false;
    for (uint32_t i = 0; i < 100; i++) {
        const struct rh_clip_frame *a = &clip->frames[i], *b = &again->frames[i];
        assert_int_equal(a->timestamp, b->timestamp);
        assert_int_equal(a->packets[0].size, b->packets[0].size);
        assert_memory_equal(a->packets[0].payload, b->packets[0].payload, a->packets[0].size);
        has_long |= a->packets[0].size >= 255; /* laced over two segments */
        if (i > 0 && a[-1].audio_level < 26 && a->audio_level < 26)
            assert_true(abs(a->audio_level - b->audio_level) < 6);
    }
    assert_true(has_long);
    rh_clip_free(clip);
    rh_clip_free(again);
}

static void ogg_takes_any_bytes(void **state)
{
    (void)state;
    struct rh_clip *clip = make_sound(12000, 25);
    write_ogg(clip, &file);
    /* whole pages with audio: the first and the second of three */
    assert_int_equal(check_prefixes(OGG, 25), 2);
    check_changed_bytes(OGG);
    rh_clip_free(clip);
}

/* Pages of other streams are passed over, and packets go on over pages. */
static void ogg_joins_packets_over_pages(void **state)
{
    (void)state;
    struct rh_clip *clip = make_sound(128000, 3);
    write_ogg(clip, &file);
    file.size = 27 + 1 + 19 + 27 + 1 + 16; /* the headers */
    uint8_t packet[RH_CLIP_PAYLOAD_BYTES_MAX];
    uint16_t size = unpad(clip->frames[2].packets, packet);
    assert_true(size > 255);
    uint8_t first[] = {255}, second[] = {(uint8_t)(size - 255)};
    write_ogg_page(&file, &(struct ogg_page){0, 77, 2, first, 1, packet});
    size_t foreign = file.size;
    write_ogg_page(&file, &(struct ogg_page){2, 5, 0, first, 1, clip->frames[0].packets->payload});
    write_ogg_page(&file, &(struct ogg_page){1, 77, 3, second, 1, packet + 255});
    struct rh_clip_error error;
    struct rh_clip *again = made(read_exactly(OGG, file.bytes, file.size, &error), &error);
    assert_int_equal(again->frame_count, 1);
    const struct rh_clip_packet *joined = again->frames[0].packets;
    assert_int_equal(joined->size, clip->frames[2].packets->size);
    assert_memory_equal(joined->payload, clip->frames[2].packets->payload, joined->size);
    rh_clip_free(again);

    file.size = foreign;
    assert_refused(OGG, "the file ends inside a packet");
    write_ogg_page(&file, &(struct ogg_page){0, 77, 3, second, 1, packet + 255});
    assert_refused(OGG, "does not continue the packet");
    file.size = foreign;
    write_ogg_page(&file, &(struct ogg_page){1, 77, 4, second, 1, packet + 255});
    assert_refused(OGG, "Ogg page 4 where page 3 belongs");
    rh_clip_free(clip);
}

static void ogg_says_what_is_wrong(void **state)
{
    (void)state;
    struct rh_clip *clip = make_sound(128000, 10);
    write_ogg(clip, &file);
    file.bytes[40] ^= 1;
    assert_refused(OGG, "byte 0: the Ogg page's checksum is wrong");
    static const uint8_t wrong[19] = "OpusXead\1\2";
    uint8_t size = sizeof wrong;
    file.size = 0;
    write_ogg_page(&file, &(struct ogg_page){2, 1, 0, &size, 1, wrong});
    assert_refused(OGG, "byte 0: the first Ogg stream is not Opus");
    static const uint8_t surround[20] = "OpusHead\1\6\0\0\0\0\0\0\0\0\1";
    file.size = 0;
    write_ogg_page(&file, &(struct ogg_page){2, 1, 0, &size, 1, surround});
    assert_refused(OGG, "6 channels in mapping family 1");
    file.size = 0;
    write_ogg_page(&file, &(struct ogg_page){0, 1, 0, &size, 1, surround});
    assert_refused(OGG, "the Ogg stream does not begin here");
    write_ogg(clip, &file);
    file.size = 27 + 1 + 19 + 27 + 1 + 16;
    assert_refused(OGG, "nothing to send");
    size = 2;
    write_ogg_page(&file, &(struct ogg_page){0, 77, 2, &size, 1, (const uint8_t *)"\xff\x3f"});
    assert_refused(OGG, "packet 0 is not Opus");
    rh_clip_free(clip);
}

/* ---- H.264: units made of a type byte and counting bytes; nobody looks inside ---------------- */

static uint8_t unit_byte(size_t i)
{
    return (uint8_t)(i % 200 + 5); /* never two zeros */
}

static void put_unit(uint8_t head, bool is_first_slice, size_t size)
{
    put(&file, "\0\0\0\1", 4);
    put(&file, &head, 1);
    for (size_t i = 1; i < size; i++)
        put(&file, &(uint8_t){i == 1 ? (is_first_slice ? 0x88 : 0x21) : unit_byte(i)}, 1);
}

/* A keyframe with sets, SEI and two slices; two frames; a keyframe without sets. */
static void write_h264(void)
{
    file.size = 0;
    put_unit(0x09, false, 2);
    put_unit(0x67, false, 20);
    put_unit(0x68, false, 6);
    put_unit(0x06, false, 30);
    put_unit(0x65, true, 3000);
    put_unit(0x65, false, 40);
    put_unit(0x09, false, 2);
    put_unit(0x41, true, 500);
    put_unit(0x01, true, 1151);
    put_unit(0x65, true, 700);
}

/* Undoes STAP-A and FU-A: appends a frame's units, each behind 00 00 00 01, to out. */
static void join_units(const struct rh_clip_frame *frame, struct file *out)
{
    for (uint32_t p = 0; p < frame->packet_count; p++) {
        const struct rh_clip_packet *packet = &frame->packets[p];
        const uint8_t *payload = packet->payload;
        uint8_t type = payload[0] & 0x1f;
        struct rh_layer_info layer;
        assert_int_equal(rh_h264_parse(payload, packet->size, packet->marker, &layer), RH_OK);
        assert_int_equal(packet->marker, p + 1 == frame->packet_count);
        if (type == 24) {
            for (size_t at = 1; at < packet->size;) {
                size_t size = (size_t)payload[at] << 8 | payload[at + 1];
                put(out, "\0\0\0\1", 4);
                put(out, payload + at + 2, size);
                at += 2 + size;
            }
        } else if (type == 28) {
            if (payload[1] & 0x80) {
                put(out, "\0\0\0\1", 4);
                put(out, &(uint8_t){(payload[0] & 0xe0) | (payload[1] & 0x1f)}, 1);
            }
            put(out, payload + 2, packet->size - 2u);
        } else {
            put(out, "\0\0\0\1", 4);
            put(out, payload, packet->size);
        }
    }
}

static void h264_gives_the_units_that_were_written(void **state)
{
    (void)state;
    static struct file joined, expected;
    write_h264();
    struct rh_clip_error error;
    struct rh_clip *clip = made(read_exactly(H264, file.bytes, file.size, &error), &error);
    assert_int_equal(clip->frame_count, 4);
    static const bool keyframes[] = {true, false, false, true};
    joined.size = expected.size = 0;
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(clip->frames[i].is_keyframe, keyframes[i]);
        assert_int_equal(clip->frames[i].timestamp, i * 3000);
        struct rh_layer_info layer;
        const struct rh_clip_packet *packet = clip->frames[i].packets;
        assert_int_equal(rh_h264_parse(packet->payload, packet->size, packet->marker, &layer),
                         RH_OK);
        assert_int_equal(layer.keyframe, keyframes[i]);
        join_units(&clip->frames[i], &joined);
    }
    /* as written, without delimiters and with the sets again before the second keyframe */
    size_t delimiter = 6, sets = 4 + 20 + 4 + 6, second = 704;
    size_t first_frame = sets + 34 + 3004 + 44;
    put(&expected, file.bytes + delimiter, first_frame);
    put(&expected, file.bytes + 2 * delimiter + first_frame, 504 + 1155);
    put(&expected, file.bytes + delimiter, sets);
    put(&expected, file.bytes + file.size - second, second);
    assert_int_equal(joined.size, expected.size);
    assert_memory_equal(joined.bytes, expected.bytes, expected.size);
    rh_clip_free(clip);
}

static void h264_takes_any_bytes(void **state)
{
    (void)state;
    write_h264();
    assert_true(check_prefixes(H264, 4) > 0);
    check_changed_bytes(H264);
}

static void h264_says_what_is_wrong(void **state)
{
    (void)state;
    file.size = 0;
    put(&file, "RIFFxxxx", 8);
    assert_refused(H264, "byte 0: not an H.264 byte stream");
    file.size = 0;
    put_unit(0x41, true, 50);
    assert_refused(H264, "the first frame is no keyframe with its parameter sets");
    file.size = 0;
    put_unit(0x67, false, 20);
    put_unit(0xe8, false, 20);
    assert_refused(H264, "byte 28: no H.264 unit");
    file.size = 0;
    put_unit(0x42, true, 20);
    assert_refused(H264, "data partitioning");
    write_h264();
    put(&file, "\0\0\1\0\0\1", 6);
    assert_refused(H264, "an empty H.264 unit");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ivf_gives_the_frames_that_were_written),
        cmocka_unit_test(ivf_takes_any_bytes),
        cmocka_unit_test(ivf_says_what_is_wrong),
        cmocka_unit_test(ogg_gives_the_packets_that_were_written),
        cmocka_unit_test(ogg_takes_any_bytes),
        cmocka_unit_test(ogg_joins_packets_over_pages),
        cmocka_unit_test(ogg_says_what_is_wrong),
        cmocka_unit_test(h264_gives_the_units_that_were_written),
        cmocka_unit_test(h264_takes_any_bytes),
        cmocka_unit_test(h264_says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
