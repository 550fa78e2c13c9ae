/* A worker's life and its wake-ups. SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "wire/assert.h"
#include "worker/worker.h"

static uint64_t clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

uint64_t rh_now_us(const struct rh_worker *worker)
{
    (void)worker;
    return clock_us();
}

uint64_t rh_worker_now_us(struct rh_worker *worker)
{
    if (worker->now_us == 0)
        worker->now_us = clock_us();
    return worker->now_us;
}

static void on_ready(uv_poll_t *poll, int status, int events);
static void pause_reading(struct rh_worker *worker);

void rh_worker_watch(struct rh_worker *worker)
{
    int events = (worker->pauses_reading ? 0 : UV_READABLE)
        | (worker->udp.blocked ? UV_WRITABLE : 0);
    if (events == worker->watched_events)
        return;
    worker->watched_events = events;
    int watched = events == 0 ? uv_poll_stop(&worker->readable)
                              : uv_poll_start(&worker->readable, events, on_ready);
    RH_ASSERT(watched == 0);
}

/* ---- The end of a wake-up -------------------------------------------------------------------- */

/* Tells the owner what there is; its answer may make new events, which are told next. */
static void tell_owner(struct rh_worker *worker)
{
    struct rh_media *media = &worker->forwarder.media;
    for (uint32_t round = 0; round < 4; round++) {
        rh_media_announce_again(media);
        uint32_t events = media->events.count;
        struct rh_batch batch = {
            .now_us = rh_worker_now_us(worker), .datagrams = worker->datagrams,
            .events = media->events.items, .datagram_count = worker->datagram_count,
            .event_count = events, .tick = worker->tick};
        if (batch.datagram_count == 0 && events == 0 && !batch.tick)
            return;
        worker->tick = false;
        if (worker->config.calls.on_batch != NULL)
            worker->config.calls.on_batch(worker->config.calls.context, &batch);
        for (uint32_t i = 0; i < worker->datagram_count; i++)
            rh_buffers_release(&media->buffers, worker->datagram_buffers[i]);
        worker->datagram_count = 0;
        media->events.count -= events;
        memmove(media->events.items, media->events.items + events,
                media->events.count * sizeof *media->events.items);
    }
}

static void wake_targets(struct rh_worker *worker)
{
    uint64_t filled = worker->forwarder.media.relays_filled;
    worker->forwarder.media.relays_filled = 0;
    for (; filled != 0; filled &= filled - 1)
        rh_worker_wake(worker->targets[__builtin_ctzll(filled)]);
}

/* What is in use now, for readers on other threads. */
static void note_use(struct rh_media *media)
{
    struct rh_counters *counters = &media->counters;
    uint32_t buffers = media->buffers.used;
    __atomic_store_n(&counters->peers, rh_handles_count(&media->peer_handles), __ATOMIC_RELAXED);
    __atomic_store_n(&counters->tracks, rh_handles_count(&media->track_handles), __ATOMIC_RELAXED);
    __atomic_store_n(&counters->slots, rh_handles_count(&media->slot_handles), __ATOMIC_RELAXED);
    __atomic_store_n(&counters->buffers_used, buffers, __ATOMIC_RELAXED);
}

static void end_wakeup(struct rh_worker *worker)
{
    note_use(&worker->forwarder.media);
    tell_owner(worker);
    rh_worker_send_due(worker);
    wake_targets(worker);
    worker->now_us = 0;
}

/* ---- What wakes a worker ------------------------------------------------------------------- */

/* Fills the places for the next receive call. Returns how many there are. */
static uint32_t take_spares(struct rh_worker *worker)
{
    struct rh_media *media = &worker->forwarder.media;
    while (worker->spare_count < RH_RECEIVE_BATCH) {
        struct rh_buffer *buffer = rh_media_take_buffer(media);
        if (buffer == NULL)
            break;
        worker->spare[worker->spare_count++] = buffer;
    }
    return worker->spare_count;
}

