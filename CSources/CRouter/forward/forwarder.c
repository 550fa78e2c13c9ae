/* The forwarder's life, and datagrams that are not RTP. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "forward/forward.h"

enum rh_result rh_forwarder_init(
    struct rh_forwarder *forwarder, const struct rh_media_sizes *sizes)
{
    *forwarder = (struct rh_forwarder){0};
    enum rh_result result = rh_media_init(&forwarder->media, sizes);
    if (result != RH_OK)
        return result;
    if (rh_sendqueue_init(&forwarder->queue)
        && rh_pending_init(&forwarder->pending, forwarder->media.peer_handles.capacity))
        return RH_OK;
    rh_sendqueue_deinit(&forwarder->queue);
    rh_media_deinit(&forwarder->media);
    return RH_SYSTEM;
}

void rh_forwarder_deinit(struct rh_forwarder *forwarder)
{
    rh_pending_deinit(&forwarder->pending);
    rh_media_deinit(&forwarder->media);
    rh_sendqueue_deinit(&forwarder->queue);
}

enum rh_result rh_send_rtcp(
    struct rh_forwarder *forwarder, rh_peer_id id, const uint8_t *bytes, size_t size)
{
    struct rh_peer *peer = rh_media_peer(&forwarder->media, id);
    if (peer == NULL || !rh_peer_is_reachable(peer))
        return RH_STALE;
    if (size < 8 || size + RH_SRTCP_OVERHEAD_MAX > RH_PACKET_BYTES_MAX)
        return RH_MALFORMED;
    uint8_t *place = rh_sendqueue_reserve(&forwarder->queue);
    if (place == NULL)
        return RH_FULL;
    size_t written = rh_srtp_protect_rtcp(&peer->send, bytes, size, place);
    if (written == 0)
        return RH_STALE;
    rh_sendqueue_commit_one(&forwarder->queue, &peer->selected, written);
    return RH_OK;
}

enum rh_result rh_send_plain(
    struct rh_forwarder *forwarder, const struct rh_address *to, const uint8_t *bytes, size_t size)
{
    if (size == 0 || size > RH_PACKET_BYTES_MAX || (to->family != 4 && to->family != 6))
        return RH_MALFORMED;
    uint8_t *place = rh_sendqueue_reserve(&forwarder->queue);
    if (place == NULL)
        return RH_FULL;
    memcpy(place, bytes, size);
    rh_sendqueue_commit_one(&forwarder->queue, to, size);
    return RH_OK;
}
