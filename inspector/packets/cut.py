"""Frames cut to what is evidence: what of a payload is kept, the rest cut away where it stands last and zeroed where
something follows it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from inspector.facts import Event
from inspector.packets.buffer import BufferedFlow, BufferedFrame
from inspector.packets.layout import Interval, RecordSpan, encrypted_handshake, lanes


class CutPacket(NamedTuple):
    """A frame to write. ``frame``: the original's reference. ``original``: its length on the wire."""

    frame: int
    ns: int
    link_type: int
    data: bytes
    original: int


class PacketCut(NamedTuple):
    """A frame and what is kept of its payload, from its first byte on."""

    frame: BufferedFrame
    payload: bytes


def cut_flow(flow: BufferedFlow, answer_ns: int, is_tls13: bool, events: Sequence[Event] = ()) -> Iterator[PacketCut]:
    """The frames of a flow, direction by direction. ``events``: as for ``encrypted_handshake``."""
    both = lanes(flow, is_tls13)
    whole: tuple[list[RecordSpan], list[RecordSpan]] = (
        encrypted_handshake(*both, answer_ns, events) if is_tls13 else ([], [])
    )
    for lane, handshake in zip(both, whole, strict=True):
        kept = lane.kept(set(handshake))
        for at, frame in zip(lane.offsets, lane.frames, strict=True):
            yield PacketCut(frame, cut_piece(frame.payload, at, kept))


def cut_piece(payload: bytes, at: int, kept: list[Interval]) -> bytes:
    """What of a payload that begins at ``at`` in the image lies in some intervals."""
    piece = bytearray()
    for low, high in kept[max(bisect_right(kept, (at, 1 << 62)) - 1, 0) :]:
        if low >= at + len(payload):
            break
        first, last = max(low - at, 0), min(high - at, len(payload))
        if first < last:
            piece += bytes(first - len(piece))
            piece += payload[first:last]
    return bytes(piece)


def packet(cut: PacketCut) -> CutPacket:
    """The frame up to the last byte that is kept; whole where a tunnel hides the payload."""
    frame = cut.frame
    data = frame.data if frame.payload_at < 0 else frame.data[: frame.payload_at] + cut.payload
    return CutPacket(frame.frame, frame.ns, frame.link_type, data, frame.original)
