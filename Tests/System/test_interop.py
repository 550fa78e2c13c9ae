"""Independent implementations publish and receive; simulcast layers follow the subscription.
SPDX-License-Identifier: Apache-2.0"""
import asyncio
import contextlib

import pytest
import webrtc

from support import aiortc_peer, gst, tickets
from support.aiortc_peer import AiortcPeer
from support.gst import GstPeer
from support.meeting import Client
from support.waiting import until
from support.wrtc_peer import CHROMA_TOLERANCE, Peer

PICTURES = 45
RECORDER = "11111111-1111-4111-8111-111111111111"
LOUD_SAMPLE = 2000


def alike(found, expected) -> bool:
    """Whether two chroma pairs are near each other."""
    return all(abs(f - e) <= CHROMA_TOLERANCE for f, e in zip(found, expected))


@contextlib.asynccontextmanager
async def chrome_like(api, slots: int = 1):
    """A libwebrtc peer that publishes in a meeting of its own."""
    account = await asyncio.to_thread(api.sign_up, "Reference")
    grant = account.create_meeting()
    peer = Peer(await Client.join(account, grant["meeting_id"], grant), 4)
    peer.publish()
    peer.add_slots(slots, slots)
    await peer.negotiate()
    try:
        yield peer, grant["meeting_id"]
    finally:
        await peer.close()


async def sees_and_hears(peer: Peer, account_id: str, chroma) -> None:
    """A libwebrtc peer decodes an account's camera in its colour, and hears it."""
    await peer.subscribe(account_id)

    async def enough() -> bool:
        return await peer.decoded(account_id) >= PICTURES
    await until(enough, 30, f"{PICTURES} pictures of {account_id}")
    _, _, u, v = await peer.picture(peer.slot_of(account_id))
    assert alike((u, v), chroma), (u, v)

    async def heard() -> bool:
        mid = peer.slot_of(account_id, "microphone")
        stream = (await peer.inbound()).get(mid)
        return bool(stream and (stream.total_audio_energy or 0) > 0.001)
    await until(heard, 15, f"sound of {account_id}")


async def test_aiortc_publishes_and_receives(api):
    async with chrome_like(api) as (peer, meeting_id):
        account = await asyncio.to_thread(api.sign_up, "Aiortc")
        other = AiortcPeer(await Client.join(account, meeting_id))
        try:
            await other.negotiate()
            await other.client.send("SUBSCRIBE", num_actions=1, subscriptions=[
                {"account_id": peer.account_id, "bitrate": 1_000_000}])
            await sees_and_hears(peer, account.account_id, aiortc_peer.CHROMA)
            await until(lambda: other.pictures >= PICTURES, 30, "pictures at aiortc")
            assert alike(other.chroma, peer.chroma), other.chroma
            await until(lambda: other.loudest > LOUD_SAMPLE, 15, "sound at aiortc")
        finally:
            await other.close()


async def test_gstreamer_publishes_and_receives(api, artefacts):
    async with chrome_like(api) as (peer, meeting_id):
        account = await asyncio.to_thread(api.sign_up, "GStreamer")
        client = await Client.join(account, meeting_id)
        other, offer = await GstPeer.start(artefacts / "test_interop.gstreamer.log")
        try:
            await client.send("OFFER", sdp=offer["offer"], sources=offer["sources"])
            answer = await client.expect("ANSWER", "ERROR")
            assert answer["content_type"] == "ANSWER", answer
            await other.answer(answer["sdp"])
            await client.send("SUBSCRIBE", num_actions=1, subscriptions=[
                {"account_id": peer.account_id, "bitrate": 1_000_000}])
            await sees_and_hears(peer, account.account_id, gst.CHROMA)
            await until(lambda: other.last.get("pictures", 0) >= PICTURES, 30,
                        "pictures at GStreamer")
            assert alike(other.last["chroma"], peer.chroma), other.last
            await until(lambda: other.last["rms"] > -60, 15, "sound at GStreamer")
        finally:
            await other.close()
            await client.close()


