"""Telling TLS from everything else by content, on any port, and finding it behind what may stand before it."""

from __future__ import annotations

from enum import Enum

from inspector import bounds
from inspector.tls.types import (
    ALERT,
    CHANGE_CIPHER_SPEC,
    CLIENT_HELLO,
    HANDSHAKE,
    SERVER_HELLO,
    ContentType,
    ProtocolVersion,
)

Buffer = bytes | bytearray
RECORD_LIMIT = (1 << 14) + 2048
HEAD_BYTES = 6
"""Type, length and version of a hello: what it takes to be sure."""
HEAD_RECORDS = 32
"""Records that these may be scattered over; some may be empty."""
LATEST_MINOR = 3
"""TLS clients write 0x0300 to 0x0303 into their records, and servers take any 0x03nn for a ClientHello (RFC 5246,
appendix E.1; RFC 8446, section 5.1).
"""
PREAMBLE_BYTES = 16
"""So much of what stands before a hello tells what it is."""
PROXY_V2 = b"\r\n\r\n\x00\r\nQUIT\n"
PROXY_V2_HEADER = 16


def find_hello(buffer: Buffer, at_start: bool) -> int | None:
    """Where a hello (or, at the very start, an alert in clear) begins; None for "more bytes are needed"; below zero
    where there is none: -(bytes to keep) - 1.
    """
    if at_start and buffer[:1] == b"\x15":
        if len(buffer) < 7:
            return None if bytes(buffer[1:2]) in (b"", b"\3") else -1
        if buffer[1] == 3 and buffer[2] <= 4 and buffer[3:5] == b"\0\2" and buffer[5] in (1, 2):
            return 0
    if at_start and len(buffer) == 1 and buffer[0] == HANDSHAKE:
        return None
    at = 0
    while True:
        at = buffer.find(b"\x16\x03", at)
        if at < 0:
            break
        verdict = _hello_at(buffer, at, strict=at > 0 or not at_start)
        if verdict:
            return at
        if verdict is None:
            return None if at == 0 and at_start else -(len(buffer) - at) - 1
        at += 1
    return -2 if buffer[-1:] == b"\x16" else -1


def is_hello(buffer: Buffer) -> bool:
    """Whether a stream begins with a hello, in a record of its own: what most streams begin with, told without a
    search.
    """
    return len(buffer) >= 11 and buffer[0] == HANDSHAKE and bool(_hello_at(buffer, 0, strict=False)) and buffer[1] == 3


def _hello_at(buffer: Buffer, at: int, strict: bool) -> bool | None:
    """Whether a hello begins here, in as many records as it takes; None where the buffer ends too early to say."""
    if len(buffer) - at < 6:
        return None
    length = buffer[at + 3] << 8 | buffer[at + 4]
    if not 0 < length <= RECORD_LIMIT or buffer[at + 5] not in (0, CLIENT_HELLO, SERVER_HELLO):
        return False
    if not strict and buffer[at + 2] <= LATEST_MINOR + 1 and (length < HEAD_BYTES or buffer[at + 5] == 0):
        return True
    is_whole = length >= HEAD_BYTES and at + 5 + HEAD_BYTES <= len(buffer)
    head = bytes(buffer[at + 5 : at + 5 + HEAD_BYTES]) if is_whole else _message_head(buffer, at)
    if head is None or head[0] == 0:
        return False
    if len(head) < HEAD_BYTES:
        return None
    return int.from_bytes(head[1:4], "big") >= 38 and head[1] <= 1 and head[4] in (3, 0x7F)


def _message_head(buffer: Buffer, at: int) -> bytes | None:
    """The first bytes of a handshake message, from as many records as hold them; fewer where the buffer ends. None
    where other records stand between.
    """
    head = b""
    for _ in range(HEAD_RECORDS):
        if at + 5 > len(buffer):
            return head if b"\x16\x03".startswith(bytes(buffer[at : at + 2])) else None
        length = buffer[at + 3] << 8 | buffer[at + 4]
        if buffer[at] != HANDSHAKE or buffer[at + 1] != 3 or length > RECORD_LIMIT:
            return None
        body = at + 5
        head += bytes(buffer[body : body + min(length, HEAD_BYTES - len(head))])
        at = body + length
        if len(head) == HEAD_BYTES:
            return head
    return None


def proxy_v2_length(buffer: Buffer) -> int | None:
    """The length of a PROXY protocol v2 header (HAProxy, doc/proxy-protocol.txt, section 2.2), which it names itself; 0
    where it is none; None for "more".
    """
    if not PROXY_V2.startswith(bytes(buffer[: len(PROXY_V2)])):
        return 0
    return PROXY_V2_HEADER + (buffer[14] << 8 | buffer[15]) if len(buffer) >= PROXY_V2_HEADER else None


SSLV2_HELLO_VERSIONS = frozenset(v for v in ProtocolVersion if v != ProtocolVersion.TLS_1_3)
"""What a ClientHello in SSLv2 framing may offer."""


