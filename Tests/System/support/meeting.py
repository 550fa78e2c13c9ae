"""A client of the WebSocket protocol without media. SPDX-License-Identifier: Apache-2.0

Every packet received is checked against the schema before anything else sees it.
"""
import asyncio
import json

import websockets

from support import schema
from support.rest import Account

PACKET_SECONDS = 10


class Client:
    """One socket in one meeting."""

    def __init__(self, link, meeting_id: str, account_id: str):
        self.link, self.meeting_id, self.account_id = link, meeting_id, account_id
        self.packets: list[dict] = []
        self.feeds: dict[str, list[dict]] = {}
        self.slots: list[dict] = []
        self.users: list[str] = []
        self.session = ""
        self.grant: dict = {}
        self.close_code: int | None = None
        self.invalid: Exception | None = None
        self.news = asyncio.Condition()
        self.seen = 0
        self.reader = asyncio.create_task(self._read())

    @classmethod
    async def connect(cls, url: str, meeting_id: str, account_id: str, **options) -> "Client":
        """Opens a socket and says nothing."""
        link = await websockets.connect(url, max_size=None, proxy=None, **options)
        return cls(link, meeting_id, account_id)

    @classmethod
    async def join(cls, account: Account, meeting_id: str, grant: dict | None = None) -> "Client":
        """Joins a meeting as a client of the full protocol does; waits for MEETING_USERS."""
        grant = grant or await asyncio.to_thread(account.join_meeting, meeting_id)
        client = await cls.connect(
            grant["server"], meeting_id, account.account_id,
            subprotocols=["roundhouse.v1"], local_addr=(account.address, 0))
        client.grant = grant
        await client.send("JOIN", account_id=account.account_id, ticket=grant["ticket"])
        await client.expect("MEETING_USERS")
        return client

    async def _read(self) -> None:
        try:
            async for text in self.link:
                packet = json.loads(text)
                try:
                    schema.check(packet)
                except Exception as problem:  # raised by the next expect, not lost in a task
                    self.invalid = self.invalid or problem
                self._learn(packet)
                async with self.news:
                    self.packets.append(packet)
                    self.news.notify_all()
        except websockets.ConnectionClosed:
            pass
        async with self.news:
            self.close_code = self.link.close_code
            self.news.notify_all()

    def _learn(self, packet: dict) -> None:
        kind = packet.get("content_type")
        if kind == "FEEDS":
            self.feeds[packet["account_id"]] = packet["feeds"]
        elif kind == "SLOTS":
            self.slots = packet["slots"]
        elif kind == "MEETING_USERS":
            self.users = list(packet["users"])
            self.session = packet.get("session", "")
        elif kind == "JOIN" and packet["account_id"] not in self.users:
            self.users.append(packet["account_id"])
        elif kind == "LEAVE" and packet["account_id"] in self.users:
            self.users.remove(packet["account_id"])

    async def send(self, content_type: str, **members) -> None:
        """Sends one packet of this meeting; `meeting_id` may be overridden."""
        packet = {"meeting_id": self.meeting_id, "content_type": content_type} | members
        await self.link.send(json.dumps(packet))

    async def send_raw(self, text: str) -> None:
        """Sends any text."""
        await self.link.send(text)

    async def expect(self, *kinds: str, seconds: float = PACKET_SECONDS, **members) -> dict:
        """The next packet of one of these kinds with these members, among those not yet
        returned by `expect`; others are passed over."""
        def found() -> int | None:
            for index in range(self.seen, len(self.packets)):
                packet = self.packets[index]
                if packet.get("content_type") in kinds and members.items() <= packet.items():
                    return index
            return None
        async with self.news:
            try:
                await asyncio.wait_for(self.news.wait_for(
                    lambda: found() is not None or self.close_code is not None), seconds)
            except TimeoutError:
                pass
            index = found()
            self.raise_invalid()
            assert index is not None, (
                f"no {'/'.join(kinds)} {members} within {seconds:.0f} s (close code"
                f" {self.close_code}); after {self.seen}: {self.packets[self.seen:][-8:]}")
            self.seen = index + 1
            return self.packets[index]

    def raise_invalid(self) -> None:
        """Fails when a packet that broke the schema has come."""
        if self.invalid:
            raise self.invalid

    async def is_open(self) -> bool:
        """Whether the socket still answers: a packet that must be refused is."""
        if self.close_code is not None:
            return False
        await self.send("NO_SUCH_PACKET")
        await self.expect("ERROR")
        return True

    async def closed(self, seconds: float = PACKET_SECONDS) -> int:
        """Waits until the other side closed; returns the close code."""
        async with self.news:
            await asyncio.wait_for(
                self.news.wait_for(lambda: self.close_code is not None), seconds)
        self.raise_invalid()
        return self.close_code

    async def close(self) -> None:
        """Closes the socket."""
        await self.link.close()
        await self.reader
        self.raise_invalid()

    def drop(self) -> None:
        """Breaks the connection as a failing network does, without a word."""
        self.link.transport.abort()
