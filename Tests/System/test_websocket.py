"""The WebSocket below the packets: frames, limits, upgrades (RFC 6455).
SPDX-License-Identifier: Apache-2.0"""
import base64
import contextlib
import os
import socket
import struct
import urllib.parse

import pytest

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
LIMIT_BEFORE_JOIN = 64 * 1024


class Raw:
    """A TCP connection that speaks frames by hand."""

    def __init__(self, url: str):
        parts = urllib.parse.urlsplit(url)
        self.authority = parts.netloc
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=10)

    def send(self, data: bytes) -> None:
        """Sends bytes; a peer that has closed meanwhile is found out by the next read."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def upgrade_request(self, path: str = "/ws", **changes: str | None) -> bytes:
        """An upgrade request; a header may be changed or, with None, left out."""
        headers = {"Host": self.authority, "Upgrade": "websocket",
                   "Connection": "keep-alive, Upgrade",
                   "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
                   "Sec-WebSocket-Version": "13"}
        for name, value in changes.items():
            headers[name.replace("_", "-")] = value
        lines = [f"{k}: {v}" for k, v in headers.items() if v is not None]
        return "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode()

    def exactly(self, count: int) -> bytes:
        """`count` bytes; EOFError when the peer closed before."""
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def head(self) -> str:
        """The head of an HTTP answer; "" when the peer closed."""
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            more = self.socket.recv(1)
            if not more:
                break
            data += more
        return data.decode()

    def body(self, head: str) -> bytes:
        """The body after a head with a length."""
        for line in head.lower().splitlines():
            if line.startswith("content-length:"):
                return self.exactly(int(line.split(":")[1]))
        return b""

    def open(self) -> "Raw":
        """Upgrades."""
        self.send(self.upgrade_request())
        assert " 101 " in self.head().splitlines()[0]
        return self

    def frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame."""
        first, second = self.exactly(2)
        size = second & 127
        if size >= 126:
            size = int.from_bytes(self.exactly(2 if size == 126 else 8), "big")
        return first & 15, self.exactly(size)

    def close_code(self) -> int:
        """Reads until a close frame and the end of the stream; returns the code."""
        opcode, payload = self.frame()
        while opcode != CLOSE:
            opcode, payload = self.frame()
        self.send(frame(CLOSE, payload))
        with contextlib.suppress(ConnectionResetError):
            assert self.socket.recv(1) == b"", "more after the close frame"
        return struct.unpack(">H", payload[:2])[0]


def frame(opcode: int, data: bytes = b"", fin: bool = True, mask: bool = True,
          rsv: int = 0) -> bytes:
    """One frame as a client sends it."""
    head = bytes([fin << 7 | rsv << 4 | opcode])
    bit = 0x80 if mask else 0
    if len(data) < 126:
        head += bytes([bit | len(data)])
    elif len(data) < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", len(data))
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", len(data))
    if not mask:
        return head + data
    key = os.urandom(4)
    return head + key + bytes(c ^ key[i % 4] for i, c in enumerate(data))


def fragments(count: int, size: int) -> bytes:
    """One message in several frames."""
    return b"".join(frame(TEXT if i == 0 else 0, b"x" * size, fin=i == count - 1)
                    for i in range(count))


