/* Any datagrams through receiving and forwarding, with and without valid authentication.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The input is a row of records: one byte of choice, two of length, then bytes. A record is a raw
 * datagram, or a packet in clear that is protected first and so gets past authentication: the bytes
 * that a connected peer can make the engine read. Every track has subscribers, so that what is
 * accepted is selected, rewritten and written too; the newest numbers are then asked for again. */
#include <stdlib.h>
#include <string.h>

#include "forward/forward.h"
#include "wire/bytes.h"
#include "wire/seq.h"

enum { SUBSCRIBERS = 3, TRACKS = 5 };

static const struct rh_address publisher_address = {.family = 4, .port = 1000, .ip = {10, 0, 0, 1}};

static rh_peer_id add_peer(struct rh_media *media, uint16_t port, const struct rh_media_keys *keys)
{
    const struct rh_extension_ids ids = {
        .mid = 1, .rid = 2, .repaired_rid = 3, .abs_send_time = 4, .transport_seq = 5,
        .audio_level = 6, .dependency_descriptor = 7, .video_orientation = 8};
    struct rh_address address = publisher_address;
    address.port = port;
    rh_peer_id peer = 0;
    if (rh_media_peer_create(media, &peer) != RH_OK
        || rh_media_peer_set_extensions(media, peer, &ids) != RH_OK
        || rh_media_peer_select_address(media, peer, &address) != RH_OK
        || rh_media_peer_set_srtp(media, peer, keys) != RH_OK)
        abort();
    return peer;
}

/* One publisher of a track of each codec: payload types 96 to 100, RTX 106 to 110, SSRCs 1 to 5,
 * of resends 11 to 15. */
static void set_up(struct rh_forwarder *forwarder, const struct rh_media_keys *keys)
{
    static const uint8_t codecs[TRACKS] = {
        RH_CODEC_OPUS, RH_CODEC_VP8, RH_CODEC_VP9, RH_CODEC_H264, RH_CODEC_AV1};
    const struct rh_media_sizes sizes = {
        .peers_max = 8, .tracks_max = 8, .slots_max = 32, .buffers_max = 1024, .seed = 1};
    if (rh_forwarder_init(forwarder, &sizes) != RH_OK)
        abort();
    struct rh_media *media = &forwarder->media;
    rh_peer_id publisher = add_peer(media, publisher_address.port, keys);
    rh_track_id tracks[TRACKS];
    for (uint8_t i = 0; i < TRACKS; i++) {
        const struct rh_track_config config = {
            .kind = i == 0 ? RH_AUDIO : RH_VIDEO, .codec = codecs[i], .encoding_count = 1,
            .payload_type = (uint8_t)(96 + i), .rtx_payload_type = (uint8_t)(106 + i),
            .clock_rate = i == 0 ? 48000 : 90000, .mid = {(char)('a' + i)}, .ssrc = {1u + i},
            .rtx_ssrc = {11u + i}};
        if (rh_media_track_create(media, publisher, &config, &tracks[i]) != RH_OK)
            abort();
    }
    for (uint32_t i = 0; i < SUBSCRIBERS * TRACKS; i++) {
        static rh_peer_id peer;
        if (i % TRACKS == 0)
            peer = add_peer(media, (uint16_t)(2000 + i), keys);
        const struct rh_slot_config config = {
            .kind = i % TRACKS == 0 ? RH_AUDIO : RH_VIDEO, .ssrc = 100 + i, .clock_rate = 90000,
            .rtx_ssrc = i < TRACKS ? 0 : 200 + i, .mid = "s"};
        const struct rh_slot_binding binding = {
            tracks[i % TRACKS], 120, 121, {0, (uint8_t)(i % 2 ? 255 : 0), (uint8_t)(i % 3)}};
        rh_slot_id slot;
        if (rh_media_slot_create(media, peer, &config, &slot) != RH_OK
            || rh_media_slot_bind(media, slot, &binding, 1) != RH_OK)
            abort();
    }
}

/* Protects a packet in clear as its publisher would; bytes that are no RTP packet stay as they
 * are. */
