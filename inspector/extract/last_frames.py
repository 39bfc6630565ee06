"""The last frames of a story, kept as they are: the next one may begin before their end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from inspector import bounds
from inspector.capture.frames import FrameBatch

Window = list[FrameBatch]
"""As ``Story.windows``."""

LAST_NS = 1_000_000_000
"""So long before the last frame."""


class LastFrames:
    """``windows``: copies of the last ones, in order."""

    def __init__(self) -> None:
        self.windows: list[Window] = []

    def passed(self, window: Window) -> Iterator[Window]:
        """What is none of them any more, now that a window stands behind it. The window may be read into once more."""
        begin_ns = _last_ns(window) - LAST_NS
        room = bounds.LAST_FRAMES_BYTES - _bytes(window)
        while self.windows and (_last_ns(self.windows[0]) <= begin_ns or sum(map(_bytes, self.windows)) > room):
            yield self.windows.pop(0)
        self.windows.append([batch.copied_from(0) for batch in window])

    def cut(self) -> Window:
        """What of the first window is none of them: it is taken out. By time, in which whoever reads a window looks at
        its frames, also where they stand in the file in another order.
        """
        if not self.windows:
            return []
        begin_ns = max(map(_last_ns, self.windows)) - LAST_NS
        first = [(batch, batch.time_ns > begin_ns) for batch in self.windows[0]]
        self.windows[0] = [batch.select(is_late).copied_from(0) for batch, is_late in first if is_late.any()]
        self.windows = [window for window in self.windows if window]
        return [batch.select(~is_late) for batch, is_late in first if not is_late.all()]

    @property
    def captures(self) -> set[int]:
        """Of which captures they are."""
        return {batch.capture for window in self.windows for batch in window}


def by_capture(windows: Sequence[Window]) -> Mapping[int, Sequence[FrameBatch]]:
    """The batches of each capture, in order."""
    batches: dict[int, list[FrameBatch]] = {}
    for window in windows:
        for batch in window:
            batches.setdefault(batch.capture, []).append(batch)
    return batches


def _last_ns(window: Window) -> int:
    return max(int(batch.time_ns.max()) for batch in window)


def _bytes(window: Window) -> int:
    return sum(int(batch.captured.sum()) for batch in window)
