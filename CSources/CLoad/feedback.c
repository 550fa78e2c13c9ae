/* RTCP of one participant: reports, requests, and what they cause.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "loop.h"
#include "wire/assert.h"

enum {
    FORMAT_TRANSPORT_FEEDBACK = 15,
    NACK_NUMBERS_MAX = RH_LOAD_MISSING_MAX,
};

static const uint64_t nack_first_ns = 10 * RH_LOAD_MS;  /* reordered packets come in that time */
static const uint64_t nack_repeat_ns = 100 * RH_LOAD_MS;
static const uint64_t picture_loss_pause_ns = 500 * RH_LOAD_MS;
static const uint64_t unix_epoch_in_ntp = 2208988800; /* seconds */

static uint64_t ntp_now(const struct rh_load_loop *loop)
{
    uint64_t realtime = (uint64_t)((int64_t)loop->now_ns + loop->realtime_offset_ns);
    uint64_t seconds = realtime / RH_LOAD_SECOND + unix_epoch_in_ntp;
    return seconds << 32 | ((realtime % RH_LOAD_SECOND) << 32) / RH_LOAD_SECOND;
}

static uint32_t our_ssrc(const struct rh_load_endpoint *endpoint)
{
    return endpoint->stream_count != 0 ? endpoint->streams[0]->config.ssrc
                                       : endpoint->config.rtcp_ssrc;
}

/* Protects what was written, sends it, and empties the writer. */
static void send_rtcp(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint,
    struct rh_load_rtcp_writer *writer)
{
    if (writer->size == 0)
        return;
    if (endpoint->has_keys && endpoint->has_remote) {
        uint8_t *out = rh_load_outbox_reserve(loop, endpoint);
        size_t size = rh_srtp_protect_rtcp(&endpoint->send, writer->bytes, writer->size, out);
        if (size != 0 && rh_load_is_lost(loop, loop->loss_out)) {
            loop->totals.impaired_out++;
        } else if (size != 0) {
            rh_load_outbox_commit(loop, size);
            endpoint->report.sent_rtcp++;
            loop->totals.sent_rtcp++;
        }
    }
    writer->size = 0;
}

/* ---- Once a second --------------------------------------------------------------------------- */

static void write_sender_reports(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint,
    struct rh_load_rtcp_writer *writer)
{
    for (uint32_t i = 0; i < endpoint->stream_count; i++) {
        const struct rh_load_stream *stream = endpoint->streams[i];
        if (stream->report.packets == 0)
            continue;
        int64_t since_ns = (int64_t)(loop->now_ns - stream->last_timestamp_ns);
        int64_t units = since_ns / 1000 * stream->config.clock_rate / 1000000;
        rh_load_rtcp_write_sr(writer, &(struct rh_load_rtcp_sender){
            .ssrc = stream->config.ssrc, .ntp = ntp_now(loop),
            .timestamp = stream->last_timestamp + (uint32_t)units,
            .packets = (uint32_t)stream->report.packets, .octets = (uint32_t)stream->octets});
    }
}

/* Fraction and cumulative loss (RFC 3550 appendix A.3), jitter, and the last sender report. */
static struct rh_load_rtcp_block make_block(
    const struct rh_load_loop *loop, struct rh_load_slot *slot)
{
    struct rh_load_arrivals *arrivals = &slot->arrivals;
    uint64_t expected = arrivals->highest_seq64 - arrivals->base_seq64 + 1;
    uint64_t interval = expected - arrivals->prior_expected;
    int64_t lost_here = (int64_t)interval - (int64_t)(arrivals->packets - arrivals->prior_packets);
    arrivals->prior_expected = expected;
    arrivals->prior_packets = arrivals->packets;
    uint64_t lost = rh_load_arrivals_lost(arrivals);
    uint64_t fraction = interval == 0 || lost_here <= 0 ? 0 : ((uint64_t)lost_here << 8) / interval;
    bool has_report = slot->sender_report_ns != 0;
    uint64_t delay_ns = has_report ? loop->now_ns - slot->sender_report_ns : 0;
    return (struct rh_load_rtcp_block){
        .ssrc = slot->config.ssrc,
        .fraction_lost = (uint8_t)(fraction > 255 ? 255 : fraction),
        .lost = (int32_t)(lost > 0x7fffff ? 0x7fffff : lost),
        .highest_seq = (uint32_t)(arrivals->highest_seq64 - (1 << 16)),
        .jitter = arrivals->jitter >> 4,
        .last_report = has_report ? slot->sender_report : 0,
        .delay = (uint32_t)((delay_ns << 16) / RH_LOAD_SECOND),
    };
}

