/* What is sent in the scenarios, packet by packet. SPDX-License-Identifier: Apache-2.0
 *
 *   gallery  every participant sends audio (50 packets/s, 80 to 120 B) and a thumbnail (15 frames/s
 *            of 3 packets, 300 to 700 B) to all others: default one meeting of 50
 *   small    the same, 200 meetings of 4
 *   stage    one publisher sends 30 frames/s of 10 packets of 1100 B to all participants
 *
 * Bytes are those of the RTP packet with its header, before SRTP. Every participant has phases and
 * sizes of its own; the same numbers give the same packets. */
#ifndef RH_BENCHMARKS_SCENARIO_H
#define RH_BENCHMARKS_SCENARIO_H

#include "bench.h"

enum {
    AUDIO_PERIOD_US = 20000,
    THUMBNAIL_PERIOD_US = 66666, THUMBNAIL_PACKETS = 3,
    STAGE_PERIOD_US = 33333, STAGE_PACKETS = 10, STAGE_BYTES = 1100,
};

struct scenario {
    const char *name;
    bool is_stage;
    uint32_t participants; /* stage: subscribers, whom the publisher comes on top of */
    uint32_t meetings;     /* participants are dealt out in turn: p is in meeting p % meetings */
};

/* One packet of a publisher. */
struct shot {
    uint64_t at_us;
    uint32_t publisher;
    uint16_t bytes;
    uint8_t place, count; /* in its frame; audio: 0 of 1 */
    bool is_audio;
};

struct shots {
    struct shot *all; /* by time */
    size_t count;
};

/* Reads the scenario's name and --participants and --meetings. */
static inline struct scenario scenario_read(const char *name, char **arguments)
{
    struct scenario scenario = {.name = name, .meetings = 1, .participants = 50};
    if (strcmp(name, "small") == 0) {
        scenario.meetings = 200;
        scenario.participants = 800;
    } else if (strcmp(name, "stage") == 0) {
        scenario.is_stage = true;
        scenario.participants = 1000;
    }
    scenario.participants =
        (uint32_t)bench_number(arguments, "--participants", scenario.participants);
    scenario.meetings = (uint32_t)bench_number(arguments, "--meetings", scenario.meetings);
    bool is_possible = scenario.participants >= 1 && scenario.participants <= 16000
        && scenario.meetings >= 1 && scenario.meetings <= scenario.participants
        && (scenario.meetings == 1 || !scenario.is_stage);
    if (!is_possible) {
        fprintf(stderr, "1 to 16000 participants, in no more meetings, one on stage\n");
        exit(2);
    }
    return scenario;
}

static inline uint32_t scenario_publishers(const struct scenario *scenario)
{
    return scenario->is_stage ? 1 : scenario->participants;
}

/* True when the participant receives what the publisher sends. */
static inline bool scenario_receives(
    const struct scenario *scenario, uint32_t participant, uint32_t publisher)
{
    return scenario->is_stage
        || (participant != publisher
            && participant % scenario->meetings == publisher % scenario->meetings);
}

static inline uint32_t scenario_receivers(const struct scenario *scenario, uint32_t publisher)
{
    if (scenario->is_stage)
        return scenario->participants;
    uint32_t meeting = publisher % scenario->meetings;
    return (scenario->participants - meeting + scenario->meetings - 1) / scenario->meetings - 1;
}

static inline int shot_compare(const void *left, const void *right)
{
    const struct shot *a = left, *b = right;
    if (a->at_us != b->at_us)
        return a->at_us < b->at_us ? -1 : 1;
    return a->publisher != b->publisher ? (a->publisher < b->publisher ? -1 : 1)
                                        : a->place - b->place;
}

/* The packets of one frame that are due within the time. A frame's packets are of equal size, as
 * encoders cut them, and leave 100 us apart. */
static inline void shots_frame(struct shots *shots, struct shot first)
{
    for (uint8_t place = 0; place < first.count; place++) {
        shots->all[shots->count] = first;
        shots->all[shots->count].place = place;
        shots->all[shots->count++].at_us += 100u * place;
    }
}

/* Every packet of the first duration_us. Whole periods: each publisher's count is the same in any
 * run of that length. */
static inline struct shots shots_make(const struct scenario *scenario, uint64_t duration_us)
{
    struct bench_dice dice = {1};
    uint32_t publishers = scenario_publishers(scenario);
    uint64_t frames = duration_us / (scenario->is_stage ? STAGE_PERIOD_US : THUMBNAIL_PERIOD_US);
    uint64_t voices = scenario->is_stage ? 0 : duration_us / AUDIO_PERIOD_US;
    size_t each = frames * (scenario->is_stage ? STAGE_PACKETS : THUMBNAIL_PACKETS) + voices;
    struct shots shots = {.all = calloc(each * publishers + 1, sizeof(struct shot))};
    bench_require(shots.all != NULL, "memory");
    for (uint32_t p = 0; p < publishers; p++) {
        uint64_t audio_phase = bench_roll(&dice, AUDIO_PERIOD_US);
        uint64_t video_phase = bench_roll(&dice, THUMBNAIL_PERIOD_US);
        for (uint64_t i = 0; i < voices; i++)
            shots_frame(&shots, (struct shot){
                .at_us = audio_phase + i * AUDIO_PERIOD_US, .publisher = p, .is_audio = true,
                .bytes = (uint16_t)(80 + bench_roll(&dice, 41)), .count = 1});
        for (uint64_t i = 0; i < frames; i++)
            shots_frame(&shots, scenario->is_stage
                ? (struct shot){.at_us = i * STAGE_PERIOD_US, .bytes = STAGE_BYTES,
                                .count = STAGE_PACKETS}
                : (struct shot){.at_us = video_phase + i * THUMBNAIL_PERIOD_US, .publisher = p,
                                .bytes = (uint16_t)(300 + bench_roll(&dice, 401)),
                                .count = THUMBNAIL_PACKETS});
    }
    qsort(shots.all, shots.count, sizeof(struct shot), shot_compare);
    return shots;
}

#endif
