/* Published streams: what is due, and in which packets. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "loop.h"
#include "wire/assert.h"
#include "wire/packet.h"
#include "wire/seq.h"

enum {
    HISTORY_PACKETS_DEFAULT = 256,
    AUDIO_BYTES_MIN = 20,       /* a stamp and something before it */
    VIDEO_BYTES_MIN = 40,
    SHAPE_BYTES_MAX = 1200,
    CLIP_BYTES_MAX = 1300,      /* so that extensions, stamp and tag fit a datagram */
    PACKETS_PER_TICK_MIN = 8,
};

static const uint64_t described_ns = 5 * RH_LOAD_SECOND; /* MID and RID are written so long */
static const uint64_t late_ns_max = 100 * RH_LOAD_MS;
static const uint64_t resend_pause_ns = 20 * RH_LOAD_MS;

/* ---- Life ------------------------------------------------------------------------------------ */

static bool is_shape_valid(const struct rh_load_stream_config *config)
{
    const struct rh_load_shape *shape = &config->shape;
    bool is_video = config->kind == RH_VIDEO;
    uint32_t bytes_min = is_video ? VIDEO_BYTES_MIN : AUDIO_BYTES_MIN;
    return shape->frames_per_second >= 1 && shape->frames_per_second <= 1000
        && shape->packets_per_frame >= 1 && shape->packets_per_frame <= 256
        && shape->keyframe_packets <= 256 && (is_video || shape->packets_per_frame == 1)
        && shape->payload_bytes_min >= bytes_min
        && shape->payload_bytes_min <= shape->payload_bytes_max
        && shape->payload_bytes_max <= SHAPE_BYTES_MAX
        && config->codec == (is_video ? RH_CODEC_VP8 : RH_CODEC_OPUS);
}

static bool is_clip_valid(const struct rh_clip *clip)
{
    if (clip->frame_count == 0 || clip->clock_hz == 0 || clip->duration == 0)
        return false;
    for (uint32_t i = 0; i < clip->frame_count; i++)
        for (uint32_t p = 0; p < clip->frames[i].packet_count; p++)
            if (clip->frames[i].packets[p].size > CLIP_BYTES_MAX)
                return false;
    return true;
}

enum rh_result rh_load_stream_check(const struct rh_load_stream_config *config)
{
    bool is_valid = (config->kind == RH_AUDIO || config->kind == RH_VIDEO)
        && config->payload_type < 128 && config->rtx_payload_type < 128 && config->ssrc != 0
        && config->clock_rate >= 1000 && config->audio_level < 128 && config->first_seq < 1 << 15
        && config->history_packets <= RH_LOAD_HISTORY_PACKETS_MAX
        && memchr(config->mid, 0, sizeof config->mid) != NULL
        && memchr(config->rid, 0, sizeof config->rid) != NULL
        && (config->clip != NULL ? is_clip_valid(config->clip) : is_shape_valid(config));
    return is_valid ? RH_OK : RH_MALFORMED;
}

struct rh_load_stream *rh_load_stream_create(const struct rh_load_stream_config *config)
{
    struct rh_load_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return NULL;
    stream->config = *config;
    if (config->rtx_ssrc != 0) {
        stream->history_packets =
            config->history_packets != 0 ? config->history_packets : HISTORY_PACKETS_DEFAULT;
        stream->history = calloc(stream->history_packets, sizeof *stream->history);
        if (stream->history == NULL) {
            free(stream);
            return NULL;
        }
    }
    stream->report.ssrc = config->ssrc;
    stream->report.kind = config->kind;
    stream->next_seq64 = RH_SEQ64_FIRST + (uint64_t)config->first_seq;
    stream->next_rtx_seq64 = RH_SEQ64_FIRST + (uint64_t)config->first_seq;
    stream->random = config->ssrc;
    stream->wants_keyframe = config->kind == RH_VIDEO;
    if (config->clip != NULL)
        stream->cursor = rh_clip_start(config->clip, 0);
    return stream;
}

void rh_load_stream_destroy(struct rh_load_stream *stream)
{
    free(stream->history);
    free(stream);
}

