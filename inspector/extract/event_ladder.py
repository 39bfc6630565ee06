"""The events of a connection while it is followed, packed one by one as they come."""

from __future__ import annotations

from inspector import bounds
from inspector.facts import EVENT_BYTES, pack_event, pack_events, unpack_events
from inspector.tls.sink import Mark
from inspector.tracking.rungs import in_order

MOST_BYTES = bounds.EVENTS * EVENT_BYTES


class EventLadder:
    """``packed``: as ``facts.events`` has them, but with the lane in the place of the side. ``last_ns``: of the latest
    one. ``is_full``: some were not kept. ``is_orderly``: they came in the order of time.
    """

    __slots__ = ("is_full", "is_orderly", "last_ns", "packed")

    def __init__(self, packed: bytearray | None = None, last_ns: int = 0, *, is_orderly: bool = True) -> None:
        self.packed = bytearray() if packed is None else packed
        self.last_ns = last_ns
        self.is_full = False
        self.is_orderly = is_orderly

    def add(self, lane: int, letter: bytes, size: int, mark: Mark) -> bool:
        """Note a rung; False where there is no room for it."""
        if len(self.packed) >= MOST_BYTES:
            self.is_full = True
            return False
        ns = mark[2]
        self.packed += pack_event(ns, mark[1], size, letter, lane)
        if ns < self.last_ns:
            self.is_orderly = False
        self.last_ns = ns
        return True

    def in_turn(self) -> bytearray:
        """A copy of them in the order of time."""
        return bytearray(self.packed if self.is_orderly else pack_events(in_order(unpack_events(self.packed))))
