"""Several extractions as one: journals beside captures, and captures that were read side by side."""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence

import numpy as np
from msgspec.structs import replace

from inspector import bounds
from inspector.facts import (
    FRAME_BITS,
    CaptureFacts,
    ConnectionFacts,
    Facts,
    FrameRange,
    HandshakeFacts,
    LaneFacts,
    absorb,
)
from inspector.facts.events import EVENT_BYTES
from inspector.facts.spool import SpooledConnections

PACKED_EVENT = np.dtype({"names": ["frame"], "formats": ["<i8"], "offsets": [8], "itemsize": EVENT_BYTES})
"""Where the frame of an event stands (``facts.events``)."""

AT_ONCE = 1_024
"""So many connections are unpacked at a time."""


def merge(parts: list[Facts], numbers: Sequence[Sequence[int]] | None = None) -> Facts:
    """Several extractions as one, their captures in the order of the first frame, of those at one time in that of
    their hosts and names; frame references follow, also in the parts, for there is no memory for both. Many
    connections go out of core, and leave the parts. Where parts of several vantage points meet, each says of which it
    is. ``numbers``: of each part what its connections call its captures (``renumber``); their places in it, by default.
    """
    if len(parts) == 1:
        if numbers is not None:
            renumber(parts[0], numbers[0], range(len(parts[0].captures)))
        return parts[0]
    places = merged_numbers(parts)
    numbers = numbers or [range(len(part.captures)) for part in parts]
    captures = [
        (number, _capture_moved(capture, after))
        for part, after in zip(parts, places, strict=True)
        for number, capture in zip(after, part.captures, strict=True)
    ]
    whole = Facts(
        captures=[capture for _, capture in sorted(captures, key=lambda numbered: numbered[0])],
        connections=_room_for(parts),
    )
    if len({capture.host or capture.extracted_on for capture in whole.captures}) > 1:
        whole.captures = [replace(capture, host=capture.host or capture.extracted_on) for capture in whole.captures]
    for part, before, after in zip(parts, numbers, places, strict=True):
        renumber(part, before, after)
        absorb(whole, part)
        if isinstance(whole.connections, SpooledConnections):
            part.connections = []
    return whole


CaptureKey = tuple[int | None, str, str]
"""When the first frame of a capture was, if it has any; its host; its path."""


def in_order(captures: Sequence[Sequence[CaptureKey]]) -> list[list[int]]:
    """The place of each capture among all, of parts that are merged."""
    order = sorted(
        (first_ns is None, first_ns or 0, host, path, part, index)
        for part, some in enumerate(captures)
        for index, (first_ns, host, path) in enumerate(some)
    )
    numbers = {(part, index): number for number, (*_, part, index) in enumerate(order)}
    return [[numbers[part, index] for index in range(len(some))] for part, some in enumerate(captures)]


def merged_numbers(parts: Sequence[Facts]) -> list[list[int]]:
    """What connections of each part call its captures once the parts are merged."""
    return in_order([[(capture.first_ns, capture.host, capture.path) for capture in part.captures] for part in parts])


def renumber(part: Facts, before: Sequence[int], after: Sequence[int]) -> None:
    """Have the connections of a part refer to its captures by other numbers."""
    numbers = dict(zip(before, after, strict=True))
    if all(old == new for old, new in numbers.items()):
        return
    moving, packed = _Moving(numbers), part.connections
    for first in range(0, len(packed), AT_ONCE):
        some = [*part.unpack_all(packed[first : first + AT_ONCE])]
        moving.move(some)
        packed[first : first + AT_ONCE] = map(part.pack, some)


def _room_for(parts: Sequence[Facts]) -> MutableSequence[bytes]:
    """For the connections of some parts: out of core where they are many, or where those of a part are."""
    for part in parts:
        if isinstance(part.connections, SpooledConnections):
            return SpooledConnections(spool=part.connections.spool)
    return SpooledConnections() if sum(len(part.connections) for part in parts) > bounds.CORE_CONNECTIONS else []


def _capture_moved(capture: CaptureFacts, places: Sequence[int]) -> CaptureFacts:
    if not capture.clocks:
        return capture
    moved = dict(enumerate(places))
    return replace(capture, clocks=tuple(clock._replace(other=moved.get(clock.other, 0)) for clock in capture.clocks))


class _Moving:
    """Moves connections to where their captures have new indexes."""

    def __init__(self, captures: dict[int, int]) -> None:
        """``captures``: their new numbers by the old ones."""
        self._added = np.zeros(max(captures) + 1, np.int64)
        for old, new in captures.items():
            self._added[old] = new - old << FRAME_BITS
        self._by_capture: list[int] = self._added.tolist()

    def move(self, connections: list[ConnectionFacts]) -> None:
        """The same connections, which are changed. Their events are moved at once: these are most of their frames."""
        events = bytearray().join([connection.events for connection in connections])
        frames = np.frombuffer(events, PACKED_EVENT)["frame"]
        frames += np.where(frames, self._added[frames >> FRAME_BITS], 0)
        end = 0
        for connection in connections:
            begin, end = end, end + len(connection.events)
            connection.events = bytes(events[begin:end])
            self._move(connection)

    def _move(self, connection: ConnectionFacts) -> None:
        """All but its events."""
        frame = self._frame
        if connection.spread:
            connection.spread = self._ranges(connection.spread)
        if connection.sightings:
            connection.sightings = self._ranges(connection.sightings)
        connection.first_frame, connection.last_frame = frame(connection.first_frame), frame(connection.last_frame)
        self._move_handshake(connection.handshake)
        for handshake in connection.renegotiations:
            self._move_handshake(handshake)
        self._move_lane(connection.from_client)
        self._move_lane(connection.from_server)
        if connection.alerts:
            connection.alerts = tuple([replace(a, frame=frame(a.frame)) for a in connection.alerts])
        if connection.anomalies:
            connection.anomalies = tuple(
                [replace(a, frame=frame(a.frame), other_frame=frame(a.other_frame)) for a in connection.anomalies]
            )

    def _frame(self, reference: int) -> int:
        return reference and reference + self._by_capture[reference >> FRAME_BITS]

    def _ranges(self, listed: tuple[FrameRange, ...]) -> tuple[FrameRange, ...]:
        return tuple((self._frame(first), self._frame(last)) for first, last in listed)

    def _move_handshake(self, handshake: HandshakeFacts) -> None:
        handshake.hello_frame = self._frame(handshake.hello_frame)
        handshake.answer_frame = self._frame(handshake.answer_frame)
        handshake.certificate_frame = self._frame(handshake.certificate_frame)
        handshake.key_exchange_frame = self._frame(handshake.key_exchange_frame)

    def _move_lane(self, lane: LaneFacts) -> None:
        fin, rst, tail = lane.fin, lane.rst, lane.tail
        if fin is not None:
            lane.fin = replace(fin, frame=self._frame(fin.frame))
        if rst is not None:
            lane.rst = replace(rst, frame=self._frame(rst.frame))
        if tail is not None:
            lane.tail = replace(tail, frame=self._frame(tail.frame), previous_frame=self._frame(tail.previous_frame))