static void write_receiver_reports(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint,
    struct rh_load_rtcp_writer *writer)
{
    struct rh_load_rtcp_block blocks[RH_LOAD_RTCP_BLOCKS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i <= endpoint->slot_count; i++) {
        bool is_end = i == endpoint->slot_count;
        if (count != 0 && (is_end || count == RH_LOAD_RTCP_BLOCKS_MAX)) {
            if (!rh_load_rtcp_write_rr(writer, our_ssrc(endpoint), blocks, count)) {
                send_rtcp(loop, endpoint, writer);
                rh_load_rtcp_write_rr(writer, our_ssrc(endpoint), blocks, count);
            }
            count = 0;
        }
        if (is_end)
            return;
        struct rh_load_slot *slot = endpoint->slots[i];
        if (slot->arrivals.packets == slot->reported_packets)
            continue;
        slot->reported_packets = slot->arrivals.packets;
        blocks[count++] = make_block(loop, slot);
    }
}

static uint32_t any_slot(const struct rh_load_endpoint *endpoint)
{
    return endpoint->slot_count != 0 ? endpoint->slots[0]->config.ssrc : 0;
}

static void send_reports(struct rh_load_loop *loop, struct rh_load_endpoint *endpoint)
{
    struct rh_load_rtcp_writer writer;
    writer.size = 0;
    write_sender_reports(loop, endpoint, &writer);
    if (writer.size == 0) /* a compound begins with a report (RFC 3550 section 6.1) */
        rh_load_rtcp_write_rr(&writer, our_ssrc(endpoint), NULL, 0);
    rh_load_rtcp_write_sdes(&writer, our_ssrc(endpoint), endpoint->config.cname);
    if (endpoint->config.remb_bps != 0)
        rh_load_rtcp_write_remb(
            &writer, our_ssrc(endpoint), endpoint->config.remb_bps, any_slot(endpoint));
    write_receiver_reports(loop, endpoint, &writer);
    send_rtcp(loop, endpoint, &writer);
}

/* ---- Holes ----------------------------------------------------------------------------------- */

void rh_load_send_pli(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint, struct rh_load_slot *slot)
{
    struct rh_load_rtcp_writer writer;
    writer.size = 0;
    rh_load_rtcp_write_pli(&writer, our_ssrc(endpoint), slot->config.ssrc);
    send_rtcp(loop, endpoint, &writer);
    slot->picture_loss_ns = loop->now_ns;
    loop->totals.plis_sent++;
}

static void on_picture_loss(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint, struct rh_load_slot *slot)
{
    bool is_wanted = endpoint->config.picture_loss_on && slot->config.kind == RH_VIDEO
        && slot->picture_loss_ns + picture_loss_pause_ns <= loop->now_ns;
    if (is_wanted)
        rh_load_send_pli(loop, endpoint, slot);
}

void rh_load_note_missing(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint, struct rh_load_slot *slot,
    uint64_t first_seq64, uint32_t count)
{
    bool is_resent = slot->config.kind == RH_VIDEO || slot->config.rtx_ssrc != 0;
    if (!endpoint->config.nack_on || !is_resent) {
        on_picture_loss(loop, endpoint, slot);
        return;
    }
    uint64_t ask_ns = loop->now_ns + nack_first_ns;
    for (uint32_t i = 0; i < count && slot->missing_count < RH_LOAD_MISSING_MAX; i++)
        slot->missing[slot->missing_count++] =
            (struct rh_load_missing){.seq64 = first_seq64 + i, .ask_ns = ask_ns};
    if (ask_ns < endpoint->missing_due_ns) {
        endpoint->missing_due_ns = ask_ns;
        rh_load_schedule(loop, endpoint, ask_ns);
    }
}