static void keep_for_owner(
    struct rh_worker *worker, struct rh_buffer *buffer, const struct rh_received *received,
    const struct rh_address *from)
{
    RH_ASSERT(worker->datagram_count < RH_DATAGRAMS_MAX);
    rh_buffer_retain(buffer);
    worker->datagram_buffers[worker->datagram_count] = buffer;
    worker->datagrams[worker->datagram_count++] = (struct rh_datagram){
        .bytes = buffer->bytes, .size = buffer->size, .kind = received->kind,
        .peer = received->peer, .from = *from};
}

/* One datagram in a buffer, which is given back. */
static void receive_one(
    struct rh_worker *worker, struct rh_buffer *buffer, uint32_t size,
    const struct rh_address *from)
{
    buffer->size = (uint16_t)size;
    buffer->arrival_us = rh_worker_now_us(worker);
    struct rh_received received = rh_receive(&worker->forwarder, buffer, from);
    bool has_room = worker->datagram_count < RH_DATAGRAMS_MAX;
    if (received.step == RH_RECEIVE_TELL && has_room)
        keep_for_owner(worker, buffer, &received, from);
    else if (received.step == RH_RECEIVE_TELL)
        RH_COUNT(&worker->forwarder.media, drop_no_buffer, 1);
    else if (received.step == RH_RECEIVE_FORWARD)
        rh_worker_forward(worker, &received.job);
    rh_buffers_release(&worker->forwarder.media.buffers, buffer);
}

/* Datagrams that the kernel put together: all but the first are copied to buffers of their own,
 * before anything writes behind the first. Returns how many there are. */
static uint32_t receive_message(
    struct rh_worker *worker, const struct rh_udp_read *read, uint32_t message)
{
    struct rh_media *media = &worker->forwarder.media;
    struct rh_buffer *parts[RH_SEGMENTS_READ_MAX];
    uint16_t sizes[RH_SEGMENTS_READ_MAX];
    uint32_t count = 0, read_count = 1;
    uint32_t all = (read->sizes[message] + read->segment_bytes[message] - 1)
        / read->segment_bytes[message];
    for (; read_count < all && count < RH_SEGMENTS_READ_MAX; read_count++) {
        struct rh_buffer *buffer = rh_media_take_buffer(media);
        if (buffer == NULL)
            break;
        sizes[count] =
            rh_udp_copy_part(&worker->udp, read, message, read_count, buffer->bytes);
        parts[count++] = buffer;
    }
    RH_COUNT(media, drop_no_buffer, all - read_count);
    const struct rh_address *from = &read->from[message];
    receive_one(worker, worker->spare[message], read->segment_bytes[message], from);
    for (uint32_t i = 0; i < count; i++)
        receive_one(worker, parts[i], sizes[i], from);
    RH_COUNT(media, coalesced_messages, 1);
    RH_COUNT(media, coalesced_packets, all);
    return all;
}

/* One receive call and all that follows from it. Returns false when nothing more waits. */
static bool receive_batch(struct rh_worker *worker)
{
    struct rh_media *media = &worker->forwarder.media;
    uint8_t *places[RH_RECEIVE_BATCH];
    uint32_t sizes[RH_RECEIVE_BATCH];
    uint16_t segment_bytes[RH_RECEIVE_BATCH];
    struct rh_address from[RH_RECEIVE_BATCH];
    struct rh_udp_read read = {
        .places = places, .sizes = sizes, .segment_bytes = segment_bytes, .from = from,
        .count = take_spares(worker)};
    if (read.count == 0) {
        RH_COUNT(media, drop_no_buffer, 1);
        return false;
    }
    for (uint32_t i = 0; i < read.count; i++)
        places[i] = worker->spare[i]->bytes;
    uint32_t received = rh_udp_receive(&worker->udp, &read);
    uint32_t packets = 0;
    for (uint32_t i = 0; i < received; i++) {
        RH_COUNT(media, received_bytes, sizes[i]);
        if (sizes[i] > segment_bytes[i]) {
            packets += receive_message(worker, &read, i);
        } else {
            receive_one(worker, worker->spare[i], sizes[i], &from[i]);
            packets++;
        }
    }
    RH_COUNT(media, receive_calls, 1);
    RH_COUNT(media, kernel_dropped, read.kernel_dropped);
    RH_COUNT(media, received_packets, packets);
    worker->spare_count -= received;
    memmove(worker->spare, worker->spare + received, worker->spare_count * sizeof *worker->spare);
    return received == RH_RECEIVE_BATCH;
}