struct rh_load_stream *rh_load_find_stream(struct rh_load_endpoint *endpoint, uint32_t ssrc)
{
    for (uint32_t i = 0; i < endpoint->stream_count; i++)
        if (endpoint->streams[i]->config.ssrc == ssrc)
            return endpoint->streams[i];
    return NULL;
}

/* ---- Time ------------------------------------------------------------------------------------ */

/* units of a clock as nanoseconds, without overflow for centuries. */
static uint64_t duration_ns(uint64_t units, uint64_t per_second)
{
    return units / per_second * RH_LOAD_SECOND + units % per_second * RH_LOAD_SECOND / per_second;
}

/* When the next frame is due; its media time is noted. */
static uint64_t next_frame_ns(struct rh_load_stream *stream)
{
    const struct rh_clip *clip = stream->config.clip;
    if (clip != NULL) {
        stream->media_time = rh_clip_due(clip, &stream->cursor);
        return stream->begin_ns + duration_ns(stream->media_time, clip->clock_hz);
    }
    uint32_t rate = stream->config.shape.frames_per_second;
    stream->media_time = stream->frame_number / rate * stream->config.clock_rate
        + stream->frame_number % rate * stream->config.clock_rate / rate;
    return stream->begin_ns + duration_ns(stream->frame_number, rate);
}

static uint64_t frame_interval_ns(const struct rh_load_stream *stream)
{
    const struct rh_clip *clip = stream->config.clip;
    return clip != NULL ? duration_ns(clip->duration, clip->clock_hz) / clip->frame_count
                        : RH_LOAD_SECOND / stream->config.shape.frames_per_second;
}

static void advance(struct rh_load_stream *stream)
{
    if (stream->config.clip != NULL)
        rh_clip_advance(stream->config.clip, &stream->cursor);
    else
        stream->frame_number++;
    stream->due_ns = next_frame_ns(stream);
}

/* ---- Frames ---------------------------------------------------------------------------------- */

static struct rh_load_sent begin_clip_frame(struct rh_load_stream *stream)
{
    const struct rh_clip *clip = stream->config.clip;
    bool is_video = stream->config.kind == RH_VIDEO;
    if (is_video && stream->wants_keyframe && !clip->frames[stream->cursor.frame].is_keyframe)
        rh_clip_jump(clip, &stream->cursor, rh_clip_next_keyframe(clip, stream->cursor.frame));
    const struct rh_clip_frame *frame = &clip->frames[stream->cursor.frame];
    return (struct rh_load_sent){
        .frame = stream->cursor.frame,
        .packets = (uint16_t)frame->packet_count,
        .picture_id = stream->cursor.picture_id_offset,
        .tl0 = stream->cursor.tl0_offset,
        .is_keyframe = is_video && frame->is_keyframe,
    };
}

static struct rh_load_sent begin_shape_frame(struct rh_load_stream *stream)
{
    const struct rh_load_shape *shape = &stream->config.shape;
    uint32_t span = shape->payload_bytes_max - shape->payload_bytes_min + 1;
    uint64_t number = stream->frame_number;
    bool is_regular = shape->keyframe_interval != 0 && number % shape->keyframe_interval == 0;
    struct rh_load_sent sent = {
        .frame = shape->payload_bytes_min + (uint32_t)(rh_load_random(&stream->random) % span),
        .packets = (uint16_t)shape->packets_per_frame,
        .picture_id = (uint16_t)(number & 0x7fff),
        .tl0 = (uint8_t)number,
        .is_keyframe = stream->config.kind == RH_VIDEO && (stream->wants_keyframe || is_regular),
    };
    if (sent.is_keyframe && shape->keyframe_packets != 0)
        sent.packets = (uint16_t)shape->keyframe_packets;
    return sent;
}

static void begin_frame(struct rh_load_loop *loop, struct rh_load_stream *stream)
{
    struct rh_load_sent sent = stream->config.clip != NULL ? begin_clip_frame(stream)
                                                           : begin_shape_frame(stream);
    sent.timestamp = stream->config.first_timestamp + (uint32_t)stream->media_time;
    stream->current = (struct rh_load_current){.is_begun = true, .sent = sent};
    if (sent.packets == 0)
        return;
    stream->report.frames++;
    rh_load_totals(loop, stream->config.kind)->sent_frames++;
    stream->report.keyframes += sent.is_keyframe;
    if (sent.is_keyframe)
        stream->wants_keyframe = false;
    stream->last_timestamp = sent.timestamp;
    stream->last_timestamp_ns = stream->due_ns;
}

