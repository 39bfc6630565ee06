"""The rare frames, one by one: a walk from header to header by the table of encapsulations, down to TCP.

A frame that cannot be walked to its end is counted under the layer at which the walk stopped, unless what stands there carries no TCP.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from inspector.capture.frames import U8, FrameBatch
from inspector.wire.encapsulations import TCP, UDP, Layer, Packet, Space, Unread
from inspector.wire.fragments import Fragments, Key, Waiting
from inspector.wire.table import TABLE, entry

if TYPE_CHECKING:
    from inspector.wire.segments import AddressTable

I64 = npt.NDArray[np.int64]
DEPTH = 24
"""Layers of one frame; a tunnel in a tunnel takes five."""

Segment = tuple[int, int, int, int, bytes, int]


class Stop(NamedTuple):
    """Where frames could not be opened any further, and why (``Unread.why``; ``incomplete``: fragments of what never became whole)."""

    layer: Layer
    why: str


def carries(found: Waiting) -> bool:
    """Whether a datagram that never became whole may have carried TCP: for UDP, a tunnel's port must have been seen."""
    if found.layer != UDP:
        return not entry(found.layer).is_plain
    return any((Space.UDP_PORT, port) in TABLE for port in struct.unpack_from(">HH", found.head)) if len(found.head) >= 4 else False


class Tunnels:
    """Decodes single frames; keeps IP fragments until their datagram is whole."""

    def __init__(self, addresses: AddressTable) -> None:
        self._addresses = addresses
        self._fragments = Fragments()
        self._capture = 0

    def decode(self, batch: FrameBatch, rows: I64) -> tuple[U8, tuple[I64, ...], Counter[Stop]]:
        """TCP segments of some rows as columns like those of ``segments``, with the payloads appended to the batch's data; and what was not opened."""
        extra = bytearray()
        base = len(batch.data)
        columns: list[tuple[int, ...]] = []
        stops: Counter[Stop] = Counter()
        self._capture = batch.capture
        for row in rows.tolist():
            at = int(batch.offset[row])
            frame = batch.data[at : at + int(batch.captured[row])].tobytes()
            missing = int(batch.original[row]) - len(frame)
            try:
                for source, target, seq, flags, payload, length in self._walk(Packet((Space.LINK_TYPE, int(batch.link_type[row])), frame, missing), 0):
                    columns.append((row, source, target, seq, flags, base + len(extra), len(payload), length))
                    extra += payload
            except Unread as stopped:
                assert stopped.layer is not None
                stops[Stop(stopped.layer, stopped.why)] += 1
        data = np.concatenate([batch.data, np.frombuffer(bytes(extra) + bytes(256), np.uint8)]) if columns else batch.data
        table = np.array(columns, np.int64).reshape(-1, 8)
        return data, tuple(table[:, i].copy() for i in range(8)), stops

    def given_up(self) -> list[Waiting]:
        """Fragments whose datagrams were put away unfinished since this was asked last."""
        found, self._fragments.given_up = self._fragments.given_up, []
        return found

    def waiting(self) -> dict[Key, Waiting]:
        """Fragments whose datagrams are not whole yet."""
        return self._fragments.waiting()

    def _walk(self, packet: Packet, depth: int) -> Iterator[Segment]:
        """The segments in a packet. Raises Unread, with the layer, where one cannot be reached; segments that come before it are good."""
        layer = packet.layer
        if packet.piece is not None:
            if packet.missing and carries(Waiting(layer, 0, 1, packet.data[:4] if not packet.piece.offset else b"")):
                raise Unread("cut", layer)
            if packet.missing or entry(layer).is_plain:
                return
            whole = self._fragments.collect(packet, self._capture)
            if whole is None:
                return
            packet = packet._replace(data=whole, piece=None)
        if layer == TCP:
            yield self._segment(packet)
            return
        known = entry(layer)
        if known.opens is None or depth > DEPTH:
            if known.is_plain:
                return
            raise Unread("malformed" if known.opens else "unknown", layer)
        try:
            found = known.opens(packet)
        except Unread as stopped:
            raise Unread(stopped.why, stopped.layer or layer) from None
        except (IndexError, struct.error):
            raise Unread("cut" if packet.missing else "malformed", layer) from None
        for inner in found:
            yield from self._walk(inner, depth + 1)

    def _segment(self, packet: Packet) -> Segment:
        """A TCP header (RFC 9293, section 3.1)."""
        body, length = packet.data, packet.length
        if len(body) < 20:
            raise Unread("cut" if packet.missing else "malformed", TCP)
        header = (body[12] >> 4) * 4
        if header < 20 or header > length:
            raise Unread("malformed", TCP)
        sport, dport, seq = struct.unpack_from(">HHI", body)
        number = self._addresses.number
        source, target = packet.ends
        return number(source) << 16 | sport, number(target) << 16 | dport, seq, body[13], body[header:], length - header
