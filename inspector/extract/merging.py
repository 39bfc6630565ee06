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


def merge(parts: list[Facts]) -> Facts:
    """Several extractions as one, their captures in the order of the first frame, of those at one time in that of
    their hosts and names; frame references follow, also in the parts, for there is no memory for both. Many
    connections go out of core, and leave the parts. Where parts of several vantage points meet, each says of which it
    is.
    """
    if len(parts) == 1:
        return parts[0]
    order = sorted(
        (
            (part_index, index, capture)
            for part_index, part in enumerate(parts)
            for index, capture in enumerate(part.captures)
        ),
        key=lambda item: (item[2].first_ns is None, item[2].first_ns or 0, item[2].host, item[2].path),
    )
    indexes = {(part_index, index): new for new, (part_index, index, _) in enumerate(order)}
    whole = Facts(
        captures=[_capture_moved(capture, indexes, part) for part, _, capture in order],
        connections=_room_for(parts),
    )
    if len({capture.host or capture.extracted_on for capture in whole.captures}) > 1:
        whole.captures = [replace(capture, host=capture.host or capture.extracted_on) for capture in whole.captures]
    for part_index, part in enumerate(parts):
        moved = {index: indexes[part_index, index] for index in range(len(part.captures))}
        if any(a != b for a, b in moved.items()):
            moving, packed = _Moving(moved), part.connections
            for first in range(0, len(packed), AT_ONCE):
                some = [*part.unpack_all(packed[first : first + AT_ONCE])]
                moving.move(some)
                packed[first : first + AT_ONCE] = map(part.pack, some)
        absorb(whole, part)
        if isinstance(whole.connections, SpooledConnections):
            part.connections = []
    return whole


def _room_for(parts: Sequence[Facts]) -> MutableSequence[bytes]:
    """For the connections of some parts: out of core where they are many, or where those of a part are."""
    for part in parts:
        if isinstance(part.connections, SpooledConnections):
            return SpooledConnections(spool=part.connections.spool)
    return SpooledConnections() if sum(len(part.connections) for part in parts) > bounds.CORE_CONNECTIONS else []


def _capture_moved(capture: CaptureFacts, indexes: dict[tuple[int, int], int], part: int) -> CaptureFacts:
    if not capture.clocks:
        return capture
    return replace(
        capture, clocks=tuple(clock._replace(other=indexes.get((part, clock.other), 0)) for clock in capture.clocks)
    )


class _Moving:
    """Moves connections to where their captures have new indexes."""

    def __init__(self, captures: dict[int, int]) -> None:
        self._added = np.array([new - old << FRAME_BITS for old, new in sorted(captures.items())], np.int64)
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
