/* Workers and clients for tests. SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "worker_support.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "wire/bytes.h"
#include "wire/demux.h"

/* ---- Workers -------------------------------------------------------------------- */

struct call {
    struct host *host;
    void (*function)(struct host *host, void *argument);
    void *argument;
    sem_t done;
};

static void run_job(void *context, void *job)
{
    struct call *call = job;
    assert_true(rh_worker_is_current(((struct host *)context)->worker));
    call->function(call->host, call->argument);
    sem_post(&call->done);
}

static void on_batch(void *context, const struct rh_batch *batch)
{
    struct host *host = context;
    pthread_mutex_lock(&host->lock);
    for (uint32_t i = 0; i < batch->event_count; i++)
        if (host->event_count < EVENTS_KEPT_MAX)
            host->events[host->event_count++] = batch->events[i];
    for (uint32_t i = 0; i < batch->datagram_count; i++) {
        host->datagrams[batch->datagrams[i].kind]++;
        host->last_datagram = batch->datagrams[i];
    }
    host->ticks += batch->tick;
    pthread_mutex_unlock(&host->lock);
}

void host_make(struct host *host, uint32_t index)
{
    memset(host, 0, sizeof *host);
    pthread_mutex_init(&host->lock, NULL);
    struct rh_worker_config config = {
        .calls = {.context = host, .run_job = run_job, .on_batch = on_batch},
        .bind = {.family = 4, .ip = {127, 0, 0, 1}}, .index = index, .tick_us = 5000,
        .peers_max = 512, .tracks_max = 512, .slots_max = 2048, .buffers_max = 4096,
        .socket_buffer_bytes = 4 << 20};
    assert_int_equal(rh_worker_create(&config, &host->worker), RH_OK);
    assert_int_not_equal(rh_worker_port(host->worker), 0);
}

void host_start(struct host *host)
{
    assert_int_equal(rh_worker_start(host->worker), RH_OK);
}

void host_stop(struct host *host)
{
    rh_worker_stop(host->worker);
}

void host_destroy(struct host *host)
{
    rh_worker_destroy(host->worker);
    pthread_mutex_destroy(&host->lock);
}

void host_end(struct host *host)
{
    host_stop(host);
    host_destroy(host);
}

static struct timespec deadline_after(clockid_t clock, int wait_ms)
{
    struct timespec at;
    clock_gettime(clock, &at);
    at.tv_sec += wait_ms / 1000;
    at.tv_nsec += wait_ms % 1000 * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

void host_run(
    struct host *host, void (*function)(struct host *host, void *argument), void *argument)
{
    struct call call = {.host = host, .function = function, .argument = argument};
    sem_init(&call.done, 0, 0);
    rh_worker_enqueue(host->worker, &call);
    struct timespec deadline = deadline_after(CLOCK_REALTIME, WAIT_MS);
    assert_int_equal(sem_timedwait(&call.done, &deadline), 0);
    sem_destroy(&call.done);
}

static void nothing(struct host *host, void *argument)
{
    (void)host;
    (void)argument;
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint32_t host_wait_event(
    struct host *host, enum rh_event_kind kind, uint32_t from, struct rh_event *event)
{
    for (uint64_t end = now_ms() + WAIT_MS; now_ms() < end; host_run(host, nothing, NULL)) {
        uint32_t found = 0;
        pthread_mutex_lock(&host->lock);
        for (uint32_t i = from; i < host->event_count && found == 0; i++) {
            if (host->events[i].kind != (uint32_t)kind)
                continue;
            *event = host->events[i];
            found = i + 1;
        }
        pthread_mutex_unlock(&host->lock);
        if (found != 0)
            return found;
    }
    return 0;
}

bool host_wait_datagrams(struct host *host, enum rh_datagram_kind kind, uint32_t count)
{
    for (uint64_t end = now_ms() + WAIT_MS; now_ms() < end; host_run(host, nothing, NULL)) {
        pthread_mutex_lock(&host->lock);
        bool told = host->datagrams[kind] >= count;
        pthread_mutex_unlock(&host->lock);
        if (told)
            return true;
    }
    return false;
}

struct rh_counters host_counters(const struct host *host)
{
    struct rh_counters counters;
    rh_worker_counters(host->worker, &counters);
    return counters;
}

bool host_wait_counter(const struct host *host, size_t offset, uint64_t value)
{
    for (uint64_t end = now_ms() + WAIT_MS; now_ms() < end;) {
        struct rh_counters counters = host_counters(host);
        uint64_t now;
        memcpy(&now, (const uint8_t *)&counters + offset, sizeof now);
        if (now >= value)
            return true;
        sched_yield();
    }
    return false;
}

/* ---- Clients -------------------------------------------------------------------- */

static srtp_t session(
    enum rh_srtp_profile profile, const struct rh_srtp_keys *keys, srtp_ssrc_type_t direction)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, (void (*)(void))srtp_init);
    uint8_t key[30];
    bool is_gcm = profile == RH_SRTP_AEAD_AES_128_GCM;
    memcpy(key, keys->key, 16);
    memcpy(key + 16, keys->salt, is_gcm ? 12 : 14);
    srtp_policy_t policy = {
        .key = key, .window_size = 1024, .ssrc.type = direction, .allow_repeat_tx = 1};
    if (is_gcm) {
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp);
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp);
    } else {
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy.rtp);
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy.rtcp);
    }
    srtp_t made = NULL;
    assert_int_equal(srtp_create(&made, &policy), srtp_err_status_ok);
    return made;
}