/* ---- Packets --------------------------------------------------------------------------------- */

static struct rh_load_header make_header(
    struct rh_load_endpoint *endpoint, const struct rh_load_stream *stream,
    const struct rh_load_sent *sent)
{
    const struct rh_load_stream_config *config = &stream->config;
    bool is_described = sent->sent_ns < stream->described_until_ns;
    struct rh_load_header header = {
        .ids = &endpoint->config.ids,
        .mid = is_described ? config->mid : "",
        .rid = is_described ? config->rid : "",
        .repaired_rid = "",
        .timestamp = sent->timestamp,
        .ssrc = config->ssrc,
        .abs_send_time = rh_abs_send_time(sent->sent_ns / 1000),
        .transport_seq = endpoint->transport_seq++,
        .seq = (uint16_t)sent->seq64,
        .payload_type = config->payload_type,
        .marker = rh_load_payload_marker(config, sent),
        .has_audio_level = config->kind == RH_AUDIO,
        .audio_level = config->audio_level,
        .has_voice = config->audio_level < 60,
    };
    if (config->clip != NULL && config->kind == RH_AUDIO) {
        header.audio_level = config->clip->frames[sent->frame].audio_level;
        header.has_voice = config->clip->frames[sent->frame].has_voice;
    }
    return header;
}

/* Protects what stands at out and hands it to the outbox. */
static void commit(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint,
    const struct rh_srtp_outgoing *packet)
{
    size_t size = rh_srtp_protect_rtp(&endpoint->send, packet);
    RH_ASSERT(size <= RH_LOAD_DATAGRAM_BYTES_MAX);
    rh_load_outbox_commit(loop, size);
    endpoint->report.sent_packets++;
    endpoint->report.sent_bytes += size;
    loop->totals.sent_packets++;
    loop->totals.sent_bytes += size;
}

static void send_packet(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint, struct rh_load_stream *stream)
{
    struct rh_load_sent *sent = &stream->current.sent;
    sent->seq64 = stream->next_seq64++;
    sent->sent_ns = rh_load_now_ns();
    if (stream->history != NULL)
        stream->history[sent->seq64 % stream->history_packets] = *sent;
    uint8_t *out = rh_load_outbox_reserve(loop, endpoint);
    struct rh_load_header header = make_header(endpoint, stream, sent);
    size_t header_bytes = rh_load_header_write(&header, out);
    size_t payload_bytes = rh_load_payload_write(&stream->config, sent, out + header_bytes);
    struct rh_load_media_totals *totals = rh_load_totals(loop, stream->config.kind);
    stream->report.packets++;
    stream->report.bytes += payload_bytes;
    stream->octets += payload_bytes;
    totals->sent_packets++;
    totals->sent_bytes += payload_bytes;
    sent->packet++;
    if (rh_load_is_lost(loop, loop->loss_out)) {
        loop->totals.impaired_out++;
        return;
    }
    commit(loop, endpoint, &(struct rh_srtp_outgoing){
        .out = out, .header_bytes = header_bytes, .payload = out + header_bytes,
        .payload_bytes = payload_bytes, .seq64 = sent->seq64});
}

/* A frame's packets in one tick: so many that half its interval is enough. */
static uint32_t packets_per_tick(
    const struct rh_load_loop *loop, const struct rh_load_stream *stream)
{
    uint64_t half_ticks = frame_interval_ns(stream) / 2 / loop->tick_ns;
    uint32_t even = half_ticks == 0
        ? stream->current.sent.packets
        : (uint32_t)((stream->current.sent.packets + half_ticks - 1) / half_ticks);
    return even > PACKETS_PER_TICK_MIN ? even : PACKETS_PER_TICK_MIN;
}

/* Sends packets of the current frame. Returns true when it is complete. */
static bool send_some(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint, struct rh_load_stream *stream)
{
    uint32_t room = packets_per_tick(loop, stream);
    const struct rh_load_sent *sent = &stream->current.sent;
    for (; room > 0 && sent->packet < sent->packets; room--)
        send_packet(loop, endpoint, stream);
    return sent->packet >= sent->packets;
}

