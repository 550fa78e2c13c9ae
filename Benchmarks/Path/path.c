/* The whole packet path with its workers, loops and sockets, and no Swift.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   path gallery|small|stage|churn [--participants N] [--meetings M] [--workers W]
 *        [--window-us W] [--padding B] [--segmentation on|off] [--coalescing on|off]
 *        [--profile gcm|cm] [--seconds S] [--rate realtime|max] [--remap-ms T]
 *        [--network sink|loopback]
 *   path memory [--participants N]
 *
 * The main thread plays the publishers: SRTP packets of the scenario (Common/scenario.h) from one
 * loopback socket each. Subscribers' addresses lie in 10.100.0.0/16, which is to be routed into a
 * device that drops, or on loopback sockets that nobody reads. Only the workers' threads are
 * measured, over the time in which the packets are played. `realtime` plays them when they are
 * due; `max` as fast as the workers take them, with at most IN_FLIGHT_MAX not yet received: then
 * wall_ns says how fast, and it says the same when realtime is more than the machine can do. churn
 * is the gallery while every participant binds all its slots to other tracks every T ms. */
#define _GNU_SOURCE
#include "room.h"

enum { WARM_UP_US = 1000000, IN_FLIGHT_MAX = 128, QUIET_NS = 300000000, LATE_NS = 1000000 };

/* ---- Playing the publishers ----------------------------------------------------------------- */

struct player {
    struct room *room;
    struct shots shots;
    bool is_realtime;
    uint64_t remap_ns; /* 0: never */
    uint64_t sent, expected; /* since the beginning: packets published; to be forwarded */
    uint64_t late_max_ns; /* behind what is due */
    uint64_t played_ns;   /* from the first packet to the last one forwarded */
};

struct totals {
    uint64_t received, forwarded;
};

static struct totals totals_now(const struct room *room)
{
    struct totals totals = {0};
    for (uint32_t i = 0; i < room->worker_count; i++) {
        struct rh_counters counters;
        rh_worker_counters(room->hosts[i].worker, &counters);
        totals.received += counters.received_packets + counters.kernel_dropped;
        totals.forwarded += counters.forwarded_packets;
    }
    return totals;
}

/* Waits until no more than that many packets are on their way to the workers; no longer than a
 * second: then they are lost. */
static void wait_for_workers(const struct player *player, uint64_t in_flight_max)
{
    uint64_t until_ns = bench_clock_ns(CLOCK_MONOTONIC) + 1000000000u;
    while (player->sent - totals_now(player->room).received > in_flight_max) {
        uint64_t now_ns = bench_clock_ns(CLOCK_MONOTONIC);
        if (now_ns > until_ns)
            return;
        bench_sleep_until(now_ns + 20000);
    }
}

/* Waits until everything is forwarded, or nothing more for QUIET_NS. Returns when that was. */
static uint64_t wait_until_quiet(const struct player *player)
{
    uint64_t forwarded = 0, quiet_ns = bench_clock_ns(CLOCK_MONOTONIC), now_ns = quiet_ns;
    while (forwarded < player->expected && now_ns < quiet_ns + QUIET_NS) {
        bench_sleep_until(now_ns + 1000000);
        now_ns = bench_clock_ns(CLOCK_MONOTONIC);
        uint64_t newer = totals_now(player->room).forwarded;
        if (newer != forwarded)
            quiet_ns = now_ns;
        forwarded = newer;
    }
    return quiet_ns;
}

/* Waits until a packet is due. When other programs kept the player from playing in time, it catches
 * up no faster than the workers receive: the burst is not theirs to lose. */
static void wait_until_due(struct player *player, size_t place, uint64_t due_ns)
{
    uint64_t now_ns = bench_clock_ns(CLOCK_MONOTONIC);
    if (player->is_realtime && now_ns <= due_ns) {
        bench_sleep_until(due_ns);
        return;
    }
    if (player->is_realtime && now_ns - due_ns > player->late_max_ns)
        player->late_max_ns = now_ns - due_ns;
    bool may_wait = !player->is_realtime || now_ns - due_ns > LATE_NS;
    if (may_wait && place % 16 == 0)
        wait_for_workers(player, IN_FLIGHT_MAX - 16);
}

static void play(struct player *player)
{
    uint64_t start_ns = bench_clock_ns(CLOCK_MONOTONIC);
    uint64_t remap_at_ns = start_ns + player->remap_ns / 2;
    player->late_max_ns = 0;
    for (size_t i = 0; i < player->shots.count; i++) {
        const struct shot *shot = &player->shots.all[i];
        uint64_t due_ns = start_ns + shot->at_us * 1000;
        if (player->remap_ns != 0 && due_ns >= remap_at_ns) {
            room_remap(player->room);
            remap_at_ns += player->remap_ns;
        }
        wait_until_due(player, i, due_ns);
        room_publish(player->room, shot);
        player->sent++;
        player->expected += scenario_receivers(&player->room->scenario, shot->publisher);
    }
    wait_for_workers(player, 0);
    player->played_ns = wait_until_quiet(player) - start_ns;
}

