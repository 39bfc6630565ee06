"""What was said as frames of IP: bytes and times are those of the wire, headers are made up from them (RFC 791, 8200,
9293). Sequence numbers begin anew for each connection; data comes in segments of our own cut.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from typing import NamedTuple

from inspector.probe.transcript import TcpEvent, Transcript, Utterance

SEGMENT_BYTES = 1440
FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
WINDOW, HOPS, TCP = 65535, 64, 6


class SyntheticFrame(NamedTuple):
    """``ns``: nanoseconds since the epoch. ``data``: from the IP header on."""

    ns: int
    data: bytes


class _TcpSide:
    """One end of a connection. ``at``: its next sequence number, as the other side has acknowledged it."""

    def __init__(self, address: str, port: int) -> None:
        self.address = ipaddress.ip_address(address).packed
        self.port = port
        self.at = 0


def frames_of(transcript: Transcript) -> Iterator[SyntheticFrame]:
    """In the order of time."""
    client = _TcpSide(*transcript.client)
    server = _TcpSide(transcript.destination.address, transcript.destination.port)
    utterances = transcript.utterances
    # told apart from whoever used the same ports before
    client.at = (utterances[0].ns if utterances else 0) & 0x7FFFFFFF
    server.at = client.at ^ 0x55555555
    for utterance in utterances:
        sender, receiver = (client, server) if utterance.from_client else (server, client)
        for flags, data, is_back in _segments(utterance):
            one, other = (receiver, sender) if is_back else (sender, receiver)
            yield SyntheticFrame(utterance.ns, _frame(one, other, flags, data))
            one.at += len(data) + bool(flags & (SYN | FIN))


def _segments(utterance: Utterance) -> Iterator[tuple[int, bytes, bool]]:
    """Flags and data of each, and whether the other side sends it."""
    if utterance.event is TcpEvent.SYN:
        yield SYN, b"", False
    elif utterance.event is TcpEvent.ACCEPTED:
        yield SYN | ACK, b"", False
        yield ACK, b"", True
    elif utterance.event in (TcpEvent.REFUSED, TcpEvent.RESET):
        yield RST | ACK, b"", False
    elif utterance.event is TcpEvent.FIN:
        yield FIN | ACK, b"", False
        yield ACK, b"", True
    else:
        data = utterance.data
        for start in range(0, len(data), SEGMENT_BYTES):
            is_last = start + SEGMENT_BYTES >= len(data)
            yield ACK | (PSH if is_last else 0), data[start : start + SEGMENT_BYTES], False


def _frame(sender: _TcpSide, receiver: _TcpSide, flags: int, data: bytes) -> bytes:
    acknowledged = receiver.at if flags & ACK else 0
    segment = (
        struct.pack(
            ">HHIIBBHHH",
            sender.port,
            receiver.port,
            sender.at & 0xFFFFFFFF,
            acknowledged & 0xFFFFFFFF,
            5 << 4,
            flags,
            WINDOW,
            0,
            0,
        )
        + data
    )
    ends = sender.address + receiver.address
    checksum = _checksum(ends + struct.pack(">II", len(segment), TCP) + segment)
    segment = segment[:16] + struct.pack(">H", checksum) + segment[18:]
    if len(sender.address) == 16:
        return struct.pack(">IHBB", 6 << 28, len(segment), TCP, HOPS) + ends + segment
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0x4000, HOPS, TCP, 0) + ends
    return head[:10] + struct.pack(">H", _checksum(head)) + head[12:] + segment


def _checksum(data: bytes) -> int:
    """The ones' complement of the ones' complement sum of all 16-bit words (RFC 1071), not all of them 0: that sum is
    what the number that they make leaves behind 65535.
    """
    return -int.from_bytes(data + bytes(len(data) % 2), "big") % 0xFFFF