struct connecting {
    struct client *client;
    enum rh_srtp_profile profile;
};

static void connect_peer(struct host *host, void *argument)
{
    struct connecting *connecting = argument;
    struct client *client = connecting->client;
    const struct rh_extension_ids ids = {
        .mid = ID_MID, .rid = ID_RID, .repaired_rid = ID_REPAIRED, .abs_send_time = ID_SEND_TIME,
        .audio_level = ID_LEVEL};
    struct rh_worker *worker = host->worker;
    assert_int_equal(rh_peer_create(worker, &client->peer), RH_OK);
    assert_int_equal(rh_peer_set_extensions(worker, client->peer, &ids), RH_OK);
    assert_int_equal(rh_peer_select_address(worker, client->peer, &client->address), RH_OK);
    assert_int_equal(
        rh_peer_set_srtp(worker, client->peer, connecting->profile, &client->send_keys,
                         &client->receive_keys), RH_OK);
}

void client_make(
    struct client *client, struct host *host, enum rh_srtp_profile profile, uint64_t seed)
{
    struct dice dice = {seed};
    *client = (struct client){.host = host};
    roll_bytes(&dice, (uint8_t *)&client->send_keys, sizeof client->send_keys);
    roll_bytes(&dice, (uint8_t *)&client->receive_keys, sizeof client->receive_keys);
    client->send = session(profile, &client->send_keys, ssrc_any_outbound);
    client->receive = session(profile, &client->receive_keys, ssrc_any_inbound);
    client->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int buffer = 1 << 22;
    setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(rh_worker_port(host->worker)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(client->fd, (struct sockaddr *)&to, sizeof to), 0);
    struct sockaddr_in own;
    socklen_t size = sizeof own;
    assert_int_equal(getsockname(client->fd, (struct sockaddr *)&own, &size), 0);
    client->address = (struct rh_address){.family = 4, .port = ntohs(own.sin_port)};
    memcpy(client->address.ip, &own.sin_addr, 4);
    struct connecting connecting = {client, profile};
    host_run(host, connect_peer, &connecting);
}

void client_end(struct client *client)
{
    close(client->fd);
    srtp_dealloc(client->send);
    srtp_dealloc(client->receive);
}

static size_t put_element(uint8_t *out, uint8_t id, const char *text)
{
    if (text == NULL)
        return 0;
    size_t bytes = strlen(text);
    out[0] = (uint8_t)(id << 4 | (bytes - 1));
    memcpy(out + 1, text, bytes);
    return 1 + bytes;
}

