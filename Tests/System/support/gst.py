"""Starts GStreamer's peer and talks to it. SPDX-License-Identifier: Apache-2.0"""
import asyncio
import json
import pathlib

SCRIPT = pathlib.Path(__file__).with_name("gst_peer.py")
CHROMA = (103, 203)  # of the colour that it sends


class GstPeer:
    """The process; `last` is what it said last of what it receives."""

    def __init__(self, process: asyncio.subprocess.Process):
        self.process = process
        self.last: dict = {}
        self.reader: asyncio.Task | None = None

    @classmethod
    async def start(cls, log: pathlib.Path) -> tuple["GstPeer", dict]:
        """Starts it; returns it and its offer."""
        with open(log, "w") as errors:
            process = await asyncio.create_subprocess_exec(
                "/usr/bin/python3", str(SCRIPT), stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE, stderr=errors, limit=1 << 20)
        peer = cls(process)
        while "offer" not in peer.last:
            line = await asyncio.wait_for(process.stdout.readline(), 30)
            assert line, f"GStreamer's peer ended; see {log}"
            peer.last = json.loads(line)
        offer = peer.last
        peer.reader = asyncio.create_task(peer._read())
        return peer, offer

    async def _read(self) -> None:
        while line := await self.process.stdout.readline():
            self.last = json.loads(line)

    async def answer(self, sdp: str) -> None:
        """Gives it the node's answer."""
        self.process.stdin.write(json.dumps({"answer": sdp}).encode() + b"\n")
        await self.process.stdin.drain()

    async def close(self) -> None:
        """Ends it."""
        self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), 10)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        if self.reader:
            self.reader.cancel()
