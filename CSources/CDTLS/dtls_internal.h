/* Shared by the files of CDTLS. SPDX-License-Identifier: Apache-2.0 */
#ifndef RH_DTLS_INTERNAL_H
#define RH_DTLS_INTERNAL_H

#include "include/rh_dtls.h"

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

struct rh_dtls_context {
    SSL_CTX *ssl;
    X509 *certificate;
    EVP_PKEY *key;
    BIO_METHOD *bio_method;
};

int rh_dtls_bio_write(BIO *bio, const char *bytes, int size);
int rh_dtls_bio_read(BIO *bio, char *bytes, int size);
long rh_dtls_bio_ctrl(BIO *bio, int command, long number, void *pointer);

/* The profiles that are offered and accepted, best first, as OpenSSL names them. */
const char *rh_dtls_profiles(void);

/* Hash of the DER form; returns its bytes, 0 for no certificate or an unknown hash. */
size_t rh_dtls_hash_certificate(
    const X509 *certificate, enum rh_dtls_hash hash, uint8_t out[RH_DTLS_HASH_BYTES_MAX]);

#endif