static void read_socket(struct rh_worker *worker)
{
    for (uint32_t round = 0; round < RH_RECEIVE_ROUNDS; round++) {
        if (worker->datagram_count + RH_RECEIVE_BATCH > RH_DATAGRAMS_MAX)
            return;
        if (!receive_batch(worker))
            return;
    }
}

static void on_read_timer(uv_timer_t *timer)
{
    struct rh_worker *worker = timer->data;
    worker->pauses_reading = false;
    read_socket(worker);
    pause_reading(worker);
    rh_worker_watch(worker);
}

/* A worker whose packets wait for company anyhow does not wake up for each of them. */
static void pause_reading(struct rh_worker *worker)
{
    if (worker->send_window_us < 2000 * RH_READ_PAUSE_MS || worker->pauses_reading)
        return;
    worker->pauses_reading = true;
    uv_timer_start(&worker->read_timer, on_read_timer, RH_READ_PAUSE_MS, 0);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct rh_worker *worker = poll->data;
    if (events & UV_WRITABLE)
        rh_worker_flush_some(worker);
    if (events & UV_READABLE || status != 0) { /* an error is read off by the receive call */
        read_socket(worker);
        pause_reading(worker);
    }
    rh_worker_watch(worker);
}

/* Takes what waits in the ring from another worker, at most one ring's worth. */
static void drain_relay(struct rh_worker *worker, struct rh_relay *relay)
{
    struct rh_media *media = &worker->forwarder.media;
    for (uint32_t i = 0; i < RH_RELAY_PACKETS; i++) {
        const struct rh_relay_entry *entry = rh_relay_peek(relay);
        if (entry == NULL)
            return;
        struct rh_buffer *buffer = rh_media_take_buffer(media);
        uint64_t now_us = rh_worker_now_us(worker);
        if (now_us > entry->arrival_us)
            rh_count_highest(&media->counters.relay_lag_max_us, now_us - entry->arrival_us);
        if (buffer == NULL) {
            RH_COUNT(media, drop_no_buffer, 1);
        } else {
            struct rh_received received = rh_receive_relayed(&worker->forwarder, buffer, entry);
            if (received.step == RH_RECEIVE_FORWARD)
                rh_worker_forward(worker, &received.job);
            rh_buffers_release(&media->buffers, buffer);
        }
        rh_relay_pop(relay);
    }
    rh_worker_wake(worker);
}

/* Runs at most count_max jobs. Returns false when the queue is empty. */
static bool run_jobs(struct rh_worker *worker, uint32_t count_max)
{
    for (uint32_t i = 0; i < count_max; i++) {
        void *job = rh_jobs_pop(&worker->jobs);
        if (job == NULL)
            return false;
        worker->config.calls.run_job(worker->config.calls.context, job);
        RH_COUNT(&worker->forwarder.media, jobs_run, 1);
    }
    return true;
}

/* An eventfd and a flag instead of uv_async_t: in libuv 1.44 a loop that is woken spins until the
 * waker's write has returned. */
void rh_worker_wake(struct rh_worker *worker)
{
    if (atomic_exchange(&worker->woken, true))
        return;
    int error = errno;
    uint64_t one = 1;
    ssize_t written = write(worker->wake_fd, &one, sizeof one);
    RH_ASSERT(written == sizeof one); /* it refuses only when 2^64 - 2 wake-ups are unread */
    errno = error;
}

static void on_wake(uv_poll_t *wake, int status, int events)
{
    struct rh_worker *worker = wake->data;
    (void)status;
    (void)events;
    uint64_t count;
    ssize_t taken = read(worker->wake_fd, &count, sizeof count);
    (void)taken; /* EAGAIN: another wake-up took it */
    atomic_store(&worker->woken, false);
    for (uint32_t i = 0; i < RH_WORKERS_MAX; i++)
        if (worker->forwarder.media.relays_in[i] != NULL)
            drain_relay(worker, worker->forwarder.media.relays_in[i]);
    if (run_jobs(worker, RH_JOBS_PER_WAKEUP))
        rh_worker_wake(worker);
    else if (atomic_load(&worker->stopping))
        uv_stop(&worker->loop);
}

