/* A scenario through the engine, without sockets. SPDX-License-Identifier: Apache-2.0
 *
 *   engine fanout|gallery|small [--participants N] [--meetings M] [--packets P]
 *          [--packet-bytes B] [--window-us W] [--padding B] [--segmentation on|off]
 *          [--nack on|off] [--estimation on|off]
 *
 * Publishers' SRTP packets are made beforehand, in buffers of the engine; what arrives within W of
 * the first then goes through rh_receive and rh_forward, and rh_forwarder_write_pending writes all
 * messages, which are counted and forgotten. That alone is measured, in a time that goes by as
 * the packets say. fanout is the stage with N = 50. --packets: how many are received.
 * --packet-bytes: of each RTP packet, header included; 0: as the scenario has them. --nack: one
 * packet in 100 is asked for again. --estimation: transport-wide numbers in both directions. */
#define _GNU_SOURCE
#include "../Common/publisher.h"
#include "forward/forward.h"

enum { PACKETS_TOGETHER_MAX = 4096, NACK_EVERY = 100, START_US = 1000000 };

struct member {
    struct publisher publisher;
    struct rh_address from;
    rh_peer_id peer;
    rh_track_id tracks[KINDS];
    rh_slot_id *slots[KINDS];
    uint32_t slot_count;
};

struct engine {
    struct scenario scenario;
    struct rh_forwarder forwarder;
    struct member *members;
    uint32_t member_count;
    struct rh_buffer *together[PACKETS_TOGETHER_MAX];
    struct rh_address from[PACKETS_TOGETHER_MAX];
    bool has_nack, has_estimation;
    uint64_t messages, asked, nack_rest;
    double spent_ns;
};

static bool publishes(const struct engine *engine, uint32_t number)
{
    return !engine->scenario.is_stage || number == engine->scenario.participants;
}

/* ---- The meeting ---------------------------------------------------------------------------- */

static void make_member(struct engine *engine, uint32_t number)
{
    struct rh_media *media = &engine->forwarder.media;
    struct member *member = &engine->members[number];
    struct rh_extension_ids ids = {
        .mid = MID_ID, .abs_send_time = SEND_TIME_ID,
        .transport_seq = engine->has_estimation ? TRANSPORT_ID : 0};
    struct rh_media_keys keys = {
        .profile = RH_SRTP_AEAD_AES_128_GCM, .receive = publisher_keys(number, 1),
        .send = publisher_keys(number, 2)};
    member->from = (struct rh_address){
        .family = 4, .port = (uint16_t)(10000 + number),
        .ip = {10, 0, (uint8_t)(number >> 8), (uint8_t)number}};
    bool is_done = rh_media_peer_create(media, &member->peer) == RH_OK
        && rh_media_peer_set_extensions(media, member->peer, &ids) == RH_OK
        && rh_media_peer_select_address(media, member->peer, &member->from) == RH_OK
        && rh_media_peer_set_srtp(media, member->peer, &keys) == RH_OK
        && publisher_init(&member->publisher, number, keys.profile);
    bench_require(is_done, "peer");
    member->publisher.has_transport_seq = engine->has_estimation;
    for (int kind = engine->scenario.is_stage ? VIDEO : AUDIO;
         kind < KINDS && publishes(engine, number); kind++) {
        struct rh_track_config config = publisher_track(number, kind);
        bench_require(rh_media_track_create(media, member->peer, &config, &member->tracks[kind])
                          == RH_OK, "track");
    }
}

static void subscribe(struct engine *engine, uint32_t number)
{
    struct rh_media *media = &engine->forwarder.media;
    struct member *member = &engine->members[number];
    for (int kind = 0; kind < KINDS; kind++) {
        member->slots[kind] = calloc(engine->member_count, sizeof(rh_slot_id));
        bench_require(member->slots[kind] != NULL, "memory");
    }
    for (uint32_t p = 0; p < engine->member_count; p++) {
        if (!publishes(engine, p) || !scenario_receives(&engine->scenario, number, p))
            continue;
        uint32_t place = member->slot_count++;
        for (int kind = engine->scenario.is_stage ? VIDEO : AUDIO; kind < KINDS; kind++) {
            struct rh_slot_config config = publisher_slot(place, kind);
            struct rh_slot_binding binding =
                publisher_binding(engine->members[p].tracks[kind], kind);
            rh_slot_id *slot = &member->slots[kind][place];
            bool is_done = rh_media_slot_create(media, member->peer, &config, slot) == RH_OK
                && rh_media_slot_bind(media, *slot, &binding, START_US) == RH_OK;
            bench_require(is_done, "slot");
        }
    }
}

