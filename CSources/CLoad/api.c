/* The public functions of streams, slots and reports. SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <string.h>
#include <time.h>

#include "commands.h"
#include "wire/assert.h"

/* ---- Streams --------------------------------------------------------------------------------- */

/* Puts a stream in the place of one with the same SSRC, or behind the others. */
static bool place_stream(struct rh_load_endpoint *endpoint, struct rh_load_stream *stream)
{
    for (uint32_t i = 0; i < endpoint->stream_count; i++) {
        struct rh_load_stream *old = endpoint->streams[i];
        if (old->config.ssrc != stream->config.ssrc)
            continue;
        stream->next_seq64 = old->next_seq64; /* a number never protects two packets */
        if (old->report.packets != 0)
            stream->config.first_timestamp = old->last_timestamp + old->config.clock_rate / 50;
        if (old->config.rtx_ssrc == stream->config.rtx_ssrc)
            stream->next_rtx_seq64 = old->next_rtx_seq64;
        rh_load_stream_destroy(old);
        endpoint->streams[i] = stream;
        return true;
    }
    if (endpoint->stream_count == RH_LOAD_STREAMS_PER_ENDPOINT)
        return false;
    endpoint->streams[endpoint->stream_count++] = stream;
    return true;
}

static void run_start(struct rh_load_loop *loop, struct rh_load_command *command)
{
    struct rh_load_stream *stream;
    memcpy(&stream, command->arguments, sizeof stream);
    struct rh_load_endpoint *endpoint = rh_load_command_endpoint(loop, command);
    uint32_t before = endpoint != NULL ? endpoint->stream_count : 0;
    if (endpoint == NULL || !place_stream(endpoint, stream)) {
        loop->totals.commands_refused += endpoint != NULL;
        rh_load_stream_destroy(stream);
        return;
    }
    loop->totals.streams += endpoint->stream_count - before;
    rh_load_schedule(loop, endpoint, loop->now_ns);
}

enum rh_result rh_load_stream_start(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint,
    const struct rh_load_stream_config *config)
{
    enum rh_result result = rh_load_stream_check(config);
    if (result != RH_OK)
        return result;
    struct rh_load_stream *stream = rh_load_stream_create(config);
    if (stream == NULL)
        return RH_SYSTEM;
    result = rh_load_post(loop, run_start, endpoint, &stream, sizeof stream);
    if (result != RH_OK)
        rh_load_stream_destroy(stream);
    return result;
}

/* What a command for a stream or slot carries. */
struct target {
    uint32_t ssrc, value;
};

static struct rh_load_stream *command_stream(
    struct rh_load_loop *loop, const struct rh_load_command *command, struct target *target)
{
    memcpy(target, command->arguments, sizeof *target);
    struct rh_load_endpoint *endpoint = rh_load_command_endpoint(loop, command);
    if (endpoint == NULL)
        return NULL;
    struct rh_load_stream *stream = rh_load_find_stream(endpoint, target->ssrc);
    loop->totals.commands_refused += stream == NULL;
    return stream;
}

static void run_stop(struct rh_load_loop *loop, struct rh_load_command *command)
{
    struct target target;
    struct rh_load_stream *stream = command_stream(loop, command, &target);
    if (stream == NULL)
        return;
    struct rh_load_endpoint *endpoint = rh_load_find_endpoint(loop, command->endpoint);
    uint32_t place = 0;
    while (endpoint->streams[place] != stream)
        place++;
    endpoint->stream_count--;
    memmove(endpoint->streams + place, endpoint->streams + place + 1,
            (endpoint->stream_count - place) * sizeof *endpoint->streams);
    rh_load_stream_destroy(stream);
    loop->totals.streams--;
}

enum rh_result rh_load_stream_stop(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, uint32_t ssrc)
{
    struct target target = {ssrc, 0};
    return rh_load_post(loop, run_stop, endpoint, &target, sizeof target);
}

static void run_muted(struct rh_load_loop *loop, struct rh_load_command *command)
{
    struct target target;
    struct rh_load_stream *stream = command_stream(loop, command, &target);
    if (stream == NULL)
        return;
    stream->report.muted = target.value != 0;
    if (target.value == 0)
        stream->wants_keyframe = stream->config.kind == RH_VIDEO;
}

enum rh_result rh_load_stream_set_muted(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, uint32_t ssrc, bool muted)
{
    struct target target = {ssrc, muted};
    return rh_load_post(loop, run_muted, endpoint, &target, sizeof target);
}

