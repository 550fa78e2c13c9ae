"""The load tool's test pattern, read from decoded pictures. SPDX-License-Identifier: Apache-2.0

CSources/CMedia/pattern.h describes it: 20 black or white cells along the top, 16 bits of a frame
counter and 4 check bits.
"""
import asyncio

import numpy
import webrtc

from support.wrtc_peer import Peer

CELLS = 20
BLACK_MAX, WHITE_MIN = 100, 150


def counter(luma: numpy.ndarray) -> int | None:
    """The counter that a picture shows; None when it cannot be read."""
    height, width = luma.shape
    cell = min(width // CELLS, height // 4)
    inner = slice(cell // 4, cell - cell // 4)
    shown = 0
    for left in range(0, CELLS * cell, cell):
        mean = luma[inner, left + inner.start:left + inner.stop].mean()
        if BLACK_MAX < mean < WHITE_MIN:
            return None
        shown = shown << 1 | int(mean >= WHITE_MIN)
    value, check = shown >> 4, 5
    for bit in range(0, 16, 4):
        check = (check * 3 + (value >> bit & 15)) & 15
    return value if check == shown & 15 else None


async def watch(peer: Peer, mid: str, count: int, seconds: float = 10):
    """The next pictures of a slot: [(height, counter)]. Fails when one takes too long."""
    slot = next(t for t in peer.slots if t.mid == mid)
    reader = webrtc.MediaStreamTrackProcessor(
        webrtc.MediaStreamTrackProcessorInit(slot.receiver.track)).readable.get_reader()
    seen = []
    try:
        while len(seen) < count:
            frame = (await asyncio.wait_for(reader.read(), seconds)).value
            data = bytearray(frame.allocation_size())
            await frame.copy_to(data)
            width, height = frame.coded_width, frame.coded_height
            frame.close()
            luma = numpy.frombuffer(data, numpy.uint8, width * height).reshape(height, width)
            seen.append((height, counter(luma)))
    finally:
        await reader.cancel()
    return seen