/* Takes the numbers to ask for now and gives up those asked for often enough. Returns how many are
 * in seqs. */
static uint32_t take_due(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint, struct rh_load_slot *slot,
    uint16_t *seqs)
{
    uint32_t count = 0, kept = 0;
    bool is_given_up = false;
    for (uint32_t i = 0; i < slot->missing_count; i++) {
        struct rh_load_missing missing = slot->missing[i];
        if (missing.ask_ns <= loop->now_ns) {
            if (missing.tries == RH_LOAD_RESEND_TRIES) {
                is_given_up = true;
                continue;
            }
            slot->nacked += missing.tries == 0;
            missing.tries++;
            missing.ask_ns = loop->now_ns + nack_repeat_ns;
            seqs[count++] = (uint16_t)missing.seq64;
        }
        if (missing.ask_ns < endpoint->missing_due_ns)
            endpoint->missing_due_ns = missing.ask_ns;
        slot->missing[kept++] = missing;
    }
    slot->missing_count = kept;
    if (is_given_up)
        on_picture_loss(loop, endpoint, slot);
    return count;
}

static void send_nacks(struct rh_load_loop *loop, struct rh_load_endpoint *endpoint)
{
    struct rh_load_rtcp_writer writer;
    writer.size = 0;
    endpoint->missing_due_ns = RH_LOAD_NEVER;
    for (uint32_t i = 0; i < endpoint->slot_count; i++) {
        struct rh_load_slot *slot = endpoint->slots[i];
        uint16_t seqs[NACK_NUMBERS_MAX];
        uint32_t count =
            slot->missing_count != 0 ? take_due(loop, endpoint, slot, seqs) : 0, done = 0;
        while (done < count) {
            uint32_t taken = rh_load_rtcp_write_nack(
                &writer, our_ssrc(endpoint), slot->config.ssrc, seqs + done, count - done);
            if (taken == 0)
                send_rtcp(loop, endpoint, &writer);
            loop->totals.nacks_sent += taken;
            done += taken;
        }
    }
    send_rtcp(loop, endpoint, &writer);
}

uint64_t rh_load_feedback_tick(struct rh_load_loop *loop, struct rh_load_endpoint *endpoint)
{
    if (!endpoint->has_keys || !endpoint->has_remote)
        return RH_LOAD_NEVER;
    if (endpoint->rtcp_due_ns <= loop->now_ns) {
        send_reports(loop, endpoint);
        endpoint->rtcp_due_ns += RH_LOAD_SECOND;
        if (endpoint->rtcp_due_ns <= loop->now_ns)
            endpoint->rtcp_due_ns = loop->now_ns + RH_LOAD_SECOND;
    }
    if (endpoint->missing_due_ns <= loop->now_ns)
        send_nacks(loop, endpoint);
    return endpoint->missing_due_ns < endpoint->rtcp_due_ns ? endpoint->missing_due_ns
                                                             : endpoint->rtcp_due_ns;
}

void rh_load_send_bye(struct rh_load_loop *loop, struct rh_load_endpoint *endpoint)
{
    uint32_t ssrcs[RH_LOAD_STREAMS_PER_ENDPOINT];
    for (uint32_t i = 0; i < endpoint->stream_count; i++)
        ssrcs[i] = endpoint->streams[i]->config.ssrc;
    if (endpoint->stream_count == 0)
        return;
    struct rh_load_rtcp_writer writer;
    writer.size = 0;
    rh_load_rtcp_write_rr(&writer, our_ssrc(endpoint), NULL, 0);
    rh_load_rtcp_write_bye(&writer, ssrcs, endpoint->stream_count);
    send_rtcp(loop, endpoint, &writer);
}

/* ---- What arrives ---------------------------------------------------------------------------- */

