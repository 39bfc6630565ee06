"""The rare frames, one by one through dpkt: tunnels, IPv6 extension headers and IP fragments.

GRE (RFC 2784), ERSPAN types I to III, IP in IP (RFC 2003), 6in4, VXLAN (RFC 7348), Geneve (RFC 8926), GTP-U, MPLS, PPPoE and Cisco
metadata. What dpkt reads of a header is used; the walk from header to header and the offsets into the frame are ours.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from inspector import bounds
from inspector.capture.frames import U8, FrameBatch

if TYPE_CHECKING:
    from inspector.wire.segments import AddressTable

I64 = npt.NDArray[np.int64]
DEPTH = 8
Fragment = tuple[int, bytes, bool]
Found = tuple[int, int, int, int, bytes, int, int]
"""Of a segment: source, target, sequence number, flags, payload, its length on the wire, acknowledgement number."""


class _Cut(Exception):
    """The frame ends inside a header."""


class Tunnels:
    """Decodes single frames; keeps IP fragments until their datagram is whole."""

    def __init__(self, addresses: AddressTable) -> None:
        self._addresses = addresses
        self._fragments: OrderedDict[tuple[bytes, bytes, int, int], list[Fragment]] = OrderedDict()

    def decode(self, batch: FrameBatch, rows: I64) -> tuple[U8, tuple[I64, ...], int]:
        """TCP segments of some rows as columns like those of ``segments``, with the payloads appended to the batch's data."""
        extra = bytearray()
        base = len(batch.data)
        columns: list[tuple[int, ...]] = []
        undecoded = 0
        for row in rows.tolist():
            at = int(batch.offset[row])
            frame = batch.data[at : at + int(batch.captured[row])].tobytes()
            missing = int(batch.original[row]) - len(frame)
            try:
                for source, target, seq, flags, payload, length, ack in self._frame(frame, int(batch.link_type[row]), missing):
                    columns.append((row, source, target, seq, flags, base + len(extra), len(payload), length, ack))
                    extra += payload
            except _Cut:
                undecoded += 1
        data = np.concatenate([batch.data, np.frombuffer(bytes(extra) + bytes(256), np.uint8)]) if columns else batch.data
        table = np.array(columns, np.int64).reshape(-1, 9)
        return data, tuple(table[:, i].copy() for i in range(9)), undecoded

    def _frame(self, frame: bytes, link_type: int, missing: int) -> Iterator[Found]:
        header = {1: 14, 113: 16, 276: 20, 0: 4, 108: 4}.get(link_type, 0)
        if link_type in (1, 113):
            kind = _u16(frame, header - 2)
        elif link_type == 276:
            kind = _u16(frame, 0)
        else:
            kind = _ip_kind(frame, header)
        yield from self._network(kind, frame[header:], missing, 0)

    def _network(self, kind: int, data: bytes, missing: int, depth: int) -> Iterator[Found]:
        """The segments under an ethertype."""
        if depth > DEPTH:
            return
        while kind in (0x8100, 0x88A8, 0x9100):
            kind, data = _u16(data, 2), data[4:]
        if kind == 0x8909:
            length = data[1] * 8 if len(data) > 1 else 8
            kind, data = _u16(data, length - 2), data[length:]
        if kind == 0x8864:
            protocol, data = _u16(data, 6), data[8:]
            kind = {0x21: 0x0800, 0x57: 0x86DD, 0x281: 0x8847}.get(protocol, 0)
        if kind in (0x8847, 0x8848):
            while len(data) >= 4 and not data[2] & 1:
                data = data[4:]
            data = data[4:]
            kind = _ip_kind(data, 0)
            if kind == 0 and len(data) >= 18:  # Ethernet over MPLS, perhaps behind a control word (RFC 4448)
                kind, data = 0x6558, data[4:] if data[:4] == b"\0\0\0\0" else data
        if kind == 0x6558:
            yield from self._network(_u16(data, 12), data[14:], missing, depth + 1)
        elif kind == 0x0800:
            yield from self._ipv4(data, missing, depth)
        elif kind == 0x86DD:
            yield from self._ipv6(data, missing, depth)

    def _ipv4(self, data: bytes, missing: int, depth: int) -> Iterator[Found]:
        import dpkt

        try:
            packet = dpkt.ip.IP(data[:60])
        except (dpkt.UnpackError, struct.error, IndexError, ValueError):
            raise _Cut from None
        header = packet.hl * 4
        if packet.v != 4 or header < 20:
            return
        total = packet.len or len(data) + missing
        body, lacking = data[header:total], max(0, total - len(data))
        offset, more = packet.offset, packet.mf
        if offset or more:
            whole = self._collect((packet.src, packet.dst, packet.id, packet.p), offset * 8, body, bool(more), lacking)
            if whole is None:
                return
            body, lacking = whole, 0
        yield from self._transport(packet.p, packet.src, packet.dst, body, lacking, depth)

    def _ipv6(self, data: bytes, missing: int, depth: int) -> Iterator[Found]:
        if len(data) < 40:
            raise _Cut
        source, target, protocol = data[8:24], data[24:40], data[6]
        total = _u16(data, 4) or len(data) + missing - 40
        body, lacking = data[40 : 40 + total], max(0, total + 40 - len(data))
        while protocol in (0, 43, 44, 51, 60):
            if len(body) < 8:
                raise _Cut
            if protocol == 44:
                position, ident = _u16(body, 2), int.from_bytes(body[4:8], "big")
                protocol, body = body[0], body[8:]
                if position & 0xFFF9:
                    whole = self._collect((source, target, ident, protocol), position & 0xFFF8, body, bool(position & 1), lacking)
                    if whole is None:
                        return
                    body, lacking = whole, 0
                continue
            length = (body[1] + 2) * 4 if protocol == 51 else (body[1] + 1) * 8
            protocol, body = body[0], body[length:]
        yield from self._transport(protocol, source, target, body, lacking, depth)

    def _transport(self, protocol: int, source: bytes, target: bytes, body: bytes, missing: int, depth: int) -> Iterator[Found]:
        if protocol == 6:
            if len(body) < 20:
                raise _Cut
            header = (body[12] >> 4) * 4
            if header < 20 or header > len(body) + missing:
                return
            sport, dport, seq, ack = struct.unpack_from(">HHII", body)
            payload = body[header:]
            number = self._addresses.number
            yield number(source) << 16 | sport, number(target) << 16 | dport, seq, body[13], payload, len(body) + missing - header, ack
        elif protocol == 4:
            yield from self._network(0x0800, body, missing, depth + 1)
        elif protocol == 41:
            yield from self._network(0x86DD, body, missing, depth + 1)
        elif protocol == 47:
            yield from self._gre(body, missing, depth)
        elif protocol == 17 and len(body) >= 16:
            port, inner = _u16(body, 2), body[8:]
            if port in (4789, 8472):
                yield from self._network(0x6558, inner[8:], missing, depth + 1)
            elif port == 6081:
                yield from self._network(_u16(inner, 2), inner[8 + (inner[0] & 63) * 4 :], missing, depth + 1)
            elif port == 2152 and inner[0] >> 5 == 1 and inner[1] == 255:
                inner = _gtp_payload(inner)
                yield from self._network(_ip_kind(inner, 0), inner, missing, depth + 1)

    def _gre(self, body: bytes, missing: int, depth: int) -> Iterator[Found]:
        flags, kind = _u16(body, 0), _u16(body, 2)
        length = 4 + sum(4 for bit in (0x8000, 0x2000, 0x1000) if flags & bit)
        if flags & 7 == 1:  # version 1 (RFC 2637): a key always, an acknowledgement where bit 0x80 is set
            length = 8 + (4 if flags & 0x1000 else 0) + (4 if flags & 0x80 else 0)
            inner = body[length:]
            skip = 2 if inner[:2] == b"\xff\x03" else 0
            protocol = inner[skip] if skip < len(inner) and inner[skip] & 1 else _u16(inner, skip)
            step = skip + (1 if skip < len(inner) and inner[skip] & 1 else 2)
            yield from self._network({0x21: 0x0800, 0x57: 0x86DD}.get(protocol, 0), inner[step:], missing, depth + 1)
            return
        inner = body[length:]
        if kind == 0x88BE:  # ERSPAN type I has no header of its own, type II has 8 bytes and a GRE sequence number
            yield from self._network(0x6558, inner[8:] if flags & 0x1000 else inner, missing, depth + 1)
        elif kind == 0x22EB:
            optional = 8 if len(inner) > 11 and inner[11] & 1 else 0
            yield from self._network(0x6558, inner[12 + optional :], missing, depth + 1)
        else:
            yield from self._network(kind, inner, missing, depth + 1)

    def _collect(self, key: tuple[bytes, bytes, int, int], offset: int, body: bytes, more: bool, lacking: int) -> bytes | None:
        """Keep a fragment; the whole datagram's payload once nothing is missing (RFC 791, section 3.2)."""
        if lacking:
            return None
        pieces = self._fragments.setdefault(key, [])
        self._fragments.move_to_end(key)
        pieces.append((offset, body, more))
        if len(self._fragments) > bounds.FRAGMENTS:
            self._fragments.popitem(last=False)
        whole = bytearray()
        for start, piece, follows in sorted(pieces):
            if start > len(whole):
                return None
            whole[start:] = piece if start + len(piece) >= len(whole) else piece + whole[start + len(piece) :]
            if not follows:
                del self._fragments[key]
                return bytes(whole)
        return None


def _gtp_payload(inner: bytes) -> bytes:
    at = 12 if inner[0] & 7 else 8
    if inner[0] & 4:
        following = inner[11] if len(inner) > 11 else 0
        while following and at < len(inner) and inner[at]:
            length = inner[at] * 4
            following = inner[at + length - 1] if at + length <= len(inner) else 0
            at += length
    return inner[at:]


def _u16(data: bytes, at: int) -> int:
    if at < 0 or at + 2 > len(data):
        raise _Cut
    return data[at] << 8 | data[at + 1]


def _ip_kind(data: bytes, at: int) -> int:
    nibble = data[at] >> 4 if at < len(data) else 0
    return {4: 0x0800, 6: 0x86DD}.get(nibble, 0)
