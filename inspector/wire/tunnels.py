"""The rare frames, one by one: a walk from header to header by the table of encapsulations, down to TCP.

A frame that cannot be walked to its end is counted under the layer at which the walk stopped, unless what stands there
carries no TCP.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from inspector.capture.frames import I64, U8, FrameBatch
from inspector.wire.addresses import AddressTable
from inspector.wire.encapsulation_table import TABLE, entry
from inspector.wire.encapsulations import TCP, UDP, Layer, Packet, Space, Unread
from inspector.wire.fragments import Fragments, Key, Waiting

DEPTH = 24
"""Layers of one frame; a tunnel in a tunnel takes five."""

Segment = tuple[int, int, int, int, bytes, int, int]
"""Source, target, sequence number, flags, payload, its length on the wire, acknowledgement number."""


class Stop(NamedTuple):
    """Where frames could not be opened any further, and why (``Unread.why``; ``incomplete``: fragments of what never
    became whole). ``ends``: the addresses between which a tunnel runs that nobody can look into, the lower first; empty
    where what stands there may run between any.
    """

    layer: Layer
    why: str
    ends: tuple[bytes, ...] = ()


SEALED = frozenset(("encrypted", "compressed"))
"""Why a tunnel cannot be looked into though its headers were read: whoever speaks in it speaks between its ends, or
through them.
"""


def carries(fragment: Waiting) -> bool:
    """Whether a datagram that never became whole may have carried TCP: for UDP, a tunnel's port must have been seen."""
    if fragment.layer != UDP:
        return not entry(fragment.layer).is_plain
    return (
        any((Space.UDP_PORT, port) in TABLE for port in struct.unpack_from(">HH", fragment.head))
        if len(fragment.head) >= 4
        else False
    )


class Tunnels:
    """Decodes single frames; keeps IP fragments until their datagram is whole."""

    def __init__(self, addresses: AddressTable) -> None:
        self._addresses = addresses
        self._fragments = Fragments()
        self._capture = 0

    def decode(self, batch: FrameBatch, rows: I64) -> tuple[U8, tuple[I64, ...], Counter[Stop]]:
        """TCP segments of some rows as columns like those of ``segments``, with the payloads appended to the batch's
        data; and what was not opened.
        """
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
                for source, target, seq, flags, payload, length, ack in self._walk(
                    Packet((Space.LINK_TYPE, int(batch.link_type[row])), frame, missing)
                ):
                    columns.append((row, source, target, seq, flags, base + len(extra), len(payload), length, ack))
                    extra += payload
            except Unread as stopped:
                assert stopped.layer is not None
                stops[Stop(stopped.layer, stopped.why, stopped.ends)] += 1
        data = (
            np.concatenate([batch.data, np.frombuffer(bytes(extra) + bytes(256), np.uint8)]) if columns else batch.data
        )
        table = np.array(columns, np.int64).reshape(-1, 9)
        return data, tuple(table[:, i].copy() for i in range(9)), stops

    def given_up(self) -> list[Waiting]:
        """Fragments whose datagrams were put away unfinished since this was asked last."""
        fragments, self._fragments.given_up = self._fragments.given_up, []
        return fragments

    def waiting(self) -> dict[Key, Waiting]:
        """Fragments whose datagrams are not whole yet."""
        return self._fragments.waiting()

    def _walk(self, packet: Packet) -> Iterator[Segment]:
        """The segments in a frame. Raises Unread, with the layer, where one cannot be reached; segments that come
        before it are good.
        """
        pending = [(packet, 0)]
        failed: Unread | None = None
        while pending:
            packet, depth = pending.pop()
            try:
                if packet.piece is not None:
                    whole = self._put_together(packet)
                    if whole is None:
                        continue
                    packet = whole
                if packet.layer == TCP:
                    yield self._segment(packet)
                    continue
                known = entry(packet.layer)
                if known.is_plain:
                    continue
                if known.opens is None or depth > DEPTH:
                    raise Unread("malformed" if known.opens else "unknown")
                packets = tuple(known.opens(packet))
                pending += [(inner, depth + 1) for inner in reversed(packets)]
            except Unread as stopped:
                ends = tuple(sorted(packet.ends)) if stopped.why in SEALED and all(packet.ends) else ()
                failed = failed or Unread(stopped.why, stopped.layer or packet.layer, ends)
            except (IndexError, struct.error):
                failed = failed or Unread("cut" if packet.missing else "malformed", packet.layer)
        if failed is not None:
            raise failed

    def _put_together(self, packet: Packet) -> Packet | None:
        """The datagram that a fragment completes. Raises Unread for one that was cut: its datagram can
        never be whole.
        """
        assert packet.piece is not None
        if packet.missing and carries(Waiting(packet.layer, 0, 1, b"" if packet.piece.offset else packet.data[:4])):
            raise Unread("cut")
        if packet.missing or entry(packet.layer).is_plain:
            return None
        whole = self._fragments.collect(packet, self._capture)
        return None if whole is None else packet._replace(data=whole, piece=None)

    def _segment(self, packet: Packet) -> Segment:
        """A TCP header (RFC 9293, section 3.1)."""
        body, length = packet.data, packet.length
        if len(body) < 20:
            raise Unread("cut" if packet.missing else "malformed", TCP)
        header = (body[12] >> 4) * 4
        if header < 20 or header > length:
            raise Unread("malformed", TCP)
        sport, dport, seq, ack = struct.unpack_from(">HHII", body)
        number = self._addresses.number
        source, target = packet.ends
        return (
            number(source) << 16 | sport,
            number(target) << 16 | dport,
            seq,
            body[13],
            body[header:],
            length - header,
            ack,
        )
