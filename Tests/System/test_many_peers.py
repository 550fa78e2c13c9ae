"""Eight libwebrtc peers in one meeting over two workers, and a peer with 49 slots.
SPDX-License-Identifier: Apache-2.0"""
import asyncio
import random
import time

import httpx
import pytest

from support.meeting import Client
from support.waiting import until
from support.wrtc_peer import Peer, frame_rates

PEERS = 8
MEASURED_SECONDS = 12
RATE_MIN = 0.9
VIEWERS = 3
CHANGES = 1000          # of each viewer
CHANGES_A_SECOND = 45   # a node accepts 50 packets a second of a socket
NODE_OPTIONS = ("--workers", "2", "--branch-size", "4")


async def meet(api, count: int, video_slots: int, audio_slots: int) -> list[Peer]:
    """A meeting of peers that publish, with slots, connected."""
    accounts = [await asyncio.to_thread(api.sign_up, f"Peer {n}") for n in range(count)]
    grant = accounts[0].create_meeting()
    peers = []
    for number, account in enumerate(accounts):
        own = grant if number == 0 else None
        peer = Peer(await Client.join(account, grant["meeting_id"], own), number)
        peer.publish()
        peer.add_slots(video_slots, audio_slots)
        peers.append(peer)
    await asyncio.gather(*[p.negotiate() for p in peers])
    return peers


async def close(peers: list[Peer]) -> None:
    """Ends everybody."""
    await asyncio.gather(*[p.close() for p in peers])


async def decodes_all(peer: Peer, others: list[Peer]) -> bool:
    """Whether every other's camera has been decoded at least once."""
    counts = [await peer.decoded(o.account_id) for o in others if o is not peer]
    return all(c > 0 for c in counts)


@pytest.mark.timeout(180)
async def test_eight_peers_decode_each_other_at_the_sent_rate(api, node):
    peers = await meet(api, PEERS, PEERS - 1, PEERS - 1)
    try:
        for peer in peers:
            await peer.subscribe(*[o.account_id for o in peers if o is not peer])
        for peer in peers:
            await until(lambda: decodes_all(peer, peers), 30, f"pictures at {peer.account_id}")
        rates = await frame_rates(peers, peers, MEASURED_SECONDS)
        assert len(rates) == PEERS * (PEERS - 1)
        slow = {pair: round(rate, 2) for pair, rate in rates.items() if rate < RATE_MIN}
        print(f"56 streams, frames decoded / sent: least {min(rates.values()):.3f}, "
              f"mean {sum(rates.values()) / len(rates):.3f}")
        assert not slow, slow
        for peer in peers:
            streams = [s for s in (await peer.inbound()).values() if s.kind == "audio"]
            heard = [s for s in streams if (s.total_audio_energy or 0) > 0]
            assert len(heard) == PEERS - 1, f"{len(heard)} voices at {peer.account_id}"
        for peer in peers:
            for other in peers:
                if other is not peer:
                    assert await peer.shows(other), (peer.account_id, other.account_id)
        await check_both_workers_carry(node)
    finally:
        await close(peers)


async def check_both_workers_carry(node) -> None:
    """Both workers have forwarded packets: the meeting lives on both."""
    text = httpx.get(node.url + "/metrics").text
    carried = {}
    for line in text.splitlines():
        if line.startswith("roundhouse_media_forwarded_packets_total{"):
            worker = line.split('worker="')[1].split('"')[0]
            carried[worker] = carried.get(worker, 0.0) + float(line.rsplit(" ", 1)[1])
    assert len([n for n in carried.values() if n > 0]) == 2, carried