/* ---- Measuring ------------------------------------------------------------------------------ */

struct measure {
    struct rh_counters counters; /* of all workers together */
    struct bench_usage usage[RH_WORKERS_MAX];
    uint64_t switches;
};

static void measure_host(struct host *host, void *argument)
{
    struct measure *measure = argument;
    measure->usage[host->index] = bench_usage(RUSAGE_THREAD);
    measure->switches += host->switches;
}

static struct measure measure_now(struct room *room)
{
    enum { FIELDS = sizeof(struct rh_counters) / sizeof(uint64_t) };
    struct measure measure = {0};
    uint64_t lag_us = 0;
    for (uint32_t i = 0; i < room->worker_count; i++) {
        host_run(&room->hosts[i], measure_host, &measure);
        struct rh_counters counters;
        rh_worker_counters(room->hosts[i].worker, &counters);
        for (size_t field = 0; field < FIELDS; field++)
            ((uint64_t *)&measure.counters)[field] += ((uint64_t *)&counters)[field];
        lag_us = counters.loop_lag_max_us > lag_us ? counters.loop_lag_max_us : lag_us;
    }
    measure.counters.loop_lag_max_us = lag_us;
    return measure;
}

#define PRINT(name, value) printf("\"%s\": %lu, ", name, (uint64_t)(value))
#define PRINT_COUNT(name, field) PRINT(name, after->counters.field - before->counters.field)

static void print_workers(
    const struct room *room, const struct measure *before, const struct measure *after)
{
    struct bench_usage sum = {0};
    printf("\"worker_cpu_ns\": [");
    for (uint32_t i = 0; i < room->worker_count; i++) {
        uint64_t user_ns = after->usage[i].user_ns - before->usage[i].user_ns;
        uint64_t system_ns = after->usage[i].system_ns - before->usage[i].system_ns;
        printf("%s%lu", i == 0 ? "" : ", ", user_ns + system_ns);
        sum.user_ns += user_ns;
        sum.system_ns += system_ns;
    }
    printf("], ");
    PRINT("cpu_user_ns", sum.user_ns);
    PRINT("cpu_system_ns", sum.system_ns);
}

static void print_result(
    const struct player *player, const struct measure *before, const struct measure *after)
{
    const struct room *room = player->room;
    uint64_t expected = 0;
    for (size_t i = 0; i < player->shots.count; i++)
        expected += scenario_receivers(&room->scenario, player->shots.all[i].publisher);
    printf("{\"scenario\": \"%s\", \"cipher\": \"%s\", ", room->scenario.name, rh_cipher_name());
    PRINT("participants", room->scenario.participants);
    PRINT("meetings", room->scenario.meetings);
    PRINT("workers", room->worker_count);
    PRINT_COUNT("packets", forwarded_packets);
    if (player->remap_ns == 0) /* else what a slot waits for is not forwarded */
        PRINT("expected", expected);
    print_workers(room, before, after);
    PRINT("wall_ns", player->played_ns);
    PRINT("published", player->shots.count);
    PRINT("player_late_max_us", player->late_max_ns / 1000);
    PRINT_COUNT("received", received_packets);
    PRINT("switches", after->switches - before->switches);
    PRINT_COUNT("relayed", relayed_packets);
    PRINT_COUNT("relay_full", relay_full);
    PRINT_COUNT("kernel_dropped", kernel_dropped);
    PRINT_COUNT("send_dropped", send_dropped);
    PRINT_COUNT("send_errors", send_errors);
    PRINT_COUNT("send_calls", send_calls);
    PRINT_COUNT("receive_calls", receive_calls);
    PRINT_COUNT("sent_packets", sent_packets);
    PRINT_COUNT("sent_bytes", sent_bytes);
    PRINT_COUNT("sent_messages", sent_messages);
    PRINT_COUNT("segmented_messages", segmented_messages);
    PRINT_COUNT("segmented_packets", segmented_packets);
    PRINT_COUNT("padded_packets", padded_packets);
    PRINT_COUNT("padding_bytes", padding_bytes);
    PRINT_COUNT("coalesced_packets", coalesced_packets);
    PRINT_COUNT("queue_full", queue_full);
    PRINT("segmentation_refused", after->counters.segmentation_refused);
    PRINT("send_window_us", after->counters.send_window_us / room->worker_count);
    /* since the workers began, making the participants included: the time's own is no longer */
    PRINT("loop_lag_max_us", after->counters.loop_lag_max_us);
    printf("\"forward_latency\": [");
    for (size_t i = 0; i < RH_LATENCY_BUCKETS; i++)
        printf("%s%lu", i == 0 ? "" : ", ",
               after->counters.forward_latency[i] - before->counters.forward_latency[i]);
    printf("]}\n");
}

