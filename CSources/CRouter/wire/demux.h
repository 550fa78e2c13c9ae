/* What kind of datagram arrived on the one port. SPDX-License-Identifier: Apache-2.0
 *
 * By the first byte (RFC 7983 section 7, updated by RFC 9443 section 3); RTP and RTCP by the second
 * (RFC 5761 section 4). Says nothing about the rest of the datagram. */
#ifndef RH_WIRE_DEMUX_H
#define RH_WIRE_DEMUX_H

#include <stddef.h>
#include <stdint.h>

enum rh_traffic {
    RH_TRAFFIC_UNKNOWN, /* empty, or in a range that nobody uses */
    RH_TRAFFIC_STUN,
    RH_TRAFFIC_ZRTP,
    RH_TRAFFIC_DTLS,
    RH_TRAFFIC_TURN_CHANNEL,
    RH_TRAFFIC_QUIC,
    RH_TRAFFIC_RTP,
    RH_TRAFFIC_RTCP,
};

/* Classifies size bytes; any bytes are accepted. A media packet of a single byte is UNKNOWN. */
static inline enum rh_traffic rh_demux_classify(const uint8_t *bytes, size_t size)
{
    if (size < 2)
        return RH_TRAFFIC_UNKNOWN;
    uint8_t first = bytes[0];
    if (first >= 128 && first <= 191)
        return bytes[1] >= 192 && bytes[1] <= 223 ? RH_TRAFFIC_RTCP : RH_TRAFFIC_RTP;
    if (first <= 3)
        return RH_TRAFFIC_STUN;
    if (first >= 20 && first <= 63)
        return RH_TRAFFIC_DTLS;
    if (first >= 16 && first <= 19)
        return RH_TRAFFIC_ZRTP;
    if (first >= 64 && first <= 79)
        return RH_TRAFFIC_TURN_CHANNEL;
    if ((first >= 80 && first <= 127) || first >= 192)
        return RH_TRAFFIC_QUIC;
    return RH_TRAFFIC_UNKNOWN;
}

#endif
