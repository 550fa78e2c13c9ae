/* Commands between threads, and the public functions of loops and endpoints.
 * SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "wire/assert.h"

typedef void run_command(struct rh_load_loop *loop, struct rh_load_command *command);

/* ---- Commands -------------------------------------------------------------------------------- */

void rh_load_run_command(struct rh_load_loop *loop, struct rh_load_command *command)
{
    sem_t *waiter = command->waiter;
    command->run(loop, command);
    if (waiter != NULL)
        sem_post(waiter); /* the command is the waiter's and may be gone from here on */
    else
        free(command);
}

struct rh_load_command *rh_load_command_create(
    run_command *run, rh_load_endpoint_id endpoint, const void *arguments, size_t bytes)
{
    RH_ASSERT(bytes <= UINT32_MAX);
    struct rh_load_command *command = malloc(sizeof *command + bytes);
    if (command == NULL)
        return NULL;
    *command = (struct rh_load_command){
        .run = run, .endpoint = endpoint, .bytes = (uint32_t)bytes};
    if (bytes != 0)
        memcpy(command->arguments, arguments, bytes);
    return command;
}

enum rh_result rh_load_post(
    struct rh_load_loop *loop, run_command *run, rh_load_endpoint_id endpoint,
    const void *arguments, size_t bytes)
{
    struct rh_load_command *command = rh_load_command_create(run, endpoint, arguments, bytes);
    if (command == NULL)
        return RH_SYSTEM;
    rh_load_enqueue(loop, command);
    return RH_OK;
}

void rh_load_run_and_wait(
    struct rh_load_loop *loop, run_command *run, rh_load_endpoint_id endpoint, void *context)
{
    struct rh_load_command command = {.run = run, .endpoint = endpoint, .context = context};
    if (rh_load_is_current(loop)) {
        run(loop, &command);
        return;
    }
    sem_t done;
    sem_init(&done, 0, 0);
    command.waiter = &done;
    rh_load_enqueue(loop, &command);
    while (sem_wait(&done) != 0)
        RH_ASSERT(errno == EINTR);
    sem_destroy(&done);
}

struct rh_load_endpoint *rh_load_command_endpoint(
    struct rh_load_loop *loop, const struct rh_load_command *command)
{
    struct rh_load_endpoint *endpoint = rh_load_find_endpoint(loop, command->endpoint);
    loop->totals.commands_refused += endpoint == NULL;
    return endpoint;
}

/* ---- Impairment ------------------------------------------------------------------------------ */

static uint64_t chance_of(double fraction)
{
    return fraction <= 0 ? 0 : fraction >= 1 ? UINT64_C(1) << 32 : (uint64_t)(fraction * 0x1p32);
}

void rh_load_apply_impairment(
    struct rh_load_loop *loop, const struct rh_load_impairment *impairment)
{
    loop->loss_out = chance_of(impairment->loss_out);
    loop->loss_in = chance_of(impairment->loss_in);
    loop->random = impairment->seed;
}

static void run_impairment(struct rh_load_loop *loop, struct rh_load_command *command)
{
    struct rh_load_impairment impairment;
    memcpy(&impairment, command->arguments, sizeof impairment);
    rh_load_apply_impairment(loop, &impairment);
}

enum rh_result rh_load_loop_set_impairment(
    struct rh_load_loop *loop, const struct rh_load_impairment *impairment)
{
    return rh_load_post(loop, run_impairment, 0, impairment, sizeof *impairment);
}

/* ---- Endpoints: life ------------------------------------------------------------------------- */

static bool take_place(struct rh_load_loop *loop, rh_load_endpoint_id *id)
{
    pthread_mutex_lock(&loop->places_lock);
    bool is_free = loop->free_count != 0;
    if (is_free) {
        uint32_t place = loop->free_places[--loop->free_count];
        *id = (uint32_t)loop->generations[place] << RH_LOAD_PLACE_BITS | place;
    }
    pthread_mutex_unlock(&loop->places_lock);
    return is_free;
}