@pytest.mark.timeout(240)
async def test_thousands_of_remaps_freeze_no_slot(api):
    peers = await meet(api, VIEWERS + 4, 2, VIEWERS + 3)
    viewers, publishers = peers[:VIEWERS], peers[VIEWERS:]
    try:
        await asyncio.gather(*[remap(v, publishers, random.Random(n))
                               for n, v in enumerate(viewers)])
        for viewer in viewers:
            assert viewer.offers == 1, "a renegotiation happened"
            errors = [p for p in viewer.client.packets if p["content_type"] == "ERROR"]
            assert not errors, errors[:3]
    finally:
        await close(peers)


async def remap(viewer: Peer, publishers: list[Peer], dice: random.Random) -> None:
    """Changes one of two pictures again and again; looks at both now and then."""
    shown = [publishers[0].account_id, publishers[1].account_id]
    await viewer.subscribe(*shown)
    due = time.monotonic()
    for change in range(1, CHANGES + 1):
        old = dice.choice(shown)
        new = dice.choice([p.account_id for p in publishers if p.account_id not in shown])
        shown[shown.index(old)] = new
        await viewer.client.send(
            "UNSUB_SUB", num_actions=2, unsubscribe=[{"account_id": old, "bitrate": 0}],
            subscribe=[{"account_id": new, "bitrate": 1_000_000}])
        due += 1 / CHANGES_A_SECOND
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        if change % (CHANGES // 4) == 0:
            await check_shown(viewer, publishers, shown)
            due = time.monotonic()


async def check_shown(viewer: Peer, publishers: list[Peer], shown: list[str]) -> None:
    """The slots carry what was asked for last, move, and show the right picture."""
    await until(lambda: sorted(s["account_id"] for s in viewer.client.slots
                               if s["source"] == "camera") == sorted(shown),
                10, f"SLOTS to say {shown}")
    for publisher in [p for p in publishers if p.account_id in shown]:
        await until(lambda: viewer.shows(publisher), 10,
                    f"the picture of {publisher.account_id} after remaps")
    before = [await viewer.decoded(a) for a in shown]

    async def all_move() -> bool:
        now = [await viewer.decoded(a) for a in shown]
        return all(n >= b + 10 for n, b in zip(now, before))
    await until(all_move, 10, "ten more frames in each slot")


@pytest.mark.timeout(240)
async def test_one_peer_with_49_bound_slots(api):
    publishers = await meet_publishers(api, 25)
    account = await asyncio.to_thread(api.sign_up, "Viewer")
    viewer = Peer(await Client.join(account, publishers[0].client.meeting_id))
    try:
        viewer.add_slots(49, 0)
        await viewer.negotiate(30)
        first = [p.account_id for p in publishers]
        await viewer.subscribe(*first[:24], bitrate=100_000, sources=("camera", "screen"))
        await viewer.subscribe(first[24], bitrate=100_000)

        def bound() -> list[dict]:
            return [s for s in viewer.client.slots if s["account_id"]]
        await until(lambda: len(bound()) == 49, 20, "49 bound slots")
        assert len({(s["account_id"], s["source"]) for s in bound()}) == 49

        async def moving() -> bool:
            streams = await viewer.inbound()
            return sum((s.frames_decoded or 0) >= 5 for s in streams.values()) == 49
        await until(moving, 60, "five decoded frames in each of 49 slots", poll=1)
        await viewer.subscribe(first[24], bitrate=100_000, sources=("screen",))
        refused = await viewer.client.expect("ERROR")
        assert "49" in refused["msg"]
    finally:
        await close([viewer, *publishers])


async def meet_publishers(api, count: int) -> list[Peer]:
    """A meeting of peers that only publish: camera and screen, small and slow."""
    accounts = [await asyncio.to_thread(api.sign_up, f"Publisher {n}") for n in range(count)]
    grant = accounts[0].create_meeting()
    peers = []
    for number, account in enumerate(accounts):
        own = grant if number == 0 else None
        peer = Peer(await Client.join(account, grant["meeting_id"], own), number)
        peer.publish(size=(160, 90), rate=5, screen=True, sound=False)
        await peer.negotiate()
        peers.append(peer)
    return peers
