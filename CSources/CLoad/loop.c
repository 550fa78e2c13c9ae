/* The loop's life, its thread and its wake-ups. SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "loop.h"
#include "wire/assert.h"

enum {
    TICK_US_DEFAULT = 1000,
    TICK_US_MIN = 250,
    TICK_US_MAX = 100000,
    SOCKET_BUFFER_DEFAULT = 4 << 20,
    COMMANDS_PER_WAKE_UP = 1024,
    SLACK_BYTES = 64, /* ciphers may touch what follows a packet */
};

static const uint64_t late_ns = 5 * RH_LOAD_MS;

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * RH_LOAD_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t rh_load_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* ---- Endpoints ------------------------------------------------------------------------------- */

struct rh_load_endpoint *rh_load_find_endpoint(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint)
{
    uint32_t place = rh_load_id_place(endpoint);
    if (place >= loop->endpoint_end || loop->endpoints[place].endpoint == NULL)
        return NULL;
    struct rh_load_endpoint *found = loop->endpoints[place].endpoint;
    return found->id == endpoint ? found : NULL;
}

void rh_load_schedule(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint, uint64_t due_ns)
{
    struct rh_load_endpoint_place *place = &loop->endpoints[rh_load_id_place(endpoint->id)];
    if (due_ns < place->due_ns)
        place->due_ns = due_ns;
}

/* ---- Wake-ups -------------------------------------------------------------------------------- */

static void read_clocks(struct rh_load_loop *loop)
{
    loop->now_ns = clock_ns(CLOCK_MONOTONIC);
    loop->realtime_offset_ns = (int64_t)clock_ns(CLOCK_REALTIME) - (int64_t)loop->now_ns;
}

/* Sleeps until until_ns (RH_LOAD_NEVER: without end) or a command. */
static void sleep_until(struct rh_load_loop *loop, uint64_t until_ns)
{
    uint64_t now_ns = rh_load_now_ns();
    uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec left = {
        .tv_sec = (time_t)(left_ns / RH_LOAD_SECOND), .tv_nsec = (long)(left_ns % RH_LOAD_SECOND)};
    struct pollfd wake = {.fd = loop->wake_fd, .events = POLLIN};
    if (ppoll(&wake, 1, until_ns == RH_LOAD_NEVER ? NULL : &left, NULL) == 1) {
        uint64_t count;
        ssize_t taken = read(loop->wake_fd, &count, sizeof count);
        (void)taken; /* non-blocking: another wake-up may have read it */
    }
}

/* Returns true when there may be more. */
static bool run_commands(struct rh_load_loop *loop)
{
    for (uint32_t i = 0; i < COMMANDS_PER_WAKE_UP; i++) {
        struct rh_load_command *command = rh_jobs_pop(&loop->jobs);
        if (command == NULL)
            return false;
        rh_load_run_command(loop, command);
    }
    return true;
}

static void note_tick(struct rh_load_loop *loop, uint64_t wanted_ns)
{
    uint64_t lag_ns = loop->now_ns - wanted_ns;
    rh_load_histogram_add(&loop->histograms[RH_LOAD_TICK_LAG], lag_ns);
    if (lag_ns > loop->totals.tick_lag_max_ns)
        loop->totals.tick_lag_max_ns = lag_ns;
    loop->totals.late_ticks += lag_ns > late_ns;
}

static void run_endpoints(struct rh_load_loop *loop)
{
    for (uint32_t i = 0; i < loop->endpoint_end; i++) {
        struct rh_load_endpoint_place *place = &loop->endpoints[i];
        if (place->due_ns > loop->now_ns || place->endpoint == NULL)
            continue;
        place->due_ns = RH_LOAD_NEVER;
        rh_load_schedule(loop, place->endpoint, rh_load_streams_tick(loop, place->endpoint));
        rh_load_schedule(loop, place->endpoint, rh_load_feedback_tick(loop, place->endpoint));
    }
}

static void *run(void *argument)
{
    struct rh_load_loop *loop = argument;
    prctl(PR_SET_NAME, "rh-load");
    prctl(PR_SET_TIMERSLACK, 1);
    read_clocks(loop);
    uint64_t tick_ns = loop->now_ns;
    bool has_more = false;
    while (!atomic_load_explicit(&loop->is_stopping, memory_order_acquire)) {
        bool is_idle = loop->totals.endpoints == 0;
        sleep_until(loop, has_more ? 0 : is_idle ? RH_LOAD_NEVER : tick_ns);
        read_clocks(loop);
        loop->totals.wake_ups++;
        has_more = run_commands(loop);
        if (is_idle) {
            tick_ns = loop->now_ns + loop->tick_ns;
        } else if (loop->now_ns >= tick_ns) {
            note_tick(loop, tick_ns);
            rh_load_receive_all(loop);
            run_endpoints(loop);
            tick_ns += ((loop->now_ns - tick_ns) / loop->tick_ns + 1) * loop->tick_ns;
        }
        rh_load_outbox_flush(loop);
    }
    return NULL;
}