static void make_meeting(struct engine *engine)
{
    uint32_t participants = engine->scenario.participants;
    engine->member_count = participants + (engine->scenario.is_stage ? 1 : 0);
    engine->members = calloc(engine->member_count, sizeof *engine->members);
    bench_require(engine->members != NULL, "memory");
    uint32_t each = engine->scenario.is_stage ? 1 : scenario_receivers(&engine->scenario, 0);
    struct rh_media_sizes sizes = {
        .peers_max = engine->member_count + 1, .slots_max = 2 * participants * (each + 1) + 1,
        .seed = 1};
    bench_require(rh_forwarder_init(&engine->forwarder, &sizes) == RH_OK, "engine");
    for (uint32_t i = 0; i < engine->member_count; i++)
        make_member(engine, i);
    for (uint32_t i = 0; i < participants; i++)
        subscribe(engine, i);
}

/* ---- Its packets ---------------------------------------------------------------------------- */

/* Protects what is sent within one window, in buffers as the socket fills them. */
static void make_packets(
    struct engine *engine, const struct shot *shots, size_t count, uint64_t now_us)
{
    for (size_t i = 0; i < count; i++) {
        struct member *member = &engine->members[
            engine->scenario.is_stage ? engine->scenario.participants : shots[i].publisher];
        uint8_t bytes[PUBLISHED_BYTES_MAX];
        struct rh_buffer *buffer = rh_media_take_buffer(&engine->forwarder.media);
        bench_require(buffer != NULL, "a packet buffer");
        buffer->size = (uint16_t)publisher_write(&member->publisher, &shots[i], bytes);
        memcpy(buffer->bytes, bytes, buffer->size);
        buffer->arrival_us = now_us;
        engine->together[i] = buffer;
        engine->from[i] = member->from;
    }
}

static void write_messages(struct engine *engine, uint64_t now_us)
{
    struct rh_forwarder *forwarder = &engine->forwarder;
    bool is_done = false;
    while (!is_done) {
        is_done = rh_forwarder_write_pending(forwarder, now_us) == RH_OK;
        engine->messages += forwarder->queue.count;
        rh_sendqueue_clear(&forwarder->queue);
    }
}

/* What the worker does with packets that it reads, and when they are due. */
static void pass_packets(struct engine *engine, size_t count, uint64_t now_us)
{
    struct rh_forwarder *forwarder = &engine->forwarder;
    for (size_t i = 0; i < count; i++) {
        struct rh_received received =
            rh_receive(forwarder, engine->together[i], &engine->from[i]);
        bench_require(received.step == RH_RECEIVE_FORWARD, "receiving");
        while (rh_forward(forwarder, &received.job, now_us) == RH_FULL)
            write_messages(engine, now_us);
        rh_buffers_release(&forwarder->media.buffers, engine->together[i]);
    }
    write_messages(engine, now_us);
}

/* Asks again for the newest packet of some slots: one for NACK_EVERY packets that were sent. */
static void ask_again(struct engine *engine, uint64_t newly, uint64_t now_us)
{
    struct rh_media *media = &engine->forwarder.media;
    engine->nack_rest += newly;
    for (; engine->nack_rest >= NACK_EVERY; engine->nack_rest -= NACK_EVERY) {
        const struct member *member =
            &engine->members[engine->asked % engine->scenario.participants];
        rh_slot_id slot = member->slots[VIDEO][engine->asked % member->slot_count];
        engine->asked++;
        struct rh_slot_report report;
        bench_require(rh_media_slot_report(media, slot, &report) == RH_OK, "report");
        struct rh_resend_request request = {
            .slot_index = rh_handle_place(slot), .seq = report.last_seq, .rtt_us = 1000,
            .now_us = now_us};
        while (rh_resend(&engine->forwarder, &request) == RH_FULL)
            write_messages(engine, now_us);
    }
}