static void give_place_back(struct rh_load_loop *loop, rh_load_endpoint_id id)
{
    uint32_t place = rh_load_id_place(id);
    pthread_mutex_lock(&loop->places_lock);
    loop->generations[place]++;
    if (loop->generations[place] == 0)
        loop->generations[place] = 1;
    loop->free_places[loop->free_count++] = place;
    pthread_mutex_unlock(&loop->places_lock);
}

static struct rh_load_endpoint *make_endpoint(const struct rh_load_endpoint_config *config)
{
    struct rh_load_endpoint *endpoint = calloc(1, sizeof *endpoint);
    if (endpoint == NULL)
        return NULL;
    endpoint->config = *config;
    endpoint->fd = -1;
    endpoint->missing_due_ns = RH_LOAD_NEVER;
    if (endpoint->config.decrypt_interval == 0)
        endpoint->config.decrypt_interval = 16;
    if (endpoint->config.rtcp_ssrc == 0)
        endpoint->config.rtcp_ssrc = 1;
    endpoint->config.cname[sizeof endpoint->config.cname - 1] = 0;
    if (endpoint->config.cname[0] == 0)
        memcpy(endpoint->config.cname, "load", 5);
    rh_extension_map_init(&endpoint->extensions, &config->ids);
    return endpoint;
}

static void free_endpoint(struct rh_load_endpoint *endpoint)
{
    if (endpoint->has_keys) {
        rh_srtp_send_deinit(&endpoint->send);
        rh_srtp_receive_deinit(&endpoint->receive);
    }
    if (endpoint->fd >= 0)
        close(endpoint->fd);
    free(endpoint);
}

/* The endpoint joins the loop. */
static void run_create(struct rh_load_loop *loop, struct rh_load_command *command)
{
    struct rh_load_endpoint *endpoint;
    memcpy(&endpoint, command->arguments, sizeof endpoint);
    uint32_t place = rh_load_id_place(endpoint->id);
    RH_ASSERT(loop->endpoints[place].endpoint == NULL);
    loop->endpoints[place] = (struct rh_load_endpoint_place){endpoint, RH_LOAD_NEVER};
    if (place >= loop->endpoint_end)
        loop->endpoint_end = place + 1;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = endpoint->id};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, endpoint->fd, &event) != 0)
        loop->totals.commands_refused++;
    loop->totals.endpoints++;
    loop->totals.socket_buffer_bytes = rh_load_socket_granted(endpoint->fd);
}

enum rh_result rh_load_endpoint_create(
    struct rh_load_loop *loop, const struct rh_load_endpoint_config *config,
    rh_load_endpoint_id *id, struct rh_address *local)
{
    if (config->decrypt > RH_LOAD_DECRYPT_ALL || config->decrypt_interval > INT32_MAX)
        return RH_MALFORMED;
    struct rh_load_endpoint *endpoint = make_endpoint(config);
    if (endpoint == NULL)
        return RH_SYSTEM;
    enum rh_result result = rh_load_socket_open(loop, &config->bind, endpoint, local);
    if (result == RH_OK && !take_place(loop, &endpoint->id))
        result = RH_FULL;
    if (result != RH_OK) {
        int error = errno;
        free_endpoint(endpoint);
        errno = error;
        return result;
    }
    *id = endpoint->id;
    result = rh_load_post(loop, run_create, endpoint->id, &endpoint, sizeof endpoint);
    if (result != RH_OK) {
        give_place_back(loop, endpoint->id);
        free_endpoint(endpoint);
    }
    return result;
}

void rh_load_release_endpoint(struct rh_load_loop *loop, struct rh_load_endpoint *endpoint)
{
    if (loop->outbox.endpoint == endpoint)
        rh_load_outbox_flush(loop);
    rh_load_endpoint_id id = endpoint->id;
    loop->endpoints[rh_load_id_place(id)] =
        (struct rh_load_endpoint_place){NULL, RH_LOAD_NEVER};
    loop->totals.endpoints--;
    loop->totals.streams -= endpoint->stream_count;
    for (uint32_t i = 0; i < endpoint->stream_count; i++)
        rh_load_stream_destroy(endpoint->streams[i]);
    rh_load_slots_destroy(loop, endpoint);
    free_endpoint(endpoint); /* closing takes the socket out of epoll */
    give_place_back(loop, id);
}

