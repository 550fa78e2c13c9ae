"""libwebrtc peers through a network that loses packets each way.
SPDX-License-Identifier: Apache-2.0"""
import asyncio

import pytest

from support import impair
from support.meeting import Client
from support.node import free_udp_port
from support.waiting import until
from support.wrtc_peer import Peer, frame_rates

PEERS = 4
DELAY_MS = "20"
MEASURED_SECONDS = 20
# Frames decoded / sent that are demanded at a loss of so many percent: of each pair of peers, and
# on average. At 10 % the receivers' own estimates fall and feeds may be paused for a while.
LEAST = {2: 0.9, 10: 0.0}
MEAN = {2: 0.95, 10: 0.6}
MEDIA_PORT = free_udp_port()
NODE_OPTIONS = ("--workers", "1", "--media-port", str(MEDIA_PORT))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("percent", LEAST)
async def test_video_survives_loss_each_way(api, artefacts, percent):
    program = impair.build(artefacts)
    accounts = [await asyncio.to_thread(api.sign_up, f"Peer {n}") for n in range(PEERS)]
    grant = accounts[0].create_meeting()
    peers: list[Peer] = []
    with impair.impaired(program, MEDIA_PORT, "-l", str(percent), "-d", DELAY_MS) as counts:
        try:
            for number, account in enumerate(accounts):
                own = grant if number == 0 else None
                peer = Peer(await Client.join(account, grant["meeting_id"], own), number)
                peer.publish()
                peer.add_slots(PEERS - 1, PEERS - 1)
                await peer.negotiate(30)
                peers.append(peer)
            for peer in peers:
                await peer.subscribe(*[p.account_id for p in peers if p is not peer])
            await until(lambda: all_decode(peers), 40, "every picture once")
            rates = await frame_rates(peers, peers, MEASURED_SECONDS)
            lost, resent = await losses(peers)
        finally:
            await asyncio.gather(*[p.close() for p in peers])
    for direction, count in counts.items():
        share = 100 * count["lost"] / count["taken"]
        assert percent / 2 < share < percent * 2, f"{share:.1f} % lost {direction} the node"
    print(f"{percent} % loss each way, {2 * int(DELAY_MS)} ms round trip, {len(rates)} streams:"
          f" frames decoded / sent least {min(rates.values()):.3f}, mean"
          f" {sum(rates.values()) / len(rates):.3f}; resends {resent}, lost after all {lost}")
    assert resent > 0, "nothing was resent"
    assert min(rates.values()) >= LEAST[percent], rates
    assert sum(rates.values()) / len(rates) >= MEAN[percent], rates


async def all_decode(peers: list[Peer]) -> bool:
    """Whether each has decoded each other's camera."""
    for peer in peers:
        for other in peers:
            if other is not peer and await peer.decoded(other.account_id) == 0:
                return False
    return True


async def losses(peers: list[Peer]) -> tuple[int, int]:
    """Packets lost after all, and packets resent, over all received video."""
    lost = resent = 0
    for peer in peers:
        for stream in (await peer.inbound()).values():
            if stream.kind == "video":
                lost += stream.packets_lost or 0
                resent += stream.retransmitted_packets_received or 0
    return lost, resent
