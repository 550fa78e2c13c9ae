"""What `roundhouse load` encodes is real media: libwebrtc decodes it, in order, through the node.
SPDX-License-Identifier: Apache-2.0"""
import asyncio
import contextlib
import sqlite3

import pytest

from support.meeting import Client
from support.node import Process
from support.pattern import watch
from support.waiting import until
from support.wrtc_peer import Peer

NODE_OPTIONS = ("--workers", "1")
HIGH, LOW = 4_000_000, 120_000
PICTURES = 45
MEETING_SECONDS = 15
MEDIA = {"vp8": ["vp8"], "vp8-simulcast": ["vp8", "--layers", "3"],
         "vp9": ["vp9"], "vp9-layers": ["vp9", "--layers", "3"]}


def open_meetings(node) -> list[str]:
    """The meetings that go on, from the node's own records."""
    with contextlib.closing(
            sqlite3.connect(f"file:{node.folder}/meetings.sqlite?mode=ro", uri=True)) as records:
        return [row[0] for row in
                records.execute("select meeting_id from meetings where ended is null")]


@contextlib.asynccontextmanager
async def viewer_of_load(node, api, artefacts, media: list[str]):
    """A libwebrtc peer in a meeting of two participants of the load tool, subscribed to one."""
    load = Process(artefacts / f"test_load_media.{'-'.join(media)}.log", [
        "load", "--url", node.url, "--participants", "2", "--duration", "60", "--media", *media])
    peer = None
    try:
        await until(lambda: open_meetings(node), MEETING_SECONDS, "the load tool's meeting")
        account = await asyncio.to_thread(api.sign_up, "Viewer")
        peer = Peer(await Client.join(account, open_meetings(node)[0]))
        peer.add_slots(1, 1)
        await peer.negotiate()
        await until(lambda: len(peer.client.users) >= 3, MEETING_SECONDS, "two participants")
        other = next(u for u in peer.client.users if u != account.account_id)
        await until(lambda: peer.client.feeds.get(other), MEETING_SECONDS, "feeds")
        await peer.subscribe(other, bitrate=HIGH)
        await until(lambda: peer.slot_of(other), MEETING_SECONDS, "a slot")
        yield peer, other
    finally:
        if peer:
            await peer.close()
        await asyncio.to_thread(load.stop)
        await until(lambda: not open_meetings(node), MEETING_SECONDS, "the meeting's end")


def assert_in_order(seen) -> None:
    """Nearly every picture is the one after the picture before it; a keyframe that was asked for
    skips some, the clip's end begins again."""
    counters = [c for _, c in seen if c is not None]
    assert len(counters) >= len(seen) * 0.95, seen
    steps = [b - a for a, b in zip(counters, counters[1:])]
    assert steps.count(1) >= len(steps) * 0.85, steps


@pytest.mark.parametrize("media", MEDIA.values(), ids=MEDIA.keys())
async def test_generated_media_is_decoded_in_order(node, api, artefacts, media):
    async with viewer_of_load(node, api, artefacts, media) as (peer, other):
        mid = peer.slot_of(other)
        seen = await watch(peer, mid, PICTURES)
        assert_in_order(seen[5:])
        assert seen[-1][0] == 360

        async def heard() -> bool:
            stream = (await peer.inbound()).get(peer.slot_of(other, "microphone"))
            return bool(stream and (stream.total_audio_energy or 0) > 0.01)
        await until(heard, 15, "the voice")
        stream = (await peer.inbound())[mid]
        assert stream.packets_lost == 0
        assert (stream.pli_count or 0) <= 3, stream.pli_count


async def test_simulcast_encodings_take_turns(node, api, artefacts):
    async with viewer_of_load(node, api, artefacts, MEDIA["vp8-simulcast"]) as (peer, other):
        mid = peer.slot_of(other)
        for bitrate, height in ((HIGH, 360), (LOW, 90), (HIGH, 360), (LOW, 90), (HIGH, 360)):
            await peer.subscribe(other, bitrate=bitrate)

            async def switched() -> bool:
                return (await watch(peer, mid, 1))[0][0] == height
            await until(switched, 3, f"pictures {height} high")
            seen = await watch(peer, mid, PICTURES, 2)
            assert {h for h, _ in seen} == {height}
            assert_in_order(seen)
