"""The clocks of a live capture, in one place, so that what waits for an hour can be tried in a moment."""

from __future__ import annotations

from typing import Protocol


class LoopClock(Protocol):
    """The functions that the standard module ``time`` has."""

    def monotonic(self) -> float:
        """Seconds, from anywhere, that only count."""

    def monotonic_ns(self) -> int:
        """The same in nanoseconds."""

    def time_ns(self) -> int:
        """Nanoseconds since the epoch, as this machine's clock is set."""
