"""Telling TLS from everything else by content, on any port, and finding it behind what may stand before it."""

from __future__ import annotations

from inspector.tls.registry import ALERT, CHANGE_CIPHER_SPEC, CLIENT_HELLO, HANDSHAKE, HEARTBEAT, SERVER_HELLO

Buffer = bytes | bytearray
RECORD_LIMIT = (1 << 14) + 2048
HELLO_BYTES = 11
"""Bytes from the record header to the version inside the hello: what it takes to be sure."""


def find_hello(buffer: Buffer, at_start: bool) -> int | None:
    """Where a hello (or, at the very start, an alert in clear) begins; None for "more bytes are needed"; below zero where there is none: -(bytes to keep) - 1."""
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


def _hello_at(buffer: Buffer, at: int, strict: bool) -> bool | None:
    """Whether a hello begins here; None where the buffer ends too early to say."""
    end = len(buffer)
    if end - at < 6:
        return None
    length = buffer[at + 3] << 8 | buffer[at + 4]
    if buffer[at + 2] > 4 or not 0 < length <= RECORD_LIMIT or buffer[at + 5] not in (0, CLIENT_HELLO, SERVER_HELLO):
        return False
    if length < 6 or buffer[at + 5] == 0:
        return not strict
    if end - at < HELLO_BYTES:
        return None
    message = buffer[at + 6] << 16 | buffer[at + 7] << 8 | buffer[at + 8]
    version = buffer[at + 9]
    return message >= 38 and buffer[at + 6] <= 1 and (version == 3 or version == 0x7F)


def sslv2_hello_length(buffer: Buffer) -> int | None:
    """The length of a ClientHello in SSLv2 framing with its two length bytes (RFC 5246, appendix E.2); 0 where it is none; None for "more"."""
    if buffer[0] & 0xC0 != 0x80:
        return 0
    if len(buffer) < 11:
        return None if len(buffer) < 3 or buffer[2] == 1 else 0
    length = (buffer[0] & 0x7F) << 8 | buffer[1]
    version = buffer[3] << 8 | buffer[4]
    suites, ident, challenge = (buffer[i] << 8 | buffer[i + 1] for i in (5, 7, 9))
    if buffer[2] != 1 or version not in (2, 0x300, 0x301, 0x302, 0x303) or suites % 3 or not suites:
        return 0
    return length + 2 if length == 9 + suites + ident + challenge and ident in (0, 16) and 16 <= challenge <= 32 else 0


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
    found = find_hello(chunk, at_start=False)
    return found if found is not None and found >= 0 else None


def _record_at(chunk: bytes, at: int) -> bool:
    return (
        at + 5 <= len(chunk)
        and CHANGE_CIPHER_SPEC <= chunk[at] <= HEARTBEAT
        and chunk[at + 1] == 3
        and chunk[at + 2] <= 4
        and 0 < (chunk[at + 3] << 8 | chunk[at + 4]) <= RECORD_LIMIT
        and (chunk[at] not in (ALERT, CHANGE_CIPHER_SPEC) or chunk[at + 3] == 0)
    )


def looks_like_hello(buffer: Buffer, at: int, length: int) -> bool:
    """Whether a record body is a ClientHello in clear although a ChangeCipherSpec went before (the second one of TLS 1.3)."""
    message = buffer[at + 1] << 16 | buffer[at + 2] << 8 | buffer[at + 3]
    return buffer[at] == CLIENT_HELLO and message == length - 4 and buffer[at + 4] == 3


PREAMBLES: tuple[tuple[bytes, str], ...] = (
    (b"PROXY ", "proxy_v1"),
    (b"\r\n\r\n\x00\r\nQUIT\n", "proxy_v2"),
    (b"CONNECT ", "http_connect"),
    (b"\x05", "socks5"),
    (b"\x04\x01", "socks4"),
)


def preamble_name(head: bytes) -> str:
    """What stands before the hello, by its first bytes; "" for nothing."""
    if not head:
        return ""
    return next((name for start, name in PREAMBLES if head.startswith(start)), "starttls")


__all__ = ["HANDSHAKE", "find_hello", "find_record", "looks_like_hello", "preamble_name", "sslv2_hello_length"]
