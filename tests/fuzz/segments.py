"""TCP segments of recorded frames, sent otherwise: in pieces that overlap, or as fragments of datagrams."""

from __future__ import annotations

import struct
from typing import NamedTuple

from tests.mutations import Frame

IP_AT = {0: 4, 1: 14, 101: 0, 113: 16, 276: 20}
"""Where the IP header begins, by link type (as ``capture/link_types.py`` numbers them)."""

FRAGMENT_HEADER = 44


class TcpFrame(NamedTuple):
    """A whole frame of TCP. ``ip``, ``tcp``, ``payload``: where these begin; ``end``: where the datagram ends."""

    frame: Frame
    ip: int
    tcp: int
    payload: int
    end: int

    @property
    def is_ipv6(self) -> bool:
        return self.frame.data[self.ip] >> 4 == 6

    @property
    def ports(self) -> tuple[bytes, bytes]:
        return self.frame.data[self.tcp : self.tcp + 2], self.frame.data[self.tcp + 2 : self.tcp + 4]

    @property
    def body(self) -> bytes:
        return self.frame.data[self.payload : self.end]


def tcp_frame(frame: Frame) -> TcpFrame | None:
    """None where it holds no whole segment, or what stands before TCP is out of the ordinary."""
    data, ip = frame.data, IP_AT.get(frame.link_type)
    if ip is None or len(data) < ip + 20 or frame.original != len(data):
        return None
    if data[ip] >> 4 == 6:
        tcp, protocol, end = ip + 40, data[ip + 6], ip + 40 + int.from_bytes(data[ip + 4 : ip + 6], "big")
    else:
        tcp, protocol, end = (
            ip + (data[ip] & 15) * 4,
            data[ip + 9],
            ip + int.from_bytes(data[ip + 2 : ip + 4], "big"),
        )
        if int.from_bytes(data[ip + 6 : ip + 8], "big") & 0x3FFF:
            return None
    if protocol != 6 or tcp + 20 > end or end > len(data):
        return None
    payload = tcp + (data[tcp + 12] >> 4) * 4
    return TcpFrame(frame, ip, tcp, payload, end) if payload <= end else None


def _datagram(of: TcpFrame, header: bytes, body: bytes) -> Frame:
    """A frame with the same link header, an IP header whose length is put right, and this behind it."""
    data = bytearray(of.frame.data[: of.ip] + header + body)
    at, size = (of.ip + 4, len(header) - 40 + len(body)) if of.is_ipv6 else (of.ip + 2, len(header) + len(body))
    data[at : at + 2] = size.to_bytes(2, "big")
    return of.frame._replace(data=bytes(data), original=len(data))


def resent(of: TcpFrame, start: int, body: bytes) -> Frame:
    """A segment of the same flow whose payload stands at ``start`` of this one's."""
    data = of.frame.data
    sequence = (int.from_bytes(data[of.tcp + 4 : of.tcp + 8], "big") + start) & 0xFFFFFFFF
    header = data[of.tcp : of.tcp + 4] + sequence.to_bytes(4, "big") + data[of.tcp + 8 : of.payload]
    return _datagram(of, data[of.ip : of.tcp], header + body)


def fragments(of: TcpFrame, size: int, number: int) -> list[Frame]:
    """The datagram in fragments of ``size`` bytes, a multiple of eight (RFC 791, 3.2; RFC 8200, 4.5)."""
    data = of.frame.data
    whole = data[of.tcp : of.end]
    pieces: list[Frame] = []
    for at in range(0, len(whole), size):
        more = at + size < len(whole)
        if of.is_ipv6:
            header = bytearray(data[of.ip : of.tcp])
            header[6] = FRAGMENT_HEADER
            header += struct.pack(">BBHI", 6, 0, at | more, number)
        else:
            header = bytearray(data[of.ip : of.tcp])
            header[4:8] = struct.pack(">HH", number & 0xFFFF, at // 8 | more << 13)
        pieces.append(_datagram(of, bytes(header), whole[at : at + size]))
    return pieces