static void run_destroy(struct rh_load_loop *loop, struct rh_load_command *command)
{
    struct rh_load_endpoint *endpoint = rh_load_command_endpoint(loop, command);
    if (endpoint == NULL)
        return;
    rh_load_send_bye(loop, endpoint);
    rh_load_release_endpoint(loop, endpoint);
}

enum rh_result rh_load_endpoint_destroy(struct rh_load_loop *loop, rh_load_endpoint_id endpoint)
{
    return rh_load_post(loop, run_destroy, endpoint, NULL, 0);
}

/* ---- Endpoints: settings --------------------------------------------------------------------- */

/* Everything that a media stream needs may have become complete. */
static void begin_media(struct rh_load_loop *loop, struct rh_load_endpoint *endpoint)
{
    if (!endpoint->has_keys || !endpoint->has_remote)
        return;
    if (endpoint->rtcp_due_ns == 0) { /* reports of many participants spread over the second */
        uint64_t number = rh_load_id_place(endpoint->id) + UINT64_C(1);
        endpoint->rtcp_due_ns =
            loop->now_ns + RH_LOAD_SECOND / 10 + rh_load_random(&number) % RH_LOAD_SECOND;
    }
    rh_load_schedule(loop, endpoint, loop->now_ns);
}

static void run_decrypt(struct rh_load_loop *loop, struct rh_load_command *command)
{
    struct rh_load_endpoint *endpoint = rh_load_command_endpoint(loop, command);
    if (endpoint == NULL)
        return;
    uint32_t values[2];
    memcpy(values, command->arguments, sizeof values);
    endpoint->config.decrypt = (uint8_t)values[0];
    endpoint->config.decrypt_interval = values[1] != 0 ? values[1] : 16;
    for (uint32_t i = 0; i < endpoint->slot_count; i++)
        endpoint->slots[i]->until_open = 1;
}

enum rh_result rh_load_endpoint_set_decrypt(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, uint8_t decrypt, uint32_t interval)
{
    if (decrypt > RH_LOAD_DECRYPT_ALL || interval > INT32_MAX)
        return RH_MALFORMED;
    uint32_t values[2] = {decrypt, interval};
    return rh_load_post(loop, run_decrypt, endpoint, values, sizeof values);
}

static void run_extensions(struct rh_load_loop *loop, struct rh_load_command *command)
{
    struct rh_load_endpoint *endpoint = rh_load_command_endpoint(loop, command);
    if (endpoint == NULL)
        return;
    memcpy(&endpoint->config.ids, command->arguments, sizeof endpoint->config.ids);
    rh_extension_map_init(&endpoint->extensions, &endpoint->config.ids);
}

enum rh_result rh_load_endpoint_set_extensions(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, const struct rh_extension_ids *ids)
{
    return rh_load_post(loop, run_extensions, endpoint, ids, sizeof *ids);
}

static void run_remote(struct rh_load_loop *loop, struct rh_load_command *command)
{
    struct rh_load_endpoint *endpoint = rh_load_command_endpoint(loop, command);
    if (endpoint == NULL)
        return;
    struct rh_address remote;
    memcpy(&remote, command->arguments, sizeof remote);
    if (!rh_load_socket_connect(endpoint, &remote)) {
        loop->totals.commands_refused++;
        return;
    }
    endpoint->has_remote = true;
    begin_media(loop, endpoint);
}

enum rh_result rh_load_endpoint_set_remote(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, const struct rh_address *remote)
{
    if ((remote->family != 4 && remote->family != 6) || remote->port == 0)
        return RH_MALFORMED;
    return rh_load_post(loop, run_remote, endpoint, remote, sizeof *remote);
}

