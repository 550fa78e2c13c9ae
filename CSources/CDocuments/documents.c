/* Documents that are part of the program.
 * SPDX-License-Identifier: Apache-2.0 */
#include "documents.h"

static const uint8_t openapi[] = {
#embed "../../API/openapi.yaml"
};

struct rh_document rh_document_openapi(void)
{
    return (struct rh_document){openapi, sizeof openapi};
}

static const uint8_t packets[] = {
#embed "../../API/packets.schema.json"
};

struct rh_document rh_document_packets(void)
{
    return (struct rh_document){packets, sizeof packets};
}