def sslv2_hello_length(buffer: Buffer) -> int | None:
    """The length of a ClientHello in SSLv2 framing with its two length bytes (RFC 5246, appendix E.2); 0 where it is
    none; None for "more".
    """
    if buffer[0] & 0xC0 != 0x80:
        return 0
    if len(buffer) < 11:
        return None if len(buffer) < 3 or buffer[2] == 1 else 0
    length = (buffer[0] & 0x7F) << 8 | buffer[1]
    version = buffer[3] << 8 | buffer[4]
    suites, ident, challenge = (buffer[i] << 8 | buffer[i + 1] for i in (5, 7, 9))
    if buffer[2] != 1 or version not in SSLV2_HELLO_VERSIONS or suites % 3 or not suites:
        return 0
    return length + 2 if length == 9 + suites + ident + challenge and ident in (0, 16) and 16 <= challenge <= 32 else 0


class SearchStep(Enum):
    """What a search says of the bytes that it was shown."""

    MORE = 0
    PASS = 1
    HELLO = 2
    SSLV2 = 3
    STOP = 4


class Search:
    """Looks for the first hello of a direction, chunk by chunk. ``is_start``: nothing was passed over yet. ``is_last``:
    only what is shown first may be one.
    """

    __slots__ = ("_is_headed", "_skipped", "is_start")

    def __init__(self, *, is_last: bool = False) -> None:
        self.is_start = not is_last
        self._is_headed = True
        self._skipped = bounds.SEARCH_BYTES if is_last else 0

    def look(self, buffer: Buffer, start: int) -> tuple[SearchStep, int]:
        """What to do: wait for MORE bytes, PASS over so many, read a HELLO at, read an SSLV2 hello of length, or STOP.
        ``start``: the buffer's place in the stream.
        """
        if self.is_start:
            length = sslv2_hello_length(buffer)
            if length is None or length > len(buffer):
                return SearchStep.MORE, 0
            if length:
                return SearchStep.SSLV2, length
        if self._is_headed:
            header = proxy_v2_length(buffer)
            if header is None:
                return SearchStep.MORE, 0
            if header:
                return SearchStep.PASS, header
        hello_at = find_hello(buffer, at_start=self.is_start)
        if hello_at is None:
            return (SearchStep.STOP if start + len(buffer) > bounds.SEARCH_BYTES else SearchStep.MORE), 0
        if self.is_start and hello_at and len(buffer) < PREAMBLE_BYTES:
            return SearchStep.MORE, 0
        if hello_at >= 0:
            return SearchStep.HELLO, hello_at
        self._is_headed = False
        passed = len(buffer) + hello_at + 1
        self._skipped += passed
        return (SearchStep.STOP, 0) if self._skipped > bounds.SEARCH_BYTES else (SearchStep.PASS, passed)


def find_record(chunk: bytes) -> int | None:
    """Where in a chunk behind a gap a record begins: at its start where that is confirmed, else at the first hello."""
    at = 0
    for _ in range(64):
        if at == len(chunk):
            return 0
        if not _record_at(chunk, at):
            break
        length = chunk[at + 3] << 8 | chunk[at + 4]
        if at and at + 5 + length > len(chunk):
            return 0
        if at == 0 and length > len(chunk):
            return 0 if length > 64 else None
        at += 5 + length
    else:
        return 0
    hello_at = find_hello(chunk, at_start=False)
    return hello_at if hello_at is not None and hello_at >= 0 else None


def _record_at(chunk: bytes, at: int) -> bool:
    return (
        at + 5 <= len(chunk)
        and CHANGE_CIPHER_SPEC <= chunk[at] <= ContentType.HEARTBEAT
        and chunk[at + 1] == 3
        and chunk[at + 2] <= 4
        and 0 < (chunk[at + 3] << 8 | chunk[at + 4]) <= RECORD_LIMIT
        and (chunk[at] not in (ALERT, CHANGE_CIPHER_SPEC) or chunk[at + 3] == 0)
    )


def looks_like_hello(buffer: Buffer, at: int, length: int) -> bool:
    """Whether a record body is a ClientHello in clear although a ChangeCipherSpec went before (the second one of TLS
    1.3).
    """
    message = buffer[at + 1] << 16 | buffer[at + 2] << 8 | buffer[at + 3]
    return buffer[at] == CLIENT_HELLO and message == length - 4 and buffer[at + 4] == 3


PREAMBLES: tuple[tuple[bytes, str], ...] = (
    (b"PROXY ", "proxy_v1"),
    (PROXY_V2, "proxy_v2"),
    (b"CONNECT ", "http_connect"),
    (b"\x05", "socks5"),
    (b"\x04\x01", "socks4"),
)


def preamble_name(head: bytes) -> str:
    """What stands before the hello, by its first bytes; "" for nothing."""
    if not head:
        return ""
    return next((name for start, name in PREAMBLES if head.startswith(start)), "starttls")


__all__ = [
    "HANDSHAKE",
    "Search",
    "SearchStep",
    "find_hello",
    "find_record",
    "looks_like_hello",
    "preamble_name",
    "sslv2_hello_length",
]