static void run_level(struct rh_load_loop *loop, struct rh_load_command *command)
{
    struct target target;
    struct rh_load_stream *stream = command_stream(loop, command, &target);
    if (stream != NULL)
        stream->config.audio_level = (uint8_t)target.value;
}

enum rh_result rh_load_stream_set_level(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, uint32_t ssrc, uint8_t level)
{
    if (level > 127)
        return RH_MALFORMED;
    struct target target = {ssrc, level};
    return rh_load_post(loop, run_level, endpoint, &target, sizeof target);
}

/* ---- Slots ----------------------------------------------------------------------------------- */

static void run_expect(struct rh_load_loop *loop, struct rh_load_command *command)
{
    struct rh_load_endpoint *endpoint = rh_load_command_endpoint(loop, command);
    if (endpoint == NULL)
        return;
    struct rh_load_slot_config config;
    for (uint32_t at = 0; at < command->bytes; at += sizeof config) {
        memcpy(&config, command->arguments + at, sizeof config);
        if (!rh_load_slot_expect(loop, endpoint, &config))
            loop->totals.commands_refused++;
    }
}

enum rh_result rh_load_slots_expect(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint,
    const struct rh_load_slot_config *slots, uint32_t count)
{
    if (count > RH_LOAD_SLOTS_PER_ENDPOINT)
        return RH_FULL;
    for (uint32_t i = 0; i < count; i++)
        if ((slots[i].kind != RH_AUDIO && slots[i].kind != RH_VIDEO) || slots[i].ssrc == 0
            || slots[i].clock_rate == 0)
            return RH_MALFORMED;
    return rh_load_post(loop, run_expect, endpoint, slots, (size_t)count * sizeof *slots);
}

static void run_forget(struct rh_load_loop *loop, struct rh_load_command *command)
{
    struct rh_load_endpoint *endpoint = rh_load_command_endpoint(loop, command);
    struct target target;
    memcpy(&target, command->arguments, sizeof target);
    if (endpoint != NULL)
        rh_load_slot_forget_ssrc(loop, endpoint, target.ssrc);
}

enum rh_result rh_load_slot_forget(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, uint32_t ssrc)
{
    struct target target = {ssrc, 0};
    return rh_load_post(loop, run_forget, endpoint, &target, sizeof target);
}

static struct rh_load_slot *command_slot(
    struct rh_load_loop *loop, const struct rh_load_command *command, uint32_t ssrc)
{
    struct rh_load_endpoint *endpoint = rh_load_command_endpoint(loop, command);
    if (endpoint == NULL)
        return NULL;
    struct rh_load_slot *slot = rh_load_find_slot(endpoint, ssrc);
    loop->totals.commands_refused += slot == NULL;
    return slot;
}

static void run_mark(struct rh_load_loop *loop, struct rh_load_command *command)
{
    struct rh_load_mark mark;
    memcpy(&mark, command->arguments, sizeof mark);
    struct rh_load_slot *slot = command_slot(loop, command, mark.ssrc);
    if (slot != NULL)
        rh_load_slot_apply_mark(loop, slot, &mark);
}

enum rh_result rh_load_slot_mark(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, const struct rh_load_mark *mark)
{
    struct rh_load_mark since = *mark;
    if (since.since_ns == 0)
        since.since_ns = rh_load_now_ns();
    return rh_load_post(loop, run_mark, endpoint, &since, sizeof since);
}

static void run_rest(struct rh_load_loop *loop, struct rh_load_command *command)
{
    struct target target;
    memcpy(&target, command->arguments, sizeof target);
    struct rh_load_slot *slot = command_slot(loop, command, target.ssrc);
    if (slot == NULL)
        return;
    slot->is_resting = true;
    slot->rest_ns = loop->now_ns;
    slot->last_frame_ns = 0;
}

enum rh_result rh_load_slot_rest(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, uint32_t ssrc)
{
    struct target target = {ssrc, 0};
    return rh_load_post(loop, run_rest, endpoint, &target, sizeof target);
}

static void run_request(struct rh_load_loop *loop, struct rh_load_command *command)
{
    struct target target;
    memcpy(&target, command->arguments, sizeof target);
    struct rh_load_slot *slot = command_slot(loop, command, target.ssrc);
    if (slot != NULL)
        rh_load_send_pli(loop, rh_load_find_endpoint(loop, command->endpoint), slot);
}

enum rh_result rh_load_slot_request_keyframe(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, uint32_t ssrc)
{
    struct target target = {ssrc, 0};
    return rh_load_post(loop, run_request, endpoint, &target, sizeof target);
}

/* ---- Reports --------------------------------------------------------------------------------- */