struct datagram {
    struct rh_address to; /* family 0: the remote */
    uint32_t size;
    uint8_t bytes[RH_LOAD_DATAGRAM_BYTES_MAX];
};

static void run_send(struct rh_load_loop *loop, struct rh_load_command *command)
{
    struct rh_load_endpoint *endpoint = rh_load_command_endpoint(loop, command);
    if (endpoint == NULL)
        return;
    const struct datagram *datagram = (const struct datagram *)command->arguments;
    const struct rh_address *to = datagram->to.family != 0 ? &datagram->to : NULL;
    if (to == NULL && !endpoint->has_remote)
        loop->totals.commands_refused++;
    else
        rh_load_send_now(loop, endpoint, to, datagram->bytes, datagram->size);
}

enum rh_result rh_load_endpoint_send(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, const struct rh_address *to,
    const uint8_t *bytes, size_t size)
{
    if (size == 0 || size > RH_LOAD_DATAGRAM_BYTES_MAX)
        return RH_FULL;
    struct datagram datagram;
    datagram.to = to != NULL ? *to : (struct rh_address){0};
    datagram.size = (uint32_t)size;
    memcpy(datagram.bytes, bytes, size);
    return rh_load_post(
        loop, run_send, endpoint, &datagram, offsetof(struct datagram, bytes) + size);
}

struct contexts {
    struct rh_srtp_send send;
    struct rh_srtp_receive receive;
};

static void run_srtp(struct rh_load_loop *loop, struct rh_load_command *command)
{
    struct contexts *contexts;
    memcpy(&contexts, command->arguments, sizeof contexts);
    struct rh_load_endpoint *endpoint = rh_load_command_endpoint(loop, command);
    if (endpoint == NULL) {
        rh_srtp_send_deinit(&contexts->send);
        rh_srtp_receive_deinit(&contexts->receive);
        free(contexts);
        return;
    }
    if (endpoint->has_keys) {
        rh_srtp_send_deinit(&endpoint->send);
        rh_srtp_receive_deinit(&endpoint->receive);
    }
    endpoint->send = contexts->send;
    endpoint->receive = contexts->receive;
    endpoint->has_keys = true;
    free(contexts);
    for (uint32_t i = 0; i < endpoint->slot_count; i++) {
        endpoint->slots[i]->arrivals = (struct rh_load_arrivals){0};
        endpoint->slots[i]->rtx_highest_seq64 = 0;
    }
    begin_media(loop, endpoint);
}

enum rh_result rh_load_endpoint_set_srtp(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, enum rh_srtp_profile profile,
    const struct rh_srtp_keys *send, const struct rh_srtp_keys *receive)
{
    struct contexts *contexts = calloc(1, sizeof *contexts);
    if (contexts == NULL)
        return RH_SYSTEM;
    enum rh_result result =
        rh_srtp_send_init(&contexts->send, loop->backend, profile, send);
    if (result == RH_OK)
        result = rh_srtp_receive_init(&contexts->receive, loop->backend, profile, receive);
    if (result == RH_OK)
        result = rh_load_post(loop, run_srtp, endpoint, &contexts, sizeof contexts);
    if (result != RH_OK) {
        rh_srtp_send_deinit(&contexts->send);
        rh_srtp_receive_deinit(&contexts->receive);
        free(contexts);
    }
    return result;
}

static void run_watch(struct rh_load_loop *loop, struct rh_load_command *command)
{
    struct rh_load_endpoint *endpoint = rh_load_command_endpoint(loop, command);
    if (endpoint == NULL)
        return;
    uint64_t duration_ns;
    memcpy(&duration_ns, command->arguments, sizeof duration_ns);
    if (loop->now_ns + duration_ns > endpoint->watch_until_ns)
        endpoint->watch_until_ns = loop->now_ns + duration_ns;
}

enum rh_result rh_load_endpoint_watch(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, uint64_t duration_ns)
{
    return rh_load_post(loop, run_watch, endpoint, &duration_ns, sizeof duration_ns);
}