static void begin_stream(struct rh_load_loop *loop, struct rh_load_stream *stream)
{
    stream->begin_ns = loop->now_ns + (uint64_t)stream->config.phase_us * 1000;
    stream->described_until_ns = stream->begin_ns + described_ns;
    stream->due_ns = next_frame_ns(stream);
}

static void skip_late(struct rh_load_loop *loop, struct rh_load_stream *stream)
{
    while (stream->due_ns + late_ns_max < loop->now_ns) {
        advance(stream);
        if (stream->report.muted)
            continue;
        stream->report.skipped_frames++;
        loop->totals.skipped_frames++;
        stream->wants_keyframe = stream->config.kind == RH_VIDEO;
    }
}

static void tick_stream(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint, struct rh_load_stream *stream)
{
    if (stream->begin_ns == 0)
        begin_stream(loop, stream);
    while (stream->due_ns <= loop->now_ns) {
        if (!stream->current.is_begun) {
            skip_late(loop, stream);
            if (stream->due_ns > loop->now_ns)
                return;
            if (stream->report.muted) {
                advance(stream);
                continue;
            }
            begin_frame(loop, stream);
        }
        if (!send_some(loop, endpoint, stream)) {
            stream->due_ns = loop->now_ns + loop->tick_ns / 2;
            return;
        }
        stream->current.is_begun = false;
        advance(stream);
    }
}

uint64_t rh_load_streams_tick(struct rh_load_loop *loop, struct rh_load_endpoint *endpoint)
{
    uint64_t due_ns = RH_LOAD_NEVER;
    if (!endpoint->has_keys || !endpoint->has_remote)
        return due_ns;
    for (uint32_t i = 0; i < endpoint->stream_count; i++) {
        struct rh_load_stream *stream = endpoint->streams[i];
        tick_stream(loop, endpoint, stream);
        due_ns = stream->due_ns < due_ns ? stream->due_ns : due_ns;
    }
    return due_ns;
}

/* ---- Resends --------------------------------------------------------------------------------- */

static void write_resend(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint, struct rh_load_stream *stream,
    const struct rh_load_sent *sent)
{
    uint8_t *out = rh_load_outbox_reserve(loop, endpoint);
    struct rh_load_header header = make_header(endpoint, stream, sent);
    header.ssrc = stream->config.rtx_ssrc;
    header.payload_type = stream->config.rtx_payload_type;
    header.repaired_rid = header.rid;
    header.rid = "";
    header.seq = (uint16_t)stream->next_rtx_seq64;
    size_t header_bytes = rh_load_header_write(&header, out);
    uint8_t *payload = out + header_bytes; /* the original's number first (RFC 4588 section 4) */
    payload[0] = (uint8_t)(sent->seq64 >> 8);
    payload[1] = (uint8_t)sent->seq64;
    size_t payload_bytes = 2 + rh_load_payload_write(&stream->config, sent, payload + 2);
    uint64_t seq64 = stream->next_rtx_seq64++;
    if (rh_load_is_lost(loop, loop->loss_out)) {
        loop->totals.impaired_out++;
        return;
    }
    commit(loop, endpoint, &(struct rh_srtp_outgoing){
        .out = out, .header_bytes = header_bytes, .payload = payload,
        .payload_bytes = payload_bytes, .seq64 = seq64});
}

void rh_load_stream_resend(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint, struct rh_load_stream *stream,
    uint16_t seq)
{
    stream->report.nacked_packets++;
    loop->totals.nacks_received++;
    if (stream->history == NULL || !endpoint->has_keys || !endpoint->has_remote
        || stream->report.packets == 0)
        return;
    uint64_t seq64 = rh_seq_extend(stream->next_seq64 - 1, seq);
    struct rh_load_sent *sent = &stream->history[seq64 % stream->history_packets];
    bool is_repeated = sent->resent_ns != 0 && sent->resent_ns + resend_pause_ns > loop->now_ns;
    if (sent->seq64 != seq64 || is_repeated)
        return;
    sent->resent_ns = loop->now_ns;
    write_resend(loop, endpoint, stream, sent);
    stream->report.resent_packets++;
    loop->totals.resent_packets++;
}
