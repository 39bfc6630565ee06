"""The clocks of a live capture, in one place, so that what waits for an hour can be tried in a moment: this machine's,
and that of the packets, which may be another one's.
"""

from __future__ import annotations

from typing import Protocol

from inspector.text.times import SECOND_NS

STEP_NS = SECOND_NS // 2
"""A clock that moves so much against the one that only counts was set."""


class LoopClock(Protocol):
    """The functions that the standard module ``time`` has."""

    def monotonic(self) -> float:
        """Seconds, from anywhere, that only count."""

    def monotonic_ns(self) -> int:
        """The same in nanoseconds."""

    def time_ns(self) -> int:
        """Nanoseconds since the epoch, as this machine's clock is set."""


class PacketClock:
    """Packet time. It goes on where no packets come."""

    def __init__(self, clock: LoopClock) -> None:
        self._clock = clock
        self._newest_ns = 0
        self._came_at = clock.monotonic_ns()
        self._offset = self._offset_ns()

    @property
    def now_ns(self) -> int:
        """Of the newest packet and the time since it came; this machine's where none came yet."""
        if not self._newest_ns:
            return self._clock.time_ns()
        return self._newest_ns + self._clock.monotonic_ns() - self._came_at

    def advance(self, newest_ns: int) -> int:
        """Packets came, of which this is the newest; how far it lies behind this machine's clock, in nanoseconds."""
        self._newest_ns, self._came_at = newest_ns, self._clock.monotonic_ns()
        return max(self._clock.time_ns() - newest_ns, 0)

    def step_ns(self) -> int:
        """How far this machine's clock was set since this was asked last, forward or (negative) back; 0 where it was
        not.
        """
        offset, before = self._offset_ns(), self._offset
        if offset is None:
            return 0
        self._offset = offset
        return offset - before if before is not None and abs(offset - before) > STEP_NS else 0

    def _offset_ns(self) -> int | None:
        """By how much this machine's clock is ahead of the one that only counts; None where this process was held up
        while it looked at one after the other.
        """
        before, now = self._clock.monotonic_ns(), self._clock.time_ns()
        return now - before if self._clock.monotonic_ns() - before < STEP_NS // 2 else None
