"""Where the frames of one flow lie, when they lie in several captures."""

from __future__ import annotations

from collections.abc import Iterable

from inspector.capture.references import FRAME_BITS, FrameRange


class Spread:
    """``again``: captures in which the flow's SYN was seen once more, so that they hold copies."""

    __slots__ = ("_by_capture", "again")

    def __init__(self, *references: int) -> None:
        """``references``: of frames that are known already."""
        self._by_capture: dict[int, FrameRange] = {}
        self.again: set[int] = set()
        self.widened(references)

    def widened(self, references: Iterable[int]) -> Spread:
        """More frames are there; gives itself."""
        for reference in references:
            low, high = self._by_capture.get(reference >> FRAME_BITS, (reference, reference))
            self._by_capture[reference >> FRAME_BITS] = (min(low, reference), max(high, reference))
        return self

    def ranges(self) -> tuple[FrameRange, ...]:
        """All of them by capture; nothing where it is but one."""
        return tuple(self._by_capture[c] for c in sorted(self._by_capture)) if len(self._by_capture) > 1 else ()

    def sightings(self) -> tuple[FrameRange, ...]:
        """Those in captures that hold copies."""
        return tuple(self._by_capture[c] for c in sorted(self.again) if c in self._by_capture)