static void on_blocks(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint,
    const struct rh_load_rtcp_packet *packet)
{
    struct rh_load_rtcp_block block;
    for (uint32_t i = 0; rh_load_rtcp_block(packet, i, &block); i++) {
        struct rh_load_stream *stream = rh_load_find_stream(endpoint, block.ssrc);
        if (stream == NULL)
            continue;
        stream->report.remote_fraction_lost = block.fraction_lost;
        stream->report.remote_lost = block.lost > 0 ? (uint32_t)block.lost : 0;
        uint32_t trip = (uint32_t)(ntp_now(loop) >> 16) - block.last_report - block.delay;
        if (block.last_report != 0 && trip < 1u << 31)
            stream->report.round_trip_us = (uint32_t)((uint64_t)trip * 1000000 >> 16);
    }
}

static void on_keyframe_requests(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint,
    const struct rh_load_rtcp_packet *packet)
{
    uint32_t ssrc;
    for (uint32_t i = 0; rh_load_rtcp_keyframe(packet, i, &ssrc); i++) {
        struct rh_load_stream *stream = rh_load_find_stream(endpoint, ssrc);
        if (stream == NULL)
            continue;
        stream->wants_keyframe = stream->config.kind == RH_VIDEO;
        stream->report.keyframe_requests++;
        loop->totals.keyframe_requests++;
    }
}

static void on_nacks(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint,
    const struct rh_load_rtcp_packet *packet)
{
    struct rh_load_rtcp_nack nack;
    for (uint32_t i = 0; rh_load_rtcp_nack(packet, i, &nack); i++) {
        struct rh_load_stream *stream = rh_load_find_stream(endpoint, nack.ssrc);
        if (stream == NULL)
            return;
        rh_load_stream_resend(loop, endpoint, stream, nack.pid);
        for (uint32_t bit = 0; bit < 16; bit++)
            if (nack.mask >> bit & 1)
                rh_load_stream_resend(
                    loop, endpoint, stream, (uint16_t)(nack.pid + bit + 1));
    }
}

static void on_sender_report(
    struct rh_load_endpoint *endpoint, const struct rh_load_rtcp_packet *packet,
    uint64_t arrival_ns)
{
    struct rh_load_slot *slot = rh_load_find_slot(endpoint, packet->sender);
    uint32_t middle;
    if (slot == NULL || !rh_load_rtcp_sender_ntp(packet, &middle))
        return;
    slot->sender_report = middle;
    slot->sender_report_ns = arrival_ns;
}

static void on_packet(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint,
    const struct rh_load_rtcp_packet *packet, uint64_t arrival_ns)
{
    on_blocks(loop, endpoint, packet);
    on_keyframe_requests(loop, endpoint, packet);
    on_nacks(loop, endpoint, packet);
    on_sender_report(endpoint, packet, arrival_ns);
    loop->totals.transport_feedback_received +=
        packet->type == RH_LOAD_RTCP_RTPFB && packet->count == FORMAT_TRANSPORT_FEEDBACK;
}

void rh_load_on_rtcp(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint,
    const struct rh_load_received *received)
{
    endpoint->report.received_rtcp++;
    loop->totals.received_rtcp++;
    if (!endpoint->has_keys)
        return;
    alignas(16) uint8_t bytes[RH_LOAD_DATAGRAM_BYTES_MAX + 64]; /* ciphers touch what follows */
    size_t size = received->size;
    if (size > RH_LOAD_DATAGRAM_BYTES_MAX) {
        endpoint->report.malformed++;
        loop->totals.malformed++;
        return;
    }
    memcpy(bytes, received->bytes, size);
    if (rh_srtp_unprotect_rtcp(&endpoint->receive, bytes, &size) != RH_OK) {
        endpoint->report.unauthentic++;
        loop->totals.unauthentic++;
        return;
    }
    struct rh_load_rtcp_reader reader = {.bytes = bytes, .size = size};
    struct rh_load_rtcp_packet packet;
    while (rh_load_rtcp_next(&reader, &packet))
        on_packet(loop, endpoint, &packet, received->arrival_ns);
}