static size_t protect(
    const struct rh_srtp_send *send, uint8_t *out, const uint8_t *bytes, size_t size)
{
    struct rh_packet packet;
    memcpy(out, bytes, size);
    if (rh_packet_parse_header(bytes, size, &packet) != RH_OK || size < packet.header_bytes)
        return size;
    struct rh_srtp_outgoing outgoing = {
        .out = out, .header_bytes = packet.header_bytes, .payload = bytes + packet.header_bytes,
        .payload_bytes = size - packet.header_bytes, .seq64 = RH_SEQ64_FIRST + packet.seq};
    return rh_srtp_protect_rtp(send, &outgoing);
}

/* Writes what waits for subscribers and forgets it. */
static void write_all(struct rh_forwarder *forwarder, uint64_t now_us)
{
    enum rh_result result;
    do {
        result = rh_forwarder_write_pending(forwarder, now_us);
        rh_sendqueue_clear(&forwarder->queue);
    } while (result == RH_FULL);
}

static void resend_newest(struct rh_forwarder *forwarder, uint64_t now_us)
{
    for (uint32_t i = 0; i < SUBSCRIBERS * TRACKS; i++) {
        uint64_t newest = forwarder->media.slots[i].rewrite.highest_out_seq64;
        for (uint16_t back = 0; back < 4; back++) {
            struct rh_resend_request request = {
                .slot_index = i, .seq = (uint16_t)(newest - back), .now_us = now_us};
            if (rh_resend(forwarder, &request) == RH_FULL)
                write_all(forwarder, now_us);
        }
    }
}

/* Unbinds a slot, binds it to some track and lets it begin there. */
static void rebind(struct rh_forwarder *forwarder, uint8_t choice, uint64_t now_us)
{
    struct rh_media *media = &forwarder->media;
    rh_slot_id slot = media->slots[choice % (SUBSCRIBERS * TRACKS)].id;
    const struct rh_slot_binding binding = {media->tracks[choice % TRACKS].id, 120, 121,
        {0, 255, 255}};
    rh_media_slot_unbind(media, slot);
    if (rh_media_slot_bind(media, slot, &binding, now_us) == RH_OK)
        rh_replay(forwarder, slot, now_us);
}

static void receive(struct rh_forwarder *forwarder, struct rh_buffer *buffer)
{
    uint64_t now_us = buffer->arrival_us;
    struct rh_received received = rh_receive(forwarder, buffer, &publisher_address);
    if (received.step == RH_RECEIVE_FORWARD)
        while (rh_forward(forwarder, &received.job, now_us) == RH_FULL)
            write_all(forwarder, now_us);
    rh_buffers_release(&forwarder->media.buffers, buffer);
    forwarder->media.events.count = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct rh_media_keys keys = {.profile = RH_SRTP_AEAD_AES_128_GCM, .send.key = {1}};
    struct rh_forwarder *forwarder = calloc(1, sizeof *forwarder);
    struct rh_srtp_send send;
    if (forwarder == NULL
        || rh_srtp_send_init(&send, rh_cipher_choose(), keys.profile, &keys.receive) != RH_OK)
        abort();
    set_up(forwarder, &keys);
    uint64_t now_us = 5000000;
    while (size >= 3) {
        uint8_t choice = data[0];
        size_t bytes = rh_get16(data + 1) % (RH_PACKET_BYTES_MAX - RH_SRTP_TAG_BYTES_MAX);
        data += 3;
        size -= 3;
        if (bytes > size)
            bytes = size;
        struct rh_buffer *buffer = rh_media_take_buffer(&forwarder->media);
        if (buffer == NULL)
            abort();
        now_us += choice * 100u;
        buffer->arrival_us = now_us;
        if (choice & 1)
            memcpy(buffer->bytes, data, bytes);
        buffer->size =
            (uint16_t)(choice & 1 ? bytes : protect(&send, buffer->bytes, data, bytes));
        receive(forwarder, buffer);
        if (choice & 2)
            resend_newest(forwarder, now_us);
        if (choice & 16)
            rebind(forwarder, choice >> 5, now_us);
        forwarder->padding_bytes_max = choice & 4 ? RH_PADDING_BYTES_MAX : 0;
        if (choice & 8) /* else they wait for company */
            write_all(forwarder, now_us);
        data += bytes;
        size -= bytes;
    }
    write_all(forwarder, now_us);
    rh_srtp_send_deinit(&send);
    rh_forwarder_deinit(forwarder);
    free(forwarder);
    return 0;
}