async def test_a_recorder_is_a_ghost_that_sees_and_hears(api, node):
    async with chrome_like(api) as (peer, meeting_id):
        ticket = peer.client.grant["ticket"]
        claims = tickets.claims(ticket) | {
            "account_id": RECORDER, "role": "recorder", "jti": "ghost"}
        key = tickets.read_key(node.folder / "keys/tickets.pem")
        client = await Client.connect(peer.client.grant["server"], meeting_id, RECORDER)
        ghost = Peer(client)
        try:
            await client.send(
                "RECORD_JOIN", ticket=tickets.sign(key, tickets.header(ticket), claims))
            users = await client.expect("MEETING_USERS")
            assert users["users"] == [peer.account_id]
            ghost.add_slots(1, 1)
            await ghost.negotiate()
            await sees_and_hears(ghost, peer.account_id, peer.chroma)
            account = await asyncio.to_thread(api.sign_up, "Witness")
            witness = await Client.join(account, meeting_id)
            assert witness.users == [peer.account_id, account.account_id]
            assert not [p for p in peer.client.packets
                        if p["content_type"] == "JOIN" and p["account_id"] == RECORDER]
            await witness.close()
            await peer.client.send("END")
            await client.expect("END")
        finally:
            await ghost.close()


@pytest.mark.timeout(120)
async def test_the_subscription_s_bitrate_chooses_the_simulcast_layer(api):
    async with chrome_like(api) as (viewer, meeting_id):
        account = await asyncio.to_thread(api.sign_up, "Simulcast")
        sender = Peer(await Client.join(account, meeting_id), 5)
        encodings = [
            webrtc.RTCRtpEncodingParameters(
                rid=rid, scale_resolution_down_by=scale, max_bitrate=bitrate)
            for rid, scale, bitrate in (("q", 4.0, 100_000), ("h", 2.0, 300_000),
                                        ("f", 1.0, 900_000))]
        # libwebrtc sends three layers from 960x540 on.
        sender.publish(size=(960, 540), encodings=encodings)
        try:
            await sender.negotiate()

            async def all_layers() -> bool:
                sent = {s.rid: s.frames_sent or 0 for s in await sender.outbound_video()}
                return len(sent) == 3 and all(sent.values())
            await until(all_layers, 30, "three layers to be sent")
            for bitrate, width in ((120_000, 240), (400_000, 480), (2_000_000, 960),
                                   (120_000, 240), (2_000_000, 960)):
                await viewer.subscribe(sender.account_id, bitrate=bitrate)

                async def has_width() -> bool:
                    mid = viewer.slot_of(sender.account_id)
                    return bool(mid) and (await viewer.picture(mid))[0] == width
                await until(has_width, 20, f"a picture {width} wide for {bitrate} bit/s")
                assert await viewer.shows(sender)
        finally:
            await sender.close()


async def test_a_muted_feed_stops_at_the_node_and_comes_back(api):
    async with chrome_like(api) as (viewer, meeting_id):
        account = await asyncio.to_thread(api.sign_up, "Muted")
        sender = Peer(await Client.join(account, meeting_id), 6)
        sender.publish()
        try:
            await sender.negotiate()
            await sees_and_hears(viewer, sender.account_id, sender.chroma)
            await sender.client.send(
                "MUTE", account_id=sender.account_id, kind="video", muted=True)
            await until(lambda: any(f["muted"] for f in viewer.client.feeds[sender.account_id]
                                    if f["source"] == "camera"), 10, "FEEDS to say muted")

            async def still() -> bool:
                before = await viewer.decoded(sender.account_id)
                await asyncio.sleep(1)
                return await viewer.decoded(sender.account_id) == before
            await until(still, 10, "the picture to stop")
            await sender.client.send(
                "MUTE", account_id=sender.account_id, kind="video", muted=False)
            before = await viewer.decoded(sender.account_id)

            async def moves() -> bool:
                return await viewer.decoded(sender.account_id) > before + 10
            await until(moves, 15, "the picture to come back")
        finally:
            await sender.close()
