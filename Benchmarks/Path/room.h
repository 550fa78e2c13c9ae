/* Workers with the participants of a scenario, and their publishers' packets.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Participants are dealt out to the workers in turn. A track's packets reach the subscribers on
 * other workers through mirrors there. Everything is made on the workers' threads through jobs. */
#ifndef RH_BENCHMARKS_ROOM_H
#define RH_BENCHMARKS_ROOM_H

#include <semaphore.h>

#include "../Common/publisher.h"

enum { TICK_US = 10000, SOCKET_BYTES = 4 << 20 };

struct room_options {
    uint32_t workers, window_us, padding_bytes;
    bool has_segmentation, has_coalescing, is_loopback;
    enum rh_srtp_profile profile;
};

struct room;

struct host {
    struct rh_worker *worker;
    struct room *room;
    uint32_t index;
    uint64_t switches; /* slots that began to carry a source; written on the worker's thread */
};

/* A publisher and subscriber; on stage the subscribers publish nothing, and the publisher, who
 * subscribes to nothing, comes behind them. */
struct participant {
    uint32_t number;
    rh_peer_id peer;
    int fd; /* what it sends from */
    struct publisher publisher;
    rh_track_id tracks[KINDS][RH_WORKERS_MAX]; /* on its own worker, and mirrors */
    rh_slot_id *slots[KINDS];
    uint32_t slot_count; /* of each kind */
};

struct room {
    struct scenario scenario;
    struct room_options options;
    struct host hosts[RH_WORKERS_MAX];
    uint32_t worker_count;
    struct participant *participants;
    uint32_t participant_count;
    struct sockaddr_in to[RH_WORKERS_MAX]; /* where the workers receive */
    uint32_t turn;                         /* how often all slots were bound */
};

/* ---- Workers -------------------------------------------------------------------------------- */

struct host_job {
    void (*run)(struct host *host, void *argument);
    void *argument;
    sem_t done;
};

static inline void host_run_job(void *context, void *job)
{
    struct host_job *host_job = job;
    host_job->run(context, host_job->argument);
    sem_post(&host_job->done);
}

/* Runs a function on the worker's thread and waits until it is done. */
static inline void host_run(
    struct host *host, void (*run)(struct host *host, void *argument), void *argument)
{
    struct host_job job = {.run = run, .argument = argument};
    sem_init(&job.done, 0, 0);
    rh_worker_enqueue(host->worker, &job);
    while (sem_wait(&job.done) != 0)
        continue;
    sem_destroy(&job.done);
}

/* The owner's part: a wanted keyframe is the publisher's next frame. */
static inline void host_on_batch(void *context, const struct rh_batch *batch)
{
    struct host *host = context;
    struct room *room = host->room;
    for (uint32_t i = 0; i < batch->event_count; i++) {
        host->switches += batch->events[i].kind == RH_EVENT_SWITCHED;
        if (batch->events[i].kind != RH_EVENT_KEYFRAME_WANTED)
            continue;
        for (uint32_t p = 0; p < room->participant_count; p++)
            if (room->participants[p].tracks[VIDEO][host->index] == batch->events[i].track)
                atomic_store(&room->participants[p].publisher.wants_keyframe, true);
    }
}

static inline uint32_t room_host(const struct room *room, uint32_t participant)
{
    bool is_stage_publisher = participant == room->scenario.participants;
    return is_stage_publisher ? 0 : participant % room->worker_count;
}

static inline bool room_publishes(const struct room *room, uint32_t participant)
{
    return !room->scenario.is_stage || participant == room->scenario.participants;
}

static inline void room_start_workers(struct room *room)
{
    const struct room_options *options = &room->options;
    uint32_t slots = 2 * room->scenario.participants * room->scenario.participants;
    for (uint32_t i = 0; i < room->worker_count; i++) {
        struct host *host = &room->hosts[i];
        *host = (struct host){.room = room, .index = i};
        struct rh_worker_config config = {
            .calls = {.context = host, .run_job = host_run_job, .on_batch = host_on_batch},
            .bind = {.family = 4}, .index = i, .tick_us = TICK_US,
            .peers_max = room->participant_count > 4096 ? room->participant_count : 0,
            .slots_max = !room->scenario.is_stage && room->scenario.meetings == 1 && slots > 49152
                ? slots / room->worker_count + 1 : 0,
            .socket_buffer_bytes = SOCKET_BYTES,
            .send_window_us = options->window_us, .padding_bytes_max = options->padding_bytes,
            .segmentation_off = !options->has_segmentation,
            .coalescing_off = !options->has_coalescing};
        bench_require(rh_worker_create(&config, &host->worker) == RH_OK, "worker");
        room->to[i] = (struct sockaddr_in){
            .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
            .sin_port = htons(rh_worker_port(host->worker))};
    }
    for (uint32_t i = 0; i < room->worker_count; i++)
        for (uint32_t j = 0; j < room->worker_count; j++)
            if (i != j)
                bench_require(rh_worker_connect(room->hosts[i].worker, room->hosts[j].worker)
                                  == RH_OK, "connection of workers");
    for (uint32_t i = 0; i < room->worker_count; i++)
        bench_require(rh_worker_start(room->hosts[i].worker) == RH_OK, "worker's thread");
}

