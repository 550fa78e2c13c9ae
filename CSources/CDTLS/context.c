/* The certificate and what all DTLS connections share; hashes and randomness.
 * SPDX-License-Identifier: Apache-2.0 */
#include "dtls_internal.h"

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>

/* TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 first: RFC 8827 section 6.5 requires it. */
static const char ciphers[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA";
enum { DAY_S = 86400, PEER_CERTIFICATES_BYTES_MAX = 8192, SERIAL_BYTES = 8 };

static bool set_name_and_serial(X509 *certificate)
{
    uint8_t serial[SERIAL_BYTES];
    if (RAND_bytes(serial, sizeof serial) != 1) return false;
    serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40);
    BIGNUM *number = BN_bin2bn(serial, sizeof serial, NULL);
    bool is_set = number != NULL
        && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    X509_NAME *name = X509_get_subject_name(certificate);
    return is_set
        && X509_NAME_add_entry_by_txt(
               name, "CN", MBSTRING_ASC, (const unsigned char *)"roundhouse", -1, -1, 0) == 1
        && X509_set_issuer_name(certificate, name) == 1;
}

static X509 *make_certificate(EVP_PKEY *key, uint32_t days)
{
    X509 *certificate = X509_new();
    if (certificate == NULL) return NULL;
    bool is_made = X509_set_version(certificate, 2) == 1 && set_name_and_serial(certificate)
        && X509_gmtime_adj(X509_getm_notBefore(certificate), -DAY_S) != NULL
        && X509_time_adj_ex(X509_getm_notAfter(certificate), (int)days, 0, NULL) != NULL
        && X509_set_pubkey(certificate, key) == 1
        && X509_sign(certificate, key, EVP_sha256()) > 0;
    if (is_made) return certificate;
    X509_free(certificate);
    return NULL;
}

/* Any chain passes: peers are known by the fingerprint from signalling (RFC 5763 section 5). */
static int accept_any(int is_valid, X509_STORE_CTX *store)
{
    (void)is_valid, (void)store;
    return 1;
}

static SSL_CTX *make_ssl_context(X509 *certificate, EVP_PKEY *key)
{
    SSL_CTX *ssl = SSL_CTX_new(DTLS_method());
    if (ssl == NULL) return NULL;
    SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ssl, 1);
    SSL_CTX_set_max_cert_list(ssl, PEER_CERTIFICATES_BYTES_MAX);
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, accept_any);
    bool is_made = SSL_CTX_set_min_proto_version(ssl, DTLS1_2_VERSION) == 1
        && SSL_CTX_set_cipher_list(ssl, ciphers) == 1
        && SSL_CTX_set1_groups_list(ssl, "X25519:P-256:P-384") == 1
        && SSL_CTX_use_certificate(ssl, certificate) == 1
        && SSL_CTX_use_PrivateKey(ssl, key) == 1
        && SSL_CTX_set_tlsext_use_srtp(ssl, rh_dtls_profiles()) == 0; /* 0 is success here */
    if (is_made) return ssl;
    SSL_CTX_free(ssl);
    return NULL;
}

static BIO_METHOD *make_bio_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_NONE, "datagrams");
    if (method == NULL) return NULL;
    BIO_meth_set_write(method, rh_dtls_bio_write);
    BIO_meth_set_read(method, rh_dtls_bio_read);
    BIO_meth_set_ctrl(method, rh_dtls_bio_ctrl);
    return method;
}

struct rh_dtls_context *rh_dtls_context_create(uint32_t days)
{
    struct rh_dtls_context *context = calloc(1, sizeof *context);
    if (context == NULL) return NULL;
    context->key = EVP_EC_gen("P-256");
    if (context->key != NULL) context->certificate = make_certificate(context->key, days);
    if (context->certificate != NULL)
        context->ssl = make_ssl_context(context->certificate, context->key);
    context->bio_method = make_bio_method();
    if (context->ssl != NULL && context->bio_method != NULL) return context;
    rh_dtls_context_destroy(context);
    ERR_clear_error();
    return NULL;
}

void rh_dtls_context_destroy(struct rh_dtls_context *context)
{
    if (context == NULL) return;
    SSL_CTX_free(context->ssl);
    X509_free(context->certificate);
    EVP_PKEY_free(context->key);
    BIO_meth_free(context->bio_method);
    free(context);
}

size_t rh_dtls_hash_certificate(
    const X509 *certificate, enum rh_dtls_hash hash, uint8_t out[RH_DTLS_HASH_BYTES_MAX])
{
    const EVP_MD *digest = NULL;
    if (hash == RH_DTLS_SHA256) digest = EVP_sha256();
    if (hash == RH_DTLS_SHA384) digest = EVP_sha384();
    if (hash == RH_DTLS_SHA512) digest = EVP_sha512();
    unsigned int size = 0;
    if (certificate == NULL || digest == NULL) return 0;
    return X509_digest(certificate, digest, out, &size) == 1 ? size : 0;
}

size_t rh_dtls_context_fingerprint(
    const struct rh_dtls_context *context, enum rh_dtls_hash hash,
    uint8_t out[RH_DTLS_HASH_BYTES_MAX])
{
    return rh_dtls_hash_certificate(context->certificate, hash, out);
}

bool rh_hmac_sha1(
    const uint8_t *key, size_t key_size, const uint8_t *bytes, size_t size, uint8_t out[20])
{
    unsigned int written = 0;
    return HMAC(EVP_sha1(), key, (int)key_size, bytes, size, out, &written) != NULL
        && written == 20;
}

bool rh_random(uint8_t *out, size_t size)
{
    return size <= INT32_MAX && RAND_bytes(out, (int)size) == 1;
}

bool rh_equal(const uint8_t *a, const uint8_t *b, size_t size)
{
    return CRYPTO_memcmp(a, b, size) == 0;
}