static void on_timer(uv_timer_t *timer)
{
    struct rh_worker *worker = timer->data;
    struct rh_media *media = &worker->forwarder.media;
    uint64_t now_us = rh_worker_now_us(worker);
    if (now_us > worker->tick_at_us)
        rh_count_highest(&media->counters.loop_lag_max_us, now_us - worker->tick_at_us);
    worker->tick_at_us = now_us + worker->config.tick_us;
    worker->tick = true;
    rh_worker_adapt_window(worker, now_us);
    struct timespec spent;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
    __atomic_store_n(
        &media->counters.busy_us,
        (uint64_t)spent.tv_sec * 1000000u + (uint64_t)spent.tv_nsec / 1000u, __ATOMIC_RELAXED);
    rh_media_expire(media, now_us);
}

static void on_prepare(uv_prepare_t *prepare)
{
    end_wakeup(prepare->data);
}

static void on_check(uv_check_t *check)
{
    end_wakeup(check->data);
}

/* ---- Life ---------------------------------------------------------------------------------- */

static bool init_loop(struct rh_worker *worker)
{
    worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (worker->wake_fd < 0 || uv_loop_init(&worker->loop) != 0) {
        if (worker->wake_fd >= 0)
            close(worker->wake_fd);
        return false;
    }
    bool made = uv_poll_init(&worker->loop, &worker->wake, worker->wake_fd) == 0
        && uv_timer_init(&worker->loop, &worker->timer) == 0
        && uv_timer_init(&worker->loop, &worker->send_timer) == 0
        && uv_timer_init(&worker->loop, &worker->read_timer) == 0
        && uv_prepare_init(&worker->loop, &worker->prepare) == 0
        && uv_check_init(&worker->loop, &worker->check) == 0
        && uv_poll_init(&worker->loop, &worker->readable, worker->udp.fd) == 0;
    RH_ASSERT(made); /* they refuse nothing but a wrong descriptor */
    worker->wake.data = worker;
    worker->timer.data = worker;
    worker->send_timer.data = worker;
    worker->read_timer.data = worker;
    worker->prepare.data = worker;
    worker->check.data = worker;
    worker->readable.data = worker;
    return true;
}

static void close_handle(uv_handle_t *handle, void *unused)
{
    (void)unused;
    uv_close(handle, NULL);
}

static void deinit_loop(struct rh_worker *worker)
{
    uv_walk(&worker->loop, close_handle, NULL);
    uv_run(&worker->loop, UV_RUN_DEFAULT);
    int closed = uv_loop_close(&worker->loop);
    RH_ASSERT(closed == 0);
    close(worker->wake_fd);
}

enum rh_result rh_worker_create(const struct rh_worker_config *config, struct rh_worker **out)
{
    *out = NULL;
    RH_ASSERT(config->index < RH_WORKERS_MAX && config->tick_us >= 1000);
    struct rh_worker *worker = aligned_alloc(64, (sizeof *worker + 63) & ~(size_t)63);
    if (worker == NULL)
        return RH_SYSTEM;
    memset(worker, 0, sizeof *worker);
    worker->config = *config;
    rh_jobs_init(&worker->jobs);
    struct rh_media_sizes sizes = {
        .peers_max = config->peers_max, .tracks_max = config->tracks_max,
        .slots_max = config->slots_max, .buffers_max = config->buffers_max,
        .seed = clock_us() ^ (uint64_t)(uintptr_t)worker << 20};
    enum rh_result result = rh_forwarder_init(&worker->forwarder, &sizes);
    if (result == RH_OK) {
        result = rh_udp_init(
            &worker->udp, &config->bind, config->socket_buffer_bytes, !config->coalescing_off);
        if (result == RH_OK && !init_loop(worker)) {
            rh_udp_deinit(&worker->udp);
            result = RH_SYSTEM;
        }
        if (result != RH_OK)
            rh_forwarder_deinit(&worker->forwarder);
    }
    if (result != RH_OK) {
        free(worker);
        return result;
    }
    worker->forwarder.segmentation_off = config->segmentation_off;
    worker->forwarder.padding_bytes_max = (uint16_t)(
        config->padding_bytes_max < RH_PADDING_BYTES_MAX ? config->padding_bytes_max
                                                         : RH_PADDING_BYTES_MAX);
    struct rh_counters *counters = &worker->forwarder.media.counters;
    counters->segmentation_off = config->segmentation_off;
    counters->receive_buffer_bytes = worker->udp.receive_buffer_bytes;
    counters->send_buffer_bytes = worker->udp.send_buffer_bytes;
    *out = worker;
    return RH_OK;
}

