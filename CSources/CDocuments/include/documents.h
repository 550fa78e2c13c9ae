/* Documents that are part of the program, so that it never looks for them at run time.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef RH_DOCUMENTS_H
#define RH_DOCUMENTS_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that live as long as the process; not terminated. */
struct rh_document {
    const uint8_t *bytes;
    size_t size;
};

/* API/openapi.yaml: the REST interface, UTF-8. */
struct rh_document rh_document_openapi(void);

/* API/packets.schema.json: the packets of the WebSocket protocol, UTF-8. */
struct rh_document rh_document_packets(void);

#endif
