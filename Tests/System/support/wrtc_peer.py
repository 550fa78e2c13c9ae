"""A participant on libwebrtc. SPDX-License-Identifier: Apache-2.0"""
import asyncio
import time

import numpy
import webrtc

from support.meeting import Client
from support.waiting import until

WIDTH, HEIGHT, RATE = 320, 180, 15
AUDIO_SECONDS = 0.02
SAMPLE_RATE = 48000
CHROMA = [(60, 60), (60, 130), (60, 200), (130, 60), (130, 200), (200, 60), (200, 130), (200, 200)]
CHROMA_TOLERANCE = 22

webrtc.allow_loopback()


class Camera:
    """A moving picture in one colour, and how many frames were made."""

    def __init__(self, chroma: tuple[int, int], size: tuple[int, int], rate: int):
        self.generator = webrtc.VideoTrackGenerator()
        self.track = self.generator.track
        self.chroma = chroma
        self.width, self.height = size
        self.rate = rate
        self.frames = 0

    async def run(self) -> None:
        """Makes frames until cancelled."""
        writer = self.generator.writable.get_writer()
        luma = numpy.zeros((self.height, self.width), numpy.uint8)
        plane = self.width * self.height // 4
        colour = bytes([self.chroma[0]]) * plane + bytes([self.chroma[1]]) * plane
        started = time.monotonic()
        while True:
            luma[:] = 60 + self.frames % 100
            luma[:, self.frames * 5 % self.width] = 235
            init = webrtc.VideoFrameBufferInit(
                format="I420", coded_width=self.width, coded_height=self.height,
                timestamp=int(self.frames / self.rate * 1e6))
            await writer.write(webrtc.VideoFrame(luma.tobytes() + colour, init))
            self.frames += 1
            await asyncio.sleep(max(0.0, started + self.frames / self.rate - time.monotonic()))


class Microphone:
    """A tone."""

    def __init__(self, hertz: float):
        self.track = webrtc.MediaStreamTrackGenerator("audio")
        self.hertz = hertz
        self.silent = False

    async def run(self) -> None:
        """Makes sound until cancelled."""
        writer = self.track.writable.get_writer()
        count = int(SAMPLE_RATE * AUDIO_SECONDS)
        started, chunks = time.monotonic(), 0
        while True:
            at = numpy.arange(chunks * count, (chunks + 1) * count) / SAMPLE_RATE
            loud = 0 if self.silent else 9000
            samples = (numpy.sin(2 * numpy.pi * self.hertz * at) * loud).astype(numpy.int16)
            await writer.write(webrtc.AudioData(webrtc.AudioDataInit(
                format="s16", sample_rate=SAMPLE_RATE, number_of_frames=count,
                number_of_channels=1, timestamp=int(chunks * AUDIO_SECONDS * 1e6),
                data=samples.tobytes())))
            chunks += 1
            await asyncio.sleep(max(0.0, started + chunks * AUDIO_SECONDS - time.monotonic()))


