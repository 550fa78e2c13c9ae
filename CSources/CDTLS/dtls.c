/* DTLS-SRTP connections over OpenSSL without sockets (RFC 6347, RFC 5764).
 * SPDX-License-Identifier: Apache-2.0
 *
 * OpenSSL reads and writes through a BIO of ours that keeps datagram boundaries: one datagram in
 * at a time, a small queue of datagrams out. State: about 26 KiB a connection, the queue included,
 * plus OpenSSL's own (some 60 KiB during the handshake, less after it). */
#include "dtls_internal.h"

#include <openssl/err.h>
#include <openssl/srtp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

static const char srtp_profiles[] = "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80";
static const char exporter_label[] = "EXTRACTOR-dtls_srtp";
enum { TIMER_MAX_US = 1000000 };

struct outgoing {
    uint16_t size;
    uint8_t bytes[RH_DTLS_DATAGRAM_MAX];
};

struct rh_dtls {
    SSL *ssl; /* owns the BIO */
    enum rh_dtls_state state;
    bool is_client, is_accepted, is_established;
    uint32_t timer_us, overflows;
    const uint8_t *incoming; /* during rh_dtls_receive only */
    size_t incoming_size;
    uint32_t queue_first, queue_count;
    char reason[120];
    struct outgoing queue[RH_DTLS_QUEUE_MAX];
};

/* ---- The BIO --------------------------------------------------------------------------------- */

int rh_dtls_bio_write(BIO *bio, const char *bytes, int size)
{
    struct rh_dtls *dtls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (size <= 0 || size > RH_DTLS_DATAGRAM_MAX) return size <= 0 ? 0 : -1;
    if (dtls->queue_count == RH_DTLS_QUEUE_MAX) {
        dtls->overflows++; /* lost like any datagram; the timer resends it */
        return size;
    }
    uint32_t at = (dtls->queue_first + dtls->queue_count++) % RH_DTLS_QUEUE_MAX;
    dtls->queue[at].size = (uint16_t)size;
    memcpy(dtls->queue[at].bytes, bytes, (size_t)size);
    return size;
}

int rh_dtls_bio_read(BIO *bio, char *bytes, int size)
{
    struct rh_dtls *dtls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (dtls->incoming == NULL || size <= 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    /* As recv() does, what does not fit is lost. */
    size_t taken = dtls->incoming_size < (size_t)size ? dtls->incoming_size : (size_t)size;
    memcpy(bytes, dtls->incoming, taken);
    dtls->incoming = NULL;
    return (int)taken;
}

long rh_dtls_bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_DGRAM_QUERY_MTU:
    case BIO_CTRL_DGRAM_GET_FALLBACK_MTU: return RH_DTLS_MTU;
    default: return 0; /* nothing pending, no timeouts, no overhead: the MTU counts DTLS bytes */
    }
}

/* ---- Life ------------------------------------------------------------------------------------ */

static unsigned int next_timer(SSL *ssl, unsigned int timer_us)
{
    const struct rh_dtls *dtls = SSL_get_app_data(ssl);
    if (timer_us == 0) return dtls->timer_us;
    return timer_us >= TIMER_MAX_US / 2 ? TIMER_MAX_US : timer_us * 2;
}

static SSL *make_ssl(struct rh_dtls *dtls, const struct rh_dtls_context *context)
{
    SSL *ssl = SSL_new(context->ssl);
    BIO *bio = BIO_new(context->bio_method);
    if (ssl == NULL || bio == NULL) {
        SSL_free(ssl);
        BIO_free(bio);
        return NULL;
    }
    BIO_set_data(bio, dtls);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_app_data(ssl, dtls);
    SSL_set_options(ssl, SSL_OP_NO_QUERY_MTU);
    SSL_set_mtu(ssl, RH_DTLS_MTU);
    DTLS_set_timer_cb(ssl, next_timer);
    if (dtls->is_client) SSL_set_connect_state(ssl);
    else SSL_set_accept_state(ssl);
    return ssl;
}

struct rh_dtls *rh_dtls_create(
    const struct rh_dtls_context *context, bool is_client, uint32_t timer_us)
{
    struct rh_dtls *dtls = calloc(1, sizeof *dtls);
    if (dtls == NULL) return NULL;
    dtls->state = RH_DTLS_HANDSHAKING;
    dtls->is_client = is_client;
    dtls->timer_us = timer_us == 0 ? 1 : timer_us;
    dtls->ssl = make_ssl(dtls, context);
    if (dtls->ssl == NULL) {
        free(dtls);
        ERR_clear_error();
        return NULL;
    }
    return dtls;
}

void rh_dtls_destroy(struct rh_dtls *dtls)
{
    if (dtls == NULL) return;
    SSL_free(dtls->ssl);
    free(dtls);
}

/* ---- The state machine ----------------------------------------------------------------------- */

static void fail(struct rh_dtls *dtls, const char *what)
{
    unsigned long code = ERR_peek_error();
    const char *text = code == 0 ? NULL : ERR_reason_error_string(code);
    snprintf(dtls->reason, sizeof dtls->reason, "%s%s%s", what, text ? ": " : "", text ? text : "");
    dtls->state = RH_DTLS_FAILED;
}