BROKEN = {
    "unmasked": (frame(TEXT, b"x", mask=False), 1002),
    "a reserved bit": (frame(TEXT, b"x", rsv=4), 1002),
    "a reserved opcode": (frame(3, b"x"), 1002),
    "a reserved control opcode": (frame(11, b"x"), 1002),
    "no UTF-8": (frame(TEXT, b"\xff\xfe"), 1007),
    "half a character": (frame(TEXT, "hé".encode()[:2]), 1007),
    "a surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "a continuation of nothing": (frame(0, b"x"), 1002),
    "text inside a message": (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
    "a fragmented ping": (frame(PING, b"x", fin=False), 1002),
    "a ping of 126 bytes": (frame(PING, b"x" * 126), 1002),
    "a close code that is reserved": (frame(CLOSE, struct.pack(">H", 1005)), 1002),
    "a close code out of range": (frame(CLOSE, struct.pack(">H", 999)), 1002),
    "a close of one byte": (frame(CLOSE, b"x"), 1002),
    "a close reason that is no UTF-8": (
        frame(CLOSE, struct.pack(">H", 1000) + b"\xff"), (1002, 1007)),
    "a binary message": (frame(BINARY, b"x"), 1003),
    "a frame over the limit": (frame(TEXT, b"x" * (LIMIT_BEFORE_JOIN + 1)), 1009),
    "fragments over the limit": (fragments(4, LIMIT_BEFORE_JOIN // 3), 1009),
    "a length of 2^62": (bytes([0x81, 0xFF]) + struct.pack(">Q", 1 << 62) + b"mask", 1009),
    "a length with the highest bit": (
        bytes([0x81, 0xFF]) + struct.pack(">Q", 1 << 63) + b"mask", (1002, 1009)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_frame_gets_a_close_code(node, name):
    sent, expected = BROKEN[name]
    raw = Raw(node.url).open()
    raw.send(sent)
    codes = expected if isinstance(expected, tuple) else (expected,)
    assert raw.close_code() in codes


def test_good_frames_are_answered(node):
    raw = Raw(node.url).open()
    raw.send(frame(PING, b"how are you"))
    assert raw.frame() == (PONG, b"how are you")
    packet = '{"meeting_id": "a", "content_type": "LEAVE", "account_id": "é"}'.encode()
    cut = packet.index(b"\xc3") + 1
    raw.send(frame(TEXT, packet[:cut], fin=False) + frame(PING, b"between")
             + frame(0, packet[cut:]))
    answers = [raw.frame(), raw.frame()]
    assert (PONG, b"between") in answers
    assert any(opcode == TEXT and b"ERROR" in payload for opcode, payload in answers)
    raw.send(frame(CLOSE, struct.pack(">H", 1000)))
    assert raw.close_code() == 1000


def test_a_frame_sent_with_the_upgrade_request_is_read(node):
    raw = Raw(node.url)
    raw.send(raw.upgrade_request() + frame(PING, b"early"))
    assert " 101 " in raw.head()
    assert raw.frame() == (PONG, b"early")


def test_an_upgrade_as_second_request_of_a_connection(node):
    raw = Raw(node.url)
    raw.send(f"GET /healthz HTTP/1.1\r\nHost: {raw.authority}\r\n\r\n".encode())
    head = raw.head()
    assert " 200 " in head
    raw.body(head)
    raw.open()
    raw.send(frame(PING, b"second"))
    assert raw.frame() == (PONG, b"second")


REFUSED = {
    "no upgrade": ({"Upgrade": None, "Connection": None}, (400, 426)),
    "version 8": ({"Sec_WebSocket_Version": "8"}, (400, 426)),
    "no key": ({"Sec_WebSocket_Key": None}, (400, 426)),
    "a short key": ({"Sec_WebSocket_Key": "YQ=="}, (400, 426)),
    "a foreign origin": ({"Origin": "https://evil.example"}, (403,)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_upgrade_that_is_refused(node, name):
    changes, expected = REFUSED[name]
    raw = Raw(node.url)
    raw.send(raw.upgrade_request(**changes))
    assert int(raw.head().split()[1]) in expected


def test_other_upgrades_are_ignored(node):
    raw = Raw(node.url)
    raw.send(f"GET /healthz HTTP/1.1\r\nHost: {raw.authority}\r\n"
             "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
             "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n".encode())
    assert raw.head().split()[1] == "200"


def test_an_upgrade_of_another_path_answers_and_does_not_hang(node):
    raw = Raw(node.url)
    raw.send(raw.upgrade_request("/healthz"))
    assert raw.head().startswith("HTTP/1.1 ")


def test_own_origin_and_subprotocol_are_accepted(node):
    raw = Raw(node.url)
    raw.send(raw.upgrade_request(
        Origin=node.url, Sec_WebSocket_Protocol="other, roundhouse.v1"))
    head = raw.head()
    assert " 101 " in head and "roundhouse.v1" in head.lower()


def test_a_silent_socket_is_closed(node):
    raw = Raw(node.url).open()
    raw.socket.settimeout(20)
    opcode, _ = raw.frame()
    while opcode == PING:
        opcode, _ = raw.frame()
    assert opcode in (TEXT, CLOSE)
