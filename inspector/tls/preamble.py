"""Telling TLS from everything else by content, on any port, and finding it behind what may stand before it.

A hello is a record whose message has the type, length and version of one; type and major version of the record alone
would find hellos in many files. Pure functions of some bytes: where these end too early to say, the answer is
``NEED_DATA``.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, Literal, NamedTuple

from inspector.tls.types import (
    ALERT,
    CHANGE_CIPHER_SPEC,
    CLIENT_HELLO,
    DRAFT_MAJOR,
    HANDSHAKE,
    HEARTBEAT,
    MAJOR,
    SERVER_HELLO,
    AlertLevel,
    HandshakeType,
    ProtocolVersion,
)

Buffer = bytes | bytearray
RECORD_LIMIT = (1 << 14) + 2048
HEAD_BYTES = 6
"""Type, length and version of a hello: what it takes to be sure."""
HEAD_RECORDS = 32
"""Records that these may be scattered over; some may be empty."""
HELLO_REQUEST = int(HandshakeType.HELLO_REQUEST)
HELLOS = (HELLO_REQUEST, CLIENT_HELLO, SERVER_HELLO)
LEVELS = tuple(map(int, AlertLevel))
ALERT_BYTE, HANDSHAKE_BYTE, MAJOR_BYTE = bytes((ALERT,)), bytes((HANDSHAKE,)), bytes((MAJOR,))
HELLO_BYTES = HANDSHAKE_BYTE + MAJOR_BYTE
"""How the record of a hello begins."""
LATEST_MINOR = 3
"""TLS clients write 0x0300 to 0x0303 into their records, and servers take any 0x03nn for a ClientHello (RFC 5246,
appendix E.1; RFC 8446, section 5.1).
"""
PREAMBLE_BYTES = 16
"""So much of what stands before a hello tells what it is."""
PROXY_V2 = b"\r\n\r\n\x00\r\nQUIT\n"
PROXY_V2_HEADER = 16


class Sentinel(Enum):
    """Answers that are no place and no length."""

    NEED_DATA = auto()
    """The bytes end too early to say."""
    GIVE_UP = auto()
    """So much was looked through in vain that nothing is expected any more."""


NEED_DATA: Final = Sentinel.NEED_DATA
GIVE_UP: Final = Sentinel.GIVE_UP
NeedData = Literal[Sentinel.NEED_DATA]


class NoHello(NamedTuple):
    """No hello begins in some bytes. ``kept``: so many at their end may be the beginning of one."""

    kept: int


def find_hello(buffer: Buffer, at_start: bool) -> int | NoHello | NeedData:
    """Where a hello (or, at the very start, an alert in clear) begins."""
    if at_start and buffer[:1] == ALERT_BYTE:
        if len(buffer) < 7:
            return NEED_DATA if bytes(buffer[1:2]) in (b"", MAJOR_BYTE) else NoHello(0)
        if buffer[1] == MAJOR and buffer[2] <= LATEST_MINOR + 1 and buffer[3:5] == b"\0\2" and buffer[5] in LEVELS:
            return 0
    if at_start and len(buffer) == 1 and buffer[0] == HANDSHAKE:
        return NEED_DATA
    at = 0
    while True:
        at = buffer.find(HELLO_BYTES, at)
        if at < 0:
            break
        verdict = _hello_at(buffer, at, strict=at > 0 or not at_start)
        if verdict is NEED_DATA:
            return NEED_DATA if at == 0 and at_start else NoHello(len(buffer) - at)
        if verdict:
            return at
        at += 1
    return NoHello(int(buffer[-1:] == HANDSHAKE_BYTE))


def is_hello(buffer: Buffer) -> bool:
    """Whether a stream begins with a hello, in a record of its own: what most streams begin with, told without a
    search.
    """
    return (
        len(buffer) >= 11
        and buffer[0] == HANDSHAKE
        and buffer[1] == MAJOR
        and _hello_at(buffer, 0, strict=False) is True
    )


def _hello_at(buffer: Buffer, at: int, strict: bool) -> bool | NeedData:
    """Whether a hello begins here, in as many records as it takes."""
    if len(buffer) - at < 6:
        return NEED_DATA
    length = buffer[at + 3] << 8 | buffer[at + 4]
    if not 0 < length <= RECORD_LIMIT or buffer[at + 5] not in HELLOS:
        return False
    if not strict and buffer[at + 2] <= LATEST_MINOR + 1 and (length < HEAD_BYTES or buffer[at + 5] == HELLO_REQUEST):
        return True
    is_whole = length >= HEAD_BYTES and at + 5 + HEAD_BYTES <= len(buffer)
    head = bytes(buffer[at + 5 : at + 5 + HEAD_BYTES]) if is_whole else _message_head(buffer, at)
    if head is None or head[0] == HELLO_REQUEST:
        return False
    if len(head) < HEAD_BYTES:
        return NEED_DATA
    return int.from_bytes(head[1:4], "big") >= 38 and head[1] <= 1 and head[4] in (MAJOR, DRAFT_MAJOR)


def _message_head(buffer: Buffer, at: int) -> bytes | None:
    """The first bytes of a handshake message, from as many records as hold them; fewer where the buffer ends. None
    where other records stand between.
    """
    head = b""
    for _ in range(HEAD_RECORDS):
        if at + 5 > len(buffer):
            return head if HELLO_BYTES.startswith(bytes(buffer[at : at + 2])) else None
        length = buffer[at + 3] << 8 | buffer[at + 4]
        if buffer[at] != HANDSHAKE or buffer[at + 1] != MAJOR or length > RECORD_LIMIT:
            return None
        body = at + 5
        head += bytes(buffer[body : body + min(length, HEAD_BYTES - len(head))])
        at = body + length
        if len(head) == HEAD_BYTES:
            return head
    return None


def proxy_v2_length(buffer: Buffer) -> int | NeedData | None:
    """The length of a PROXY protocol v2 header (HAProxy, doc/proxy-protocol.txt, section 2.2), which it names itself;
    None where it is none.
    """
    if not PROXY_V2.startswith(bytes(buffer[: len(PROXY_V2)])):
        return None
    return PROXY_V2_HEADER + (buffer[14] << 8 | buffer[15]) if len(buffer) >= PROXY_V2_HEADER else NEED_DATA


SSLV2_HELLO_VERSIONS = frozenset(v for v in ProtocolVersion if v != ProtocolVersion.TLS_1_3)
"""What a ClientHello in SSLv2 framing may offer."""


def sslv2_hello_length(buffer: Buffer) -> int | NeedData | None:
    """The length of a ClientHello in SSLv2 framing with its two length bytes (RFC 5246, appendix E.2); None where it is
    none.
    """
    if buffer[0] & 0xC0 != 0x80:
        return None
    if len(buffer) < 11:
        return NEED_DATA if len(buffer) < 3 or buffer[2] == CLIENT_HELLO else None
    length = (buffer[0] & 0x7F) << 8 | buffer[1]
    version = buffer[3] << 8 | buffer[4]
    suites, ident, challenge = (buffer[i] << 8 | buffer[i + 1] for i in (5, 7, 9))
    if buffer[2] != CLIENT_HELLO or version not in SSLV2_HELLO_VERSIONS or suites % 3 or not suites:
        return None
    is_hello = length == 9 + suites + ident + challenge and ident in (0, 16) and 16 <= challenge <= 32
    return length + 2 if is_hello else None


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
    hello = find_hello(chunk, at_start=False)
    return hello if isinstance(hello, int) else None


def _record_at(chunk: bytes, at: int) -> bool:
    return (
        at + 5 <= len(chunk)
        and CHANGE_CIPHER_SPEC <= chunk[at] <= HEARTBEAT
        and chunk[at + 1] == MAJOR
        and chunk[at + 2] <= LATEST_MINOR + 1
        and 0 < (chunk[at + 3] << 8 | chunk[at + 4]) <= RECORD_LIMIT
        and (chunk[at] not in (ALERT, CHANGE_CIPHER_SPEC) or chunk[at + 3] == 0)
    )


def looks_like_hello(buffer: Buffer, at: int, length: int) -> bool:
    """Whether a record body is a ClientHello in clear although a ChangeCipherSpec went before (the second one of TLS
    1.3).
    """
    message = buffer[at + 1] << 16 | buffer[at + 2] << 8 | buffer[at + 3]
    return buffer[at] == CLIENT_HELLO and message == length - 4 and buffer[at + 4] == MAJOR


PREAMBLES: tuple[tuple[bytes, str], ...] = (
    (b"PROXY ", "proxy_v1"),
    (PROXY_V2, "proxy_v2"),
    (b"CONNECT ", "http_connect"),
    (b"\x05", "socks5"),
    (b"\x04\x01", "socks4"),
)


PROXY_HEADERS = frozenset(("proxy_v1", "proxy_v2"))
"""Which of these are the header that balancers put before what they pass on."""


def preamble_name(head: bytes) -> str:
    """What stands before the hello, by its first bytes; "" for nothing."""
    if not head:
        return ""
    return next((name for start, name in PREAMBLES if head.startswith(start)), "starttls")