/* Started workers, and nobody there yet. */
static inline struct room *room_start(
    const struct scenario *scenario, const struct room_options *options)
{
    struct room *room = calloc(1, sizeof *room);
    bench_require(room != NULL, "memory");
    room->scenario = *scenario;
    room->options = *options;
    room->worker_count = options->workers;
    room->participant_count = scenario->participants + (scenario->is_stage ? 1 : 0);
    room->participants = calloc(room->participant_count, sizeof *room->participants);
    bench_require(room->participants != NULL, "memory");
    bench_raise_descriptors();
    room_start_workers(room);
    return room;
}

static inline void room_end(struct room *room)
{
    for (uint32_t i = 0; i < room->worker_count; i++)
        rh_worker_stop(room->hosts[i].worker);
    for (uint32_t i = 0; i < room->worker_count; i++)
        rh_worker_destroy(room->hosts[i].worker);
}

/* Runs a function for every participant on the thread of its worker. */
struct room_each {
    void (*make)(struct host *host, struct participant *participant);
};

static inline void room_each_on_host(struct host *host, void *argument)
{
    const struct room_each *each = argument;
    for (uint32_t p = 0; p < host->room->participant_count; p++)
        if (room_host(host->room, p) == host->index)
            each->make(host, &host->room->participants[p]);
}

static inline void room_for_each(
    struct room *room, void (*make)(struct host *host, struct participant *participant))
{
    for (uint32_t i = 0; i < room->worker_count; i++)
        host_run(&room->hosts[i], room_each_on_host, &(struct room_each){make});
}

/* ---- Participants --------------------------------------------------------------------------- */

static inline struct rh_address room_address(const struct sockaddr_in *address)
{
    struct rh_address out = {.family = 4, .port = ntohs(address->sin_port)};
    memcpy(out.ip, &address->sin_addr.s_addr, 4);
    return out;
}

static inline void room_make_peer(struct host *host, struct participant *participant)
{
    const struct room_options *options = &host->room->options;
    struct rh_worker *worker = host->worker;
    uint32_t number = (uint32_t)(participant - host->room->participants);
    participant->number = number;
    struct rh_srtp_keys receive = publisher_keys(number, 1), send = publisher_keys(number, 2);
    struct rh_extension_ids ids = {.mid = MID_ID, .abs_send_time = SEND_TIME_ID};
    struct sockaddr_in target = bench_target(options->is_loopback, number);
    struct rh_address to = room_address(&target);
    bool is_done = rh_peer_create(worker, &participant->peer) == RH_OK
        && rh_peer_set_extensions(worker, participant->peer, &ids) == RH_OK
        && rh_peer_select_address(worker, participant->peer, &to) == RH_OK
        && rh_peer_set_srtp(worker, participant->peer, options->profile, &receive, &send) == RH_OK;
    bench_require(is_done, "peer");
    if (!room_publishes(host->room, number))
        return;
    struct sockaddr_in from;
    participant->fd = bench_loopback_socket(&from, 0);
    struct rh_address source = room_address(&from);
    is_done = rh_peer_add_address(worker, participant->peer, &source) == RH_OK
        && publisher_init(&participant->publisher, number, options->profile);
    bench_require(is_done, "publisher");
}

static inline void room_make_peers(struct room *room)
{
    room_for_each(room, room_make_peer);
}

static inline void room_make_own_tracks(struct host *host, struct participant *participant)
{
    if (!room_publishes(host->room, participant->number))
        return;
    for (int kind = host->room->scenario.is_stage ? VIDEO : AUDIO; kind < KINDS; kind++) {
        struct rh_track_config config = publisher_track(participant->number, kind);
        bench_require(rh_track_create(host->worker, participant->peer, &config,
                                      &participant->tracks[kind][host->index]) == RH_OK, "track");
    }
}