/* A question and where its answer goes. */
struct question {
    void *report;
    uint32_t *count;
    uint32_t value; /* SSRC, or the histogram's kind */
    enum rh_result result;
};

static void answer_stream(struct rh_load_loop *loop, struct rh_load_command *command)
{
    struct question *question = command->context;
    struct rh_load_endpoint *endpoint = rh_load_find_endpoint(loop, command->endpoint);
    struct rh_load_stream *stream =
        endpoint != NULL ? rh_load_find_stream(endpoint, question->value) : NULL;
    question->result = stream != NULL ? RH_OK : RH_STALE;
    if (stream != NULL)
        *(struct rh_load_stream_report *)question->report = stream->report;
}

enum rh_result rh_load_stream_get_report(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, uint32_t ssrc,
    struct rh_load_stream_report *report)
{
    struct question question = {.report = report, .value = ssrc};
    rh_load_run_and_wait(loop, answer_stream, endpoint, &question);
    return question.result;
}

static void answer_slots(struct rh_load_loop *loop, struct rh_load_command *command)
{
    struct question *question = command->context;
    struct rh_load_endpoint *endpoint = rh_load_find_endpoint(loop, command->endpoint);
    question->result = endpoint != NULL ? RH_OK : RH_STALE;
    if (endpoint == NULL)
        return;
    uint32_t room = *question->count;
    uint32_t count = endpoint->slot_count < room ? endpoint->slot_count : room;
    struct rh_load_slot_report *reports = question->report;
    for (uint32_t i = 0; i < count; i++)
        rh_load_slot_fill_report(endpoint->slots[i], &reports[i]);
    *question->count = count;
}

enum rh_result rh_load_slot_get_reports(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, struct rh_load_slot_report *reports,
    uint32_t *count)
{
    struct question question = {.report = reports, .count = count};
    rh_load_run_and_wait(loop, answer_slots, endpoint, &question);
    return question.result;
}

static void answer_endpoint(struct rh_load_loop *loop, struct rh_load_command *command)
{
    struct question *question = command->context;
    struct rh_load_endpoint *endpoint = rh_load_find_endpoint(loop, command->endpoint);
    question->result = endpoint != NULL ? RH_OK : RH_STALE;
    if (endpoint == NULL)
        return;
    struct rh_load_endpoint_report *report = question->report;
    *report = endpoint->report;
    report->user = endpoint->config.user;
    report->slots = endpoint->slot_count;
    report->streams = endpoint->stream_count;
}

enum rh_result rh_load_endpoint_get_report(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint,
    struct rh_load_endpoint_report *report)
{
    struct question question = {.report = report};
    rh_load_run_and_wait(loop, answer_endpoint, endpoint, &question);
    return question.result;
}

static void answer_loop(struct rh_load_loop *loop, struct rh_load_command *command)
{
    struct rh_load_loop_report *report = ((struct question *)command->context)->report;
    struct timespec cpu;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    *report = loop->totals;
    report->now_ns = rh_load_now_ns();
    report->cpu_ns = (uint64_t)cpu.tv_sec * RH_LOAD_SECOND + (uint64_t)cpu.tv_nsec;
}

void rh_load_loop_get_report(struct rh_load_loop *loop, struct rh_load_loop_report *report)
{
    struct question question = {.report = report};
    rh_load_run_and_wait(loop, answer_loop, 0, &question);
}

static void answer_histogram(struct rh_load_loop *loop, struct rh_load_command *command)
{
    struct question *question = command->context;
    uint64_t *buckets = question->report;
    const struct rh_load_histogram *histogram = &loop->histograms[question->value];
    for (uint32_t i = 0; i < RH_LOAD_BUCKETS; i++)
        buckets[i] += histogram->buckets[i];
}

void rh_load_loop_add_histogram(
    struct rh_load_loop *loop, enum rh_load_histogram_kind kind, uint64_t *buckets)
{
    RH_ASSERT((uint32_t)kind < RH_LOAD_HISTOGRAMS);
    struct question question = {.report = buckets, .value = (uint32_t)kind};
    rh_load_run_and_wait(loop, answer_histogram, 0, &question);
}

static void run_reset(struct rh_load_loop *loop, struct rh_load_command *command)
{
    (void)command;
    memset(loop->histograms, 0, sizeof loop->histograms);
    loop->totals.tick_lag_max_ns = 0;
    loop->totals.receive_lag_max_ns = 0;
}

void rh_load_loop_reset_histograms(struct rh_load_loop *loop)
{
    rh_load_run_and_wait(loop, run_reset, 0, NULL);
}