/* ---- Programs ------------------------------------------------------------------------------- */

static struct room_options room_options_read(char **arguments)
{
    struct room_options options = {
        .workers = (uint32_t)bench_number(arguments, "--workers", 1),
        .window_us = (uint32_t)bench_number(arguments, "--window-us", 5000),
        .padding_bytes = (uint32_t)bench_number(arguments, "--padding", 32),
        .has_segmentation = bench_switch(arguments, "--segmentation", true),
        .has_coalescing = bench_switch(arguments, "--coalescing", true),
        .is_loopback = bench_is_loopback(arguments),
        .profile = strcmp(bench_word(arguments, "--profile", "gcm"), "cm") == 0
            ? RH_SRTP_AES128_CM_HMAC_SHA1_80
            : RH_SRTP_AEAD_AES_128_GCM};
    bench_require(options.workers >= 1 && options.workers <= RH_WORKERS_MAX, "--workers");
    return options;
}

static int path_main(const char *name, char **arguments)
{
    bench_check_options(arguments, (const char *const[]){
        "--participants", "--meetings", "--workers", "--window-us", "--padding", "--segmentation",
        "--coalescing", "--profile", "--seconds", "--rate", "--remap-ms", "--network", NULL});
    bool is_churn = strcmp(name, "churn") == 0;
    struct scenario scenario = scenario_read(name, arguments);
    struct room_options options = room_options_read(arguments);
    double seconds = bench_number(arguments, "--seconds", 2);
    struct room *room = room_make(&scenario, &options);
    struct player player = {
        .room = room, .shots = shots_make(&scenario, WARM_UP_US),
        .is_realtime = strcmp(bench_word(arguments, "--rate", "realtime"), "max") != 0};
    play(&player);
    player.shots = shots_make(&scenario, (uint64_t)(seconds * 1e6));
    if (is_churn)
        player.remap_ns = (uint64_t)(bench_number(arguments, "--remap-ms", 2000) * 1e6);
    struct measure before = measure_now(room);
    play(&player);
    struct measure after = measure_now(room);
    print_result(&player, &before, &after);
    room_end(room);
    return 0;
}

/* Resident memory of this process. */
static uint64_t resident_bytes(void)
{
    uint64_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    bench_require(file != NULL && fscanf(file, "%*u %lu", &pages) == 1, "/proc/self/statm");
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* What the first peer of a process costs, once: ciphers are looked up, pages of pools are used. */
static void make_first_peer(struct host *host, void *participant)
{
    struct participant *first = participant;
    room_make_peer(host, first);
    rh_peer_destroy(host->worker, first->peer);
    rh_srtp_send_deinit(&first->publisher.srtp);
    close(first->fd);
}

/* Resident memory that the objects of one meeting add, each kind by itself. */
static int memory_main(char **arguments)
{
    bench_check_options(arguments, (const char *const[]){"--participants", NULL});
    struct scenario scenario = scenario_read("gallery", arguments);
    struct room_options options = room_options_read((char *[]){NULL});
    struct room *room = room_start(&scenario, &options);
    host_run(&room->hosts[0], make_first_peer, &room->participants[0]);
    uint64_t bytes[4] = {resident_bytes()};
    void (*const steps[])(struct room *) = {room_make_peers, room_make_tracks, room_make_slots};
    for (size_t i = 0; i < 3; i++) {
        steps[i](room);
        bytes[i + 1] = resident_bytes();
    }
    uint64_t participants = scenario.participants;
    uint64_t subscriptions = participants * (participants - 1) * 2;
    printf("{\"participants\": %lu, \"tracks\": %lu, \"subscriptions\": %lu, "
           "\"participant_bytes\": %lu, \"track_bytes\": %lu, \"subscription_bytes\": %lu}\n",
           participants, participants * 2, subscriptions, (bytes[1] - bytes[0]) / participants,
           (bytes[2] - bytes[1]) / (participants * 2),
           subscriptions == 0 ? 0 : (bytes[3] - bytes[2]) / subscriptions);
    room_end(room);
    return 0;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "memory") == 0)
        return memory_main(argv + 2);
    static const char *const names[] = {"gallery", "small", "stage", "churn"};
    for (size_t i = 0; i < 4; i++)
        if (strcmp(name, names[i]) == 0)
            return path_main(name, argv + 2);
    fprintf(stderr, "usage: path gallery|small|stage|churn|memory [OPTIONS]\n");
    return 2;
}