/* Writes and protects a packet. Returns its bytes. */
static size_t build(struct client *client, const struct packet *packet, uint8_t bytes[1600])
{
    memset(bytes, 0, 1600);
    bytes[0] = 0x80;
    bytes[1] = (uint8_t)(packet->marker << 7 | packet->payload_type);
    rh_put16(bytes + 2, packet->seq);
    rh_put32(bytes + 4, packet->timestamp);
    rh_put32(bytes + 8, packet->ssrc);
    size_t size = 12;
    if (packet->mid != NULL) {
        size_t elements = put_element(bytes + 16, ID_MID, packet->mid);
        elements += put_element(bytes + 16 + elements, ID_RID, packet->rid);
        elements = (elements + 3) & ~(size_t)3;
        bytes[0] |= 0x10;
        rh_put16(bytes + 12, 0xbede);
        rh_put16(bytes + 14, (uint16_t)(elements / 4));
        size = 16 + elements;
    }
    memcpy(bytes + size, packet->payload, packet->payload_bytes);
    int total = (int)(size + packet->payload_bytes);
    assert_int_equal(srtp_protect(client->send, bytes, &total), srtp_err_status_ok);
    return (size_t)total;
}

void client_send(struct client *client, const struct packet *packet)
{
    uint8_t bytes[1600];
    size_t size = build(client, packet, bytes);
    assert_int_equal(send(client->fd, bytes, size, 0), size);
}

void client_send_together(struct client *client, const struct packet *packets, uint32_t count)
{
    static uint8_t together[64 * 1600];
    size_t total = 0;
    uint16_t first = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t bytes[1600];
        size_t size = build(client, &packets[i], bytes);
        if (i == 0)
            first = (uint16_t)size;
        assert_true(size == first || (size < first && i + 1 == count));
        memcpy(together + total, bytes, size);
        total += size;
    }
    struct iovec vector = {together, total};
    alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof first)] = {0};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control,
        .msg_controllen = sizeof control};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    *head = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof first), .cmsg_level = IPPROTO_UDP, .cmsg_type = 103};
    memcpy(CMSG_DATA(head), &first, sizeof first);
    assert_int_equal(sendmsg(client->fd, &message, 0), total);
}

size_t vp8_payload(const struct vp8 *vp8, uint8_t *out)
{
    out[0] = (uint8_t)(0x80 | (vp8->start ? 0x10 : 0));
    out[1] = 0xe0;
    rh_put16(out + 2, (uint16_t)(0x8000 | vp8->picture_id));
    out[4] = vp8->tl0;
    out[5] = (uint8_t)(vp8->tid << 6);
    out[6] = vp8->start && vp8->key ? 0x00 : 0x01;
    memset(out + 7, vp8->fill, vp8->body_bytes);
    if (vp8->start && vp8->key) {
        static const uint8_t rest[9] = {0x10, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00};
        assert_true(vp8->body_bytes >= sizeof rest);
        memcpy(out + 7, rest, sizeof rest);
    }
    return 7 + vp8->body_bytes;
}

static void parse_received(struct received *received)
{
    const uint8_t *bytes = received->bytes;
    assert_int_equal(bytes[0] >> 6, 2);
    assert_int_equal(bytes[0] & 0x2f, 0); /* no padding, no CSRC */
    received->marker = bytes[1] >> 7;
    received->payload_type = bytes[1] & 0x7f;
    received->seq = rh_get16(bytes + 2);
    received->timestamp = rh_get32(bytes + 4);
    received->ssrc = rh_get32(bytes + 8);
    size_t at = 12;
    received->mid[0] = 0;
    received->has_send_time = false;
    if (bytes[0] & 0x10) {
        assert_int_equal(rh_get16(bytes + 12), 0xbede);
        size_t end = 16 + 4u * rh_get16(bytes + 14);
        for (at = 16; at < end && bytes[at] != 0;) {
            uint8_t id = bytes[at] >> 4, count = (bytes[at] & 15) + 1;
            if (id == ID_MID)
                memcpy(received->mid, bytes + at + 1, count), received->mid[count] = 0;
            received->has_send_time |= id == ID_SEND_TIME && count == 3;
            at += 1u + count;
        }
        at = end;
    }
    assert_true(at <= received->size);
    received->payload = bytes + at;
    received->payload_bytes = received->size - at;
}

