"""A participant on aiortc, an independent implementation. SPDX-License-Identifier: Apache-2.0"""
import asyncio
import fractions

import aiortc
import av
import numpy

from support.meeting import Client

WIDTH, HEIGHT, RATE = 320, 180, 15
CHROMA = (60, 200)


class Picture(aiortc.mediastreams.VideoStreamTrack):
    """A moving picture in one colour."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    async def recv(self) -> av.VideoFrame:
        """The next frame, when it is time for it."""
        await asyncio.sleep(1 / RATE)
        planes = numpy.empty((HEIGHT * 3 // 2, WIDTH), numpy.uint8)
        planes[:HEIGHT] = 60 + self.count % 100
        planes[HEIGHT:HEIGHT * 5 // 4] = CHROMA[0]
        planes[HEIGHT * 5 // 4:] = CHROMA[1]
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = self.count * 90000 // RATE
        frame.time_base = fractions.Fraction(1, 90000)
        self.count += 1
        return frame


class Tone(aiortc.mediastreams.AudioStreamTrack):
    """A tone."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    async def recv(self) -> av.AudioFrame:
        """The next 20 ms."""
        await asyncio.sleep(0.02)
        at = numpy.arange(self.count * 960, (self.count + 1) * 960) / 48000
        samples = (numpy.sin(2 * numpy.pi * 700 * at) * 9000).astype(numpy.int16)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48000, self.count * 960
        frame.time_base = fractions.Fraction(1, 48000)
        self.count += 1
        return frame


class AiortcPeer:
    """Publishes a picture and a tone; receives in one video and one audio slot."""

    def __init__(self, client: Client):
        self.client = client
        self.pc = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(
            iceServers=[], bundlePolicy=aiortc.RTCBundlePolicy.MAX_BUNDLE))
        self.picture, self.tone = Picture(), Tone()
        self.tasks: list[asyncio.Task] = []
        self.pictures, self.loudest = 0, 0
        self.chroma = (0, 0)
        self.pc.on("track", self._on_track)

    def _on_track(self, track) -> None:
        self.tasks.append(asyncio.create_task(self._receive(track)))

    async def _receive(self, track) -> None:
        while True:
            try:
                frame = await track.recv()
            except aiortc.mediastreams.MediaStreamError:
                return
            data = frame.to_ndarray(
                **({"format": "yuv420p"} if track.kind == "video" else {}))
            if track.kind == "video":
                self.pictures += 1
                height, width = frame.height, frame.width
                chroma = data[height:].reshape(2, height // 2, width // 2)
                self.chroma = tuple(int(c[height // 4, width // 4]) for c in chroma)
            else:
                self.loudest = max(self.loudest, int(numpy.abs(data).max()))

    async def negotiate(self) -> None:
        """Offers and takes the answer."""
        sources = [(self.pc.addTransceiver(self.tone, "sendonly"), "microphone"),
                   (self.pc.addTransceiver(self.picture, "sendonly"), "camera")]
        self.pc.addTransceiver("video", "recvonly")
        self.pc.addTransceiver("audio", "recvonly")
        await self.pc.setLocalDescription(await self.pc.createOffer())
        await self.client.send("OFFER", sdp=self.pc.localDescription.sdp,
                               sources={t.mid: s for t, s in sources})
        answer = await self.client.expect("ANSWER", "ERROR")
        assert answer["content_type"] == "ANSWER", answer
        await self.pc.setRemoteDescription(
            aiortc.RTCSessionDescription(answer["sdp"], "answer"))

    async def close(self) -> None:
        """Ends the media and the socket."""
        await self.pc.close()
        for task in self.tasks:
            task.cancel()
        await self.client.close()