/* What SSL_get_error says after a call that returned `result` <= 0. */
static void note_error(struct rh_dtls *dtls, int result, const char *what)
{
    switch (SSL_get_error(dtls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: break;
    case SSL_ERROR_ZERO_RETURN: dtls->state = RH_DTLS_CLOSED; break;
    default: fail(dtls, what);
    }
    ERR_clear_error();
}

static void handshake(struct rh_dtls *dtls)
{
    ERR_clear_error();
    int result = SSL_do_handshake(dtls->ssl);
    if (result != 1) {
        note_error(dtls, result, "handshake");
        return;
    }
    if (SSL_get_selected_srtp_profile(dtls->ssl) == NULL) {
        fail(dtls, "no common SRTP profile");
        return;
    }
    dtls->state = RH_DTLS_ESTABLISHED;
    dtls->is_established = true;
}

/* Reads until nothing is left: alerts and retransmitted Finished messages are handled inside. */
static void drain(struct rh_dtls *dtls)
{
    uint8_t ignored[RH_DTLS_DATAGRAM_MAX];
    for (int records = 0; records < 64 && dtls->state == RH_DTLS_ESTABLISHED; records++) {
        ERR_clear_error();
        int result = SSL_read(dtls->ssl, ignored, (int)sizeof ignored);
        if (result > 0) continue;
        note_error(dtls, result, "record");
        return;
    }
}

enum rh_dtls_state rh_dtls_start(struct rh_dtls *dtls)
{
    if (dtls->is_client && dtls->state == RH_DTLS_HANDSHAKING) handshake(dtls);
    return dtls->state;
}

enum rh_dtls_state rh_dtls_receive(struct rh_dtls *dtls, const uint8_t *bytes, size_t size)
{
    if (size == 0 || size > RH_DTLS_DATAGRAM_MAX) return dtls->state;
    dtls->incoming = bytes;
    dtls->incoming_size = size;
    if (dtls->state == RH_DTLS_HANDSHAKING) handshake(dtls);
    if (dtls->state == RH_DTLS_ESTABLISHED) drain(dtls);
    dtls->incoming = NULL;
    return dtls->state;
}

enum rh_dtls_state rh_dtls_on_tick(struct rh_dtls *dtls)
{
    if (dtls->state != RH_DTLS_HANDSHAKING) return dtls->state;
    struct timeval left;
    if (DTLSv1_get_timeout(dtls->ssl, &left) != 1) return dtls->state;
    if (left.tv_sec > 0 || left.tv_usec > 0) return dtls->state;
    ERR_clear_error();
    if (DTLSv1_handle_timeout(dtls->ssl) < 0) fail(dtls, "retransmission");
    ERR_clear_error();
    return dtls->state;
}

void rh_dtls_close(struct rh_dtls *dtls)
{
    if (dtls->state != RH_DTLS_ESTABLISHED) return;
    ERR_clear_error();
    SSL_shutdown(dtls->ssl);
    ERR_clear_error();
    dtls->state = RH_DTLS_CLOSED;
}

enum rh_dtls_state rh_dtls_get_state(const struct rh_dtls *dtls) { return dtls->state; }

size_t rh_dtls_take(struct rh_dtls *dtls, uint8_t out[RH_DTLS_DATAGRAM_MAX])
{
    if (dtls->queue_count == 0) return 0;
    const struct outgoing *first = &dtls->queue[dtls->queue_first];
    memcpy(out, first->bytes, first->size);
    dtls->queue_first = (dtls->queue_first + 1) % RH_DTLS_QUEUE_MAX;
    dtls->queue_count--;
    return first->size;
}

uint32_t rh_dtls_overflows(const struct rh_dtls *dtls) { return dtls->overflows; }

/* ---- The peer's identity and the keys ----------------------------------------------------- */

bool rh_dtls_accept_fingerprint(
    struct rh_dtls *dtls, enum rh_dtls_hash hash, const uint8_t *bytes, size_t size)
{
    if (!dtls->is_established) return false;
    X509 *certificate = SSL_get1_peer_certificate(dtls->ssl);
    uint8_t actual[RH_DTLS_HASH_BYTES_MAX];
    size_t actual_size = rh_dtls_hash_certificate(certificate, hash, actual);
    X509_free(certificate);
    if (actual_size == 0 || actual_size != size || !rh_equal(actual, bytes, size)) return false;
    dtls->is_accepted = true;
    return true;
}

uint16_t rh_dtls_srtp_profile(const struct rh_dtls *dtls)
{
    if (!dtls->is_established) return 0;
    const SRTP_PROTECTION_PROFILE *profile = SSL_get_selected_srtp_profile(dtls->ssl);
    return profile == NULL ? 0 : (uint16_t)profile->id;
}

bool rh_dtls_export(struct rh_dtls *dtls, uint8_t *out, size_t size)
{
    if (!dtls->is_established || !dtls->is_accepted) return false;
    ERR_clear_error();
    int result = SSL_export_keying_material(
        dtls->ssl, out, size, exporter_label, sizeof exporter_label - 1, NULL, 0, 0);
    ERR_clear_error();
    return result == 1;
}

const char *rh_dtls_reason(const struct rh_dtls *dtls) { return dtls->reason; }

const char *rh_dtls_profiles(void) { return srtp_profiles; }