bool client_receive(struct client *client, struct received *received, int wait_ms)
{
    for (uint64_t end = now_ms() + (uint64_t)wait_ms;;) {
        ssize_t size = recv(client->fd, received->bytes, sizeof received->bytes, 0);
        if (size < 0) {
            int left = (int)(end - now_ms());
            struct pollfd waited = {.fd = client->fd, .events = POLLIN};
            if (left < 0 || (poll(&waited, 1, left) == 0))
                return false;
            continue;
        }
        if (rh_demux_classify(received->bytes, (size_t)size) != RH_TRAFFIC_RTP)
            continue;
        int opened = (int)size;
        if (srtp_unprotect(client->receive, received->bytes, &opened) != srtp_err_status_ok)
            return false;
        received->size = (size_t)opened;
        parse_received(received);
        return true;
    }
}

/* ---- Objects -------------------------------------------------------------------- */

struct making {
    rh_peer_id peer;
    const void *config;
    uint32_t made;
};

static void make_track(struct host *host, void *argument)
{
    struct making *making = argument;
    enum rh_result result = making->peer == 0
        ? rh_mirror_create(host->worker, making->config, &making->made)
        : rh_track_create(host->worker, making->peer, making->config, &making->made);
    assert_int_equal(result, RH_OK);
}

rh_track_id track_make(struct host *host, rh_peer_id peer, const struct rh_track_config *config)
{
    struct making making = {peer, config, 0};
    host_run(host, make_track, &making);
    return making.made;
}

static void make_slot(struct host *host, void *argument)
{
    struct making *making = argument;
    assert_int_equal(
        rh_slot_create(host->worker, making->peer, making->config, &making->made), RH_OK);
}

rh_slot_id slot_make(struct host *host, rh_peer_id peer, const struct rh_slot_config *config)
{
    struct making making = {peer, config, 0};
    host_run(host, make_slot, &making);
    return making.made;
}

struct binding_call {
    rh_slot_id slot;
    const struct rh_slot_binding *binding;
    enum rh_result result;
};

static void bind_slot(struct host *host, void *argument)
{
    struct binding_call *call = argument;
    call->result = rh_slot_bind(host->worker, call->slot, call->binding);
}

enum rh_result slot_bind(struct host *host, rh_slot_id slot, const struct rh_slot_binding *binding)
{
    struct binding_call call = {slot, binding, RH_OK};
    host_run(host, bind_slot, &call);
    return call.result;
}

struct rh_track_config video_config(const char *mid, uint8_t encodings)
{
    static const char *const rids[] = {"q", "h", "f"};
    struct rh_track_config config = {
        .kind = RH_VIDEO, .codec = RH_CODEC_VP8, .payload_type = PT_VIDEO,
        .rtx_payload_type = PT_RTX, .encoding_count = encodings, .clock_rate = 90000};
    strcpy(config.mid, mid);
    for (uint8_t e = 0; encodings > 1 && e < encodings; e++)
        strcpy(config.rid[e], rids[e]);
    return config;
}

struct rh_track_config audio_config(const char *mid)
{
    struct rh_track_config config = {
        .kind = RH_AUDIO, .codec = RH_CODEC_OPUS, .payload_type = PT_AUDIO, .encoding_count = 1,
        .clock_rate = 48000};
    strcpy(config.mid, mid);
    return config;
}

struct rh_slot_config slot_config(uint8_t kind, uint32_t ssrc, const char *mid)
{
    struct rh_slot_config config = {
        .kind = kind, .ssrc = ssrc, .rtx_ssrc = kind == RH_VIDEO ? ssrc + 1 : 0,
        .clock_rate = kind == RH_VIDEO ? 90000 : 48000};
    strcpy(config.mid, mid);
    return config;
}