/* Mirrors on this worker of all tracks of others that somebody here receives. */
static inline void room_make_mirrors(struct host *host, void *argument)
{
    (void)argument;
    struct room *room = host->room;
    for (uint32_t p = 0; p < room->participant_count; p++) {
        uint32_t home = room_host(room, p);
        bool is_wanted = false;
        for (uint32_t s = 0; s < room->scenario.participants; s++)
            is_wanted |= room_host(room, s) == host->index
                && scenario_receives(&room->scenario, s, p);
        if (home == host->index || !room_publishes(room, p) || !is_wanted)
            continue;
        for (int kind = 0; kind < KINDS; kind++) {
            struct rh_track_config config = publisher_track(p, kind);
            if (room->participants[p].tracks[kind][home] == 0)
                continue;
            bench_require(rh_mirror_create(host->worker, &config,
                                           &room->participants[p].tracks[kind][host->index])
                              == RH_OK, "mirror");
        }
    }
}

static inline void room_make_branches(struct host *host, struct participant *participant)
{
    for (int kind = 0; kind < KINDS; kind++)
        for (uint32_t i = 0; i < host->room->worker_count; i++) {
            rh_track_id mirror = participant->tracks[kind][i];
            if (mirror == 0 || i == host->index)
                continue;
            rh_track_id track = participant->tracks[kind][host->index];
            bench_require(rh_track_add_branch(host->worker, track, i, mirror) == RH_OK, "branch");
        }
}

static inline void room_make_tracks(struct room *room)
{
    room_for_each(room, room_make_own_tracks);
    for (uint32_t i = 0; i < room->worker_count; i++)
        host_run(&room->hosts[i], room_make_mirrors, NULL);
    room_for_each(room, room_make_branches);
}

/* ---- Subscriptions -------------------------------------------------------------------------- */

/* The publisher that a participant's slot shows at this turn: all others in a circle. */
static inline uint32_t room_shown(const struct room *room, uint32_t participant, uint32_t slot)
{
    const struct scenario *scenario = &room->scenario;
    if (scenario->is_stage)
        return scenario->participants;
    uint32_t meeting = participant % scenario->meetings, place = participant / scenario->meetings;
    uint32_t others = scenario_receivers(scenario, participant);
    uint32_t shown = (place + 1 + (slot + room->turn) % others) % (others + 1);
    return shown * scenario->meetings + meeting;
}

static inline void room_bind_slots(struct host *host, struct participant *participant)
{
    for (uint32_t i = 0; i < participant->slot_count; i++) {
        uint32_t shown = room_shown(host->room, participant->number, i);
        for (int kind = 0; kind < KINDS; kind++) {
            struct rh_slot_binding binding = publisher_binding(
                host->room->participants[shown].tracks[kind][host->index], kind);
            if (binding.track == 0)
                continue;
            bench_require(rh_slot_bind(host->worker, participant->slots[kind][i], &binding)
                              == RH_OK, "binding");
        }
    }
}

static inline void room_make_own_slots(struct host *host, struct participant *participant)
{
    const struct scenario *scenario = &host->room->scenario;
    if (participant->number >= scenario->participants)
        return;
    uint32_t count = scenario->is_stage ? 1 : scenario_receivers(scenario, participant->number);
    participant->slot_count = count;
    for (int kind = scenario->is_stage ? VIDEO : AUDIO; kind < KINDS; kind++) {
        participant->slots[kind] = calloc(count, sizeof(rh_slot_id));
        bench_require(participant->slots[kind] != NULL, "memory");
        for (uint32_t i = 0; i < count; i++) {
            struct rh_slot_config config = publisher_slot(i, kind);
            bench_require(rh_slot_create(host->worker, participant->peer, &config,
                                         &participant->slots[kind][i]) == RH_OK, "slot");
        }
    }
    room_bind_slots(host, participant);
}

static inline void room_make_slots(struct room *room)
{
    room_for_each(room, room_make_own_slots);
}

/* Binds all slots of everybody to another track. */
static inline void room_remap(struct room *room)
{
    room->turn++;
    room_for_each(room, room_bind_slots);
}

static inline struct room *room_make(
    const struct scenario *scenario, const struct room_options *options)
{
    struct room *room = room_start(scenario, options);
    room_make_peers(room);
    room_make_tracks(room);
    room_make_slots(room);
    return room;
}

/* ---- What publishers send ------------------------------------------------------------------- */

/* Sends one packet of a publisher to its worker. */
static inline void room_publish(struct room *room, const struct shot *shot)
{
    static uint8_t bytes[PUBLISHED_BYTES_MAX];
    struct participant *publisher = &room->participants[
        room->scenario.is_stage ? room->scenario.participants : shot->publisher];
    size_t size = publisher_write(&publisher->publisher, shot, bytes);
    const struct sockaddr_in *to = &room->to[room_host(room, publisher->number)];
    ssize_t sent = sendto(publisher->fd, bytes, size, 0, (const struct sockaddr *)to, sizeof *to);
    bench_require(sent == (ssize_t)size, "a publisher's sendto");
}

#endif