enum rh_result rh_worker_connect(struct rh_worker *source, struct rh_worker *target)
{
    struct rh_media *from = &source->forwarder.media, *to = &target->forwarder.media;
    uint32_t index = target->config.index;
    RH_ASSERT(source != target && index != source->config.index);
    RH_ASSERT(!atomic_load(&source->running) && !atomic_load(&target->running));
    if (from->relays_out[index] != NULL)
        return RH_OK;
    struct rh_relay *relay = rh_relay_init();
    if (relay == NULL)
        return RH_SYSTEM;
    from->relays_out[index] = relay;
    to->relays_in[source->config.index] = relay;
    source->targets[index] = target;
    return RH_OK;
}

static void *run_thread(void *argument)
{
    struct rh_worker *worker = argument;
    char name[16]; /* what the kernel keeps */
    snprintf(name, sizeof name, "worker-%u", worker->config.index);
    pthread_setname_np(pthread_self(), name);
    atomic_store(&worker->thread_id, (uintptr_t)pthread_self());
    uv_run(&worker->loop, UV_RUN_DEFAULT);
    while (run_jobs(worker, RH_JOBS_PER_WAKEUP))
        continue;
    end_wakeup(worker);
    rh_worker_send_pending(worker);
    atomic_store(&worker->thread_id, 0);
    return NULL;
}

enum rh_result rh_worker_start(struct rh_worker *worker)
{
    RH_ASSERT(!atomic_load(&worker->running));
    uint64_t period_ms = worker->config.tick_us / 1000;
    worker->tick_at_us = clock_us() + worker->config.tick_us;
    worker->rate_at_us = clock_us();
    uv_prepare_start(&worker->prepare, on_prepare);
    uv_check_start(&worker->check, on_check);
    uv_timer_start(&worker->timer, on_timer, period_ms, period_ms);
    rh_worker_watch(worker);
    int watched = uv_poll_start(&worker->wake, UV_READABLE, on_wake);
    RH_ASSERT(watched == 0);
    atomic_store(&worker->running, true);
    int error = pthread_create(&worker->thread, NULL, run_thread, worker);
    if (error == 0)
        return RH_OK;
    atomic_store(&worker->running, false);
    errno = error;
    return RH_SYSTEM;
}

void rh_worker_stop(struct rh_worker *worker)
{
    if (!atomic_load(&worker->running) || atomic_exchange(&worker->stopping, true))
        return;
    RH_ASSERT(!rh_worker_is_current(worker));
    rh_worker_wake(worker);
    pthread_join(worker->thread, NULL);
    atomic_store(&worker->running, false);
}

void rh_worker_destroy(struct rh_worker *worker)
{
    if (worker == NULL)
        return;
    RH_ASSERT(!atomic_load(&worker->running));
    struct rh_media *media = &worker->forwarder.media;
    for (uint32_t i = 0; i < worker->spare_count; i++)
        rh_buffers_release(&media->buffers, worker->spare[i]);
    deinit_loop(worker);
    rh_udp_deinit(&worker->udp);
    rh_jobs_deinit(&worker->jobs);
    rh_forwarder_deinit(&worker->forwarder);
    free(worker);
}

void rh_worker_enqueue(struct rh_worker *worker, void *job)
{
    rh_jobs_push(&worker->jobs, job);
    rh_worker_wake(worker);
}

bool rh_worker_is_current(const struct rh_worker *worker)
{
    return atomic_load_explicit(&worker->thread_id, memory_order_relaxed)
        == (uintptr_t)pthread_self();
}