static void run(struct engine *engine, const struct shots *shots, uint64_t window_us)
{
    struct rh_media *media = &engine->forwarder.media;
    for (size_t begin = 0, end; begin < shots->count; begin = end) {
        uint64_t until_us = shots->all[begin].at_us + window_us;
        end = begin + 1;
        while (end < shots->count && shots->all[end].at_us <= until_us
               && end - begin < PACKETS_TOGETHER_MAX)
            end++;
        uint64_t now_us = START_US + shots->all[begin].at_us;
        make_packets(engine, shots->all + begin, end - begin, now_us);
        uint64_t before = media->counters.forwarded_packets;
        uint64_t began_ns = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID);
        pass_packets(engine, end - begin, now_us);
        if (engine->has_nack)
            ask_again(engine, media->counters.forwarded_packets - before, now_us);
        rh_media_expire(media, now_us);
        engine->spent_ns += (double)(bench_clock_ns(CLOCK_THREAD_CPUTIME_ID) - began_ns);
        media->events.count = 0;
        if (engine->has_estimation)
            for (uint32_t i = 0; i < engine->member_count; i++)
                media->peers[i].arrivals_count = 0; /* the owner took them */
    }
}

/* As many of the scenario's packets as wanted, of that size unless it is 0. */
static struct shots wanted_shots(const struct scenario *scenario, size_t count, uint32_t bytes)
{
    struct shots shots = {0};
    for (uint64_t duration_us = 1000000; shots.count < count; duration_us *= 2) {
        free(shots.all);
        shots = shots_make(scenario, duration_us);
    }
    shots.count = count;
    for (size_t i = 0; i < count && bytes != 0; i++)
        shots.all[i].bytes = (uint16_t)bytes;
    return shots;
}

int main(int argc, char **argv)
{
    static struct engine engine;
    const char *name = argc > 1 ? argv[1] : "";
    bool is_fanout = strcmp(name, "fanout") == 0;
    if (!is_fanout && strcmp(name, "gallery") != 0 && strcmp(name, "small") != 0) {
        fprintf(stderr, "usage: engine fanout|gallery|small [OPTIONS]\n");
        return 2;
    }
    char **arguments = argv + 2;
    bench_check_options(arguments, (const char *const[]){
        "--participants", "--meetings", "--packets", "--packet-bytes", "--window-us", "--padding",
        "--segmentation", "--nack", "--estimation", NULL});
    engine.scenario = scenario_read(is_fanout ? "stage" : name, arguments);
    if (is_fanout)
        engine.scenario.participants = (uint32_t)bench_number(arguments, "--participants", 50);
    engine.has_nack = bench_switch(arguments, "--nack", false);
    engine.has_estimation = bench_switch(arguments, "--estimation", false);
    uint32_t bytes = (uint32_t)bench_number(arguments, "--packet-bytes", 0);
    bench_require(bytes == 0 || (bytes >= 60 && bytes <= 1400), "--packet-bytes 60 to 1400");
    struct shots shots = wanted_shots(
        &engine.scenario, (size_t)bench_number(arguments, "--packets", 10000), bytes);
    make_meeting(&engine);
    uint64_t window_us = (uint64_t)bench_number(arguments, "--window-us", 5000);
    engine.forwarder.padding_bytes_max = (uint16_t)bench_number(arguments, "--padding", 32);
    engine.forwarder.segmentation_off = !bench_switch(arguments, "--segmentation", true);
    run(&engine, &shots, window_us);
    const struct rh_counters *counters = &engine.forwarder.media.counters;
    uint64_t expected = 0;
    for (size_t i = 0; i < shots.count; i++)
        expected += scenario_receivers(&engine.scenario, shots.all[i].publisher);
    printf("{\"scenario\": \"%s\", \"participants\": %u, \"packets\": %zu, \"forwarded\": %lu, "
           "\"resent\": %lu, \"messages\": %lu, \"padding_bytes\": %lu, "
           "\"cpu_ns_per_packet\": %.1f, \"cipher\": \"%s\"}\n",
           name, engine.scenario.participants, shots.count, counters->forwarded_packets,
           counters->resent_packets, engine.messages, counters->padding_bytes,
           engine.spent_ns / (double)counters->forwarded_packets, rh_cipher_choose()->name);
    bench_require(counters->forwarded_packets == expected, "forwarding all packets");
    rh_forwarder_deinit(&engine.forwarder);
    return 0;
}