/* ---- From other threads ---------------------------------------------------------------------- */

bool rh_load_is_current(const struct rh_load_loop *loop)
{
    return pthread_equal(loop->thread, pthread_self()) != 0;
}

static void wake(struct rh_load_loop *loop)
{
    uint64_t one = 1;
    ssize_t written = write(loop->wake_fd, &one, sizeof one);
    (void)written; /* a full counter wakes as well */
}

void rh_load_enqueue(struct rh_load_loop *loop, struct rh_load_command *command)
{
    rh_jobs_push(&loop->jobs, command);
    wake(loop);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static enum rh_result take_config(
    struct rh_load_loop *loop, const struct rh_load_loop_config *config)
{
    loop->config = *config;
    if (loop->config.tick_us == 0)
        loop->config.tick_us = TICK_US_DEFAULT;
    if (loop->config.socket_buffer_bytes == 0)
        loop->config.socket_buffer_bytes = SOCKET_BUFFER_DEFAULT;
    if (loop->config.endpoints_max == 0)
        loop->config.endpoints_max = RH_LOAD_ENDPOINTS_MAX;
    if (loop->config.tick_us < TICK_US_MIN || loop->config.tick_us > TICK_US_MAX
        || loop->config.endpoints_max > RH_LOAD_ENDPOINTS_MAX)
        return RH_FULL;
    loop->tick_ns = (uint64_t)loop->config.tick_us * 1000;
    loop->started_ns = rh_load_now_ns();
    loop->totals.started_ns = loop->started_ns;
    loop->totals.segmentation_on = !config->segmentation_off;
    rh_load_apply_impairment(loop, &config->impairment);
    return RH_OK;
}

static void fill_free_places(struct rh_load_loop *loop)
{
    uint32_t count = loop->config.endpoints_max;
    for (uint32_t i = 0; i < count; i++) {
        loop->free_places[i] = count - 1 - i; /* the lowest are taken first */
        loop->generations[i] = 1;
        loop->endpoints[i] = (struct rh_load_endpoint_place){NULL, RH_LOAD_NEVER};
    }
    loop->free_count = count;
}

static enum rh_result open_all(struct rh_load_loop *loop)
{
    uint32_t count = loop->config.endpoints_max;
    loop->generations = calloc(count, sizeof *loop->generations);
    loop->free_places = calloc(count, sizeof *loop->free_places);
    loop->endpoints = calloc(count, sizeof *loop->endpoints);
    loop->outbox.arena = malloc(RH_LOAD_OUTBOX_BYTES + RH_LOAD_DATAGRAM_BYTES_MAX + SLACK_BYTES);
    loop->batch = rh_load_receive_init();
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    bool is_complete = loop->generations != NULL && loop->free_places != NULL
        && loop->endpoints != NULL && loop->outbox.arena != NULL && loop->batch != NULL
        && loop->wake_fd >= 0 && loop->epoll_fd >= 0;
    if (!is_complete)
        return RH_SYSTEM;
    fill_free_places(loop);
    return RH_OK;
}

static void release(struct rh_load_loop *loop)
{
    free(loop->generations);
    free(loop->free_places);
    free(loop->endpoints);
    free(loop->outbox.arena);
    rh_load_receive_deinit(loop->batch);
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    pthread_mutex_destroy(&loop->places_lock);
    free(loop);
}

enum rh_result rh_load_loop_create(
    const struct rh_load_loop_config *config, struct rh_load_loop **created)
{
    struct rh_load_loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL)
        return RH_SYSTEM;
    loop->wake_fd = -1;
    loop->epoll_fd = -1;
    pthread_mutex_init(&loop->places_lock, NULL);
    rh_jobs_init(&loop->jobs);
    loop->backend = rh_cipher_choose();
    enum rh_result result = take_config(loop, config);
    if (result == RH_OK)
        result = open_all(loop);
    if (result == RH_OK) {
        int error = pthread_create(&loop->thread, NULL, run, loop);
        if (error != 0) {
            errno = error;
            result = RH_SYSTEM;
        }
    }
    if (result != RH_OK) {
        release(loop);
        return result;
    }
    *created = loop;
    return RH_OK;
}

void rh_load_loop_destroy(struct rh_load_loop *loop)
{
    RH_ASSERT(!rh_load_is_current(loop));
    atomic_store_explicit(&loop->is_stopping, true, memory_order_release);
    wake(loop);
    pthread_join(loop->thread, NULL);
    while (run_commands(loop))
        continue;
    for (uint32_t i = 0; i < loop->endpoint_end; i++)
        if (loop->endpoints[i].endpoint != NULL)
            rh_load_release_endpoint(loop, loop->endpoints[i].endpoint);
    rh_load_outbox_flush(loop);
    rh_jobs_deinit(&loop->jobs);
    release(loop);
}
