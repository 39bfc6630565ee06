"""What could not be read of a capture's frames: those that were not opened, by the layer at which the way ended, and
payload that was cut away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct, field

from inspector import bounds
from inspector.wire.encapsulations import Space
from inspector.wire.fragments import Waiting
from inspector.wire.segments import SegmentBatch
from inspector.wire.tunnels import Stop

REST = Stop((Space.OTHER, 0), "unknown")


class Losses(Struct):
    """``payload``: bytes of TCP on the wire; ``clipped``: those of them that the frames do not hold."""

    stops: Counter[Stop] = field(default_factory=Counter)
    payload: int = 0
    clipped: int = 0

    def add(self, segments: SegmentBatch) -> None:
        """Of one batch."""
        self._stop(segments.stops)
        length = int(segments.length.sum())
        self.payload += length
        self.clipped += length - int(segments.captured.sum())

    def fragments(self, waiting: Iterable[Waiting]) -> None:
        """Fragments that never became whole."""
        for fragment in waiting:
            self._stop(Counter({Stop(fragment.layer, "incomplete"): fragment.frames}))

    def absorb(self, other: Losses) -> None:
        """Of another shard of the same capture."""
        self._stop(other.stops)
        self.payload += other.payload
        self.clipped += other.clipped

    def _stop(self, more: Counter[Stop]) -> None:
        for stop, frames in more.items():
            self.stops[stop if stop in self.stops or len(self.stops) < bounds.UNOPENED else REST] += frames

    @property
    def frames(self) -> int:
        """How many were not opened."""
        return self.stops.total()

    def most_frequent(self) -> list[tuple[Stop, int]]:
        """Why frames were not opened, and how many, the most frequent first."""
        return sorted(self.stops.items(), key=lambda item: (-item[1], item[0].layer, item[0].why, item[0].ends))