class Peer:
    """One participant: a socket, a connection, a camera, a microphone and slots."""

    def __init__(self, client: Client, number: int = 0):
        self.client = client
        self.chroma = CHROMA[number % len(CHROMA)]
        self.pc = webrtc.RTCPeerConnection()
        self.tasks: list[asyncio.Task] = []
        self.camera: Camera | None = None
        self.microphone: Microphone | None = None
        self.sources: list[tuple[object, str]] = []
        self.slots: list[object] = []
        self.offers = 0

    @property
    def account_id(self) -> str:
        """Who it is."""
        return self.client.account_id

    def publish(self, size: tuple[int, int] = (WIDTH, HEIGHT), rate: int = RATE,
                encodings=None, screen: bool = False, sound: bool = True) -> None:
        """Adds a camera, by wish a screen (in the complementary colour) and a microphone to the
        next offer."""
        self.camera = Camera(self.chroma, size, rate)
        if sound:
            self.microphone = Microphone(300 + 40 * CHROMA.index(self.chroma))
            self._send("microphone", self.microphone)
        self._send("camera", self.camera, encodings)
        if screen:
            u, v = self.chroma
            self._send("screen", Camera((260 - u, 260 - v), size, rate))

    def _send(self, source: str, maker: Camera | Microphone, encodings=None) -> None:
        init = webrtc.RTCRtpTransceiverInit(direction="sendonly")
        if source != "microphone":
            init.send_encodings = encodings or [
                webrtc.RTCRtpEncodingParameters(max_bitrate=300_000)]
        self.sources.append((self.pc.add_transceiver(maker.track, init), source))
        self.tasks.append(asyncio.create_task(maker.run()))

    def add_slots(self, video: int, audio: int) -> None:
        """Adds receiving positions to the next offer."""
        for kind, count in (("video", video), ("audio", audio)):
            for _ in range(count):
                self.slots.append(self.pc.add_transceiver(
                    webrtc.MediaType(kind), webrtc.RTCRtpTransceiverInit(direction="recvonly")))

    async def negotiate(self, seconds: float = 15) -> None:
        """Offers, takes the answer, waits for the connection."""
        await self.pc.set_local_description(await self.pc.create_offer())
        sources = {transceiver.mid: source for transceiver, source in self.sources}
        await self.client.send("OFFER", sdp=self.pc.local_description.sdp, sources=sources)
        answer = await self.client.expect("ANSWER", "ERROR", seconds=seconds)
        assert answer["content_type"] == "ANSWER", answer
        self.offers += 1
        await self.pc.set_remote_description(
            webrtc.RTCSessionDescriptionInit(type="answer", sdp=answer["sdp"]))
        await until(lambda: self.pc.connection_state == "connected", seconds,
                    f"connection of {self.account_id}")

    async def subscribe(self, *accounts: str, bitrate: int = 1_000_000,
                        sources: tuple[str, ...] = ("camera",)) -> None:
        """Asks for cameras, or for other sources of the accounts."""
        feeds = [{"account_id": a, "bitrate": bitrate} | ({} if s == "camera" else {"source": s})
                 for a in accounts for s in sources]
        await self.client.send("SUBSCRIBE", num_actions=len(feeds), subscriptions=feeds)

    def slot_of(self, account_id: str, source: str = "camera") -> str | None:
        """The mid of the slot that carries a feed now, as SLOTS says."""
        for slot in self.client.slots:
            if slot["account_id"] == account_id and slot["source"] == source:
                return slot["mid"]
        return None

    async def inbound(self) -> dict[str, object]:
        """Statistics of what is received, by mid."""
        report = await self.pc.get_stats()
        return {s.mid: s for s in report.values() if type(s).__name__ == "RTCInboundRtpStreamStats"}

    async def outbound_video(self) -> list[object]:
        """Statistics of the encodings that are sent."""
        report = await self.pc.get_stats()
        return [s for s in report.values()
                if type(s).__name__ == "RTCOutboundRtpStreamStats" and s.kind == "video"]

    async def decoded(self, account_id: str) -> int:
        """Frames decoded in the slot that carries a camera; 0 while there is none."""
        mid = self.slot_of(account_id)
        found = (await self.inbound()).get(mid) if mid else None
        return (found.frames_decoded or 0) if found else 0

    async def picture(self, mid: str, seconds: float = 5) -> tuple[int, int, int, int]:
        """Width, height and the chroma in the middle of the next frame of a slot."""
        slot = next(t for t in self.slots if t.mid == mid)
        processor = webrtc.MediaStreamTrackProcessor(
            webrtc.MediaStreamTrackProcessorInit(slot.receiver.track))
        reader = processor.readable.get_reader()
        try:
            frame = (await asyncio.wait_for(reader.read(), seconds)).value
        finally:
            await reader.cancel()
        data = bytearray(frame.allocation_size())
        await frame.copy_to(data)
        width, height = frame.coded_width, frame.coded_height
        frame.close()
        plane, middle = ((width + 1) // 2) * ((height + 1) // 2), (height // 4) * (
            (width + 1) // 2) + width // 4
        return (width, height, data[width * height + middle],
                data[width * height + plane + middle])

    async def shows(self, publisher: "Peer") -> bool:
        """Whether the slot that should carry a camera shows that camera's colour."""
        mid = self.slot_of(publisher.account_id)
        if mid is None:
            return False
        try:
            _, _, u, v = await self.picture(mid)
        except TimeoutError:
            return False
        return (abs(u - publisher.chroma[0]) <= CHROMA_TOLERANCE
                and abs(v - publisher.chroma[1]) <= CHROMA_TOLERANCE)

    async def close(self) -> None:
        """Ends the media and the socket."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.pc.close()
        await self.client.close()


async def frame_rates(publishers: list[Peer], subscribers: list[Peer], seconds: float):
    """Measures for a time: {(subscriber, publisher): frames decoded / frames sent}. Each publisher
    sends one video encoding; what a busy machine's encoder left out was not sent."""
    async def sample():
        decoded = {(s.account_id, p.account_id): await s.decoded(p.account_id)
                   for s in subscribers for p in publishers if s is not p}
        sent = {p.account_id: sum(o.frames_sent or 0 for o in await p.outbound_video())
                for p in publishers}
        return sent, decoded
    sent, decoded = await sample()
    await asyncio.sleep(seconds)
    sent_after, decoded_after = await sample()
    return {pair: (decoded_after[pair] - decoded[pair]) / max(
                1, sent_after[pair[1]] - sent[pair[1]]) for pair in decoded}
