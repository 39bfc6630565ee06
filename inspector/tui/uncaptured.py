"""What a chart over time cannot know: stretches that nobody captured, or that were forgotten. Knows no Textual."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inspector.facts import CaptureFacts
from inspector.live.sources.source import Source
from inspector.reports.lines import Kind

GLYPH, WORDS = "·", "not known"
"""What stands where nothing was seen because nobody looked, and what it means."""

KIND: Kind = "dim"
MOST = 200
"""Stretches that are remembered of a live capture; the oldest two are one where there are more."""


class Stretch(NamedTuple):
    """From one time to another (ns)."""

    first: int
    last: int


class UnseenTimes:
    """Stretches in which a live capture lost packets, or had no source."""

    def __init__(self) -> None:
        self.stretches: tuple[Stretch, ...] = ()
        self._dropped = 0
        self._looked_ns = 0

    def look(self, now_ns: int, dropped: int, sources: Sequence[Source]) -> None:
        """A second has passed. ``now_ns``: packet time; ``dropped``: packets so far."""
        is_blind = any(source.state in ("lost", "waiting") for source in sources)
        before, self._looked_ns = self._looked_ns or now_ns, now_ns
        if (is_blind or dropped > self._dropped) and now_ns > before:
            self.stretches = _together([*self.stretches, Stretch(before, now_ns)])
        self._dropped = dropped


def _together(stretches: list[Stretch]) -> tuple[Stretch, ...]:
    """Those that touch as one."""
    if len(stretches) > 1 and stretches[-2].last >= stretches[-1].first:
        stretches[-2:] = [Stretch(stretches[-2].first, stretches[-1].last)]
    if len(stretches) > MOST:
        stretches[:2] = [Stretch(stretches[0].first, stretches[1].last)]
    return tuple(stretches)


def between(captures: Iterable[CaptureFacts]) -> list[Stretch]:
    """What lies between captures, and in none of them."""
    covered = sorted((c.first_ns, c.last_ns) for c in captures if c.first_ns is not None and c.last_ns is not None)
    stretches: list[Stretch] = []
    end = covered[0][1] if covered else 0
    for first, last in covered[1:]:
        if first > end:
            stretches.append(Stretch(end, first))
        end = max(end, last)
    return stretches


def unknown_bars(stretches: Iterable[Stretch], low: int, step: int, bars: int) -> npt.NDArray[np.bool_]:
    """For each bar of a chart, that begins at ``low`` and has bars of ``step`` ns, whether it lies in a stretch, at
    least with a half.
    """
    unknown = np.zeros(bars, np.bool_)
    for first, last in stretches:
        start, end = round((first - low) / step), round((last - low) / step)
        unknown[max(start, 0) : max(end, 0)] = True
    return unknown
