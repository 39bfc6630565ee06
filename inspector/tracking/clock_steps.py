"""A log's clock as it was while the log was written: as a rule one offset from the capture's; where it was set in
between, one for each segment of the log.

Local time moves by an hour twice a year, and clocks are set. Then no one offset fits, but each of a few fits a run of
the log's lines. The first offset is the one at which most entries fit; another is looked for among those that do not.
Which line belongs to which is the cheapest way through the log (Viterbi's), where an entry that does not fit costs one,
and a change of the offset as much as several of them. The segments must follow each other on the wire too: lines of an
earlier day that fit by their rhythm do not.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

from inspector.tracking.log_clocks import MILLISECOND_NS, Offset, Times, early, offsets

LEAST = 3
"""Entries that must fit an offset of their own; a change of it costs as much."""

MOST = 4
"""Offsets of one log."""

TAIL = 0.05
"""So much of a segment may lie beside the order: HAProxy's lines stand in the order of the ends of connections."""

K = TypeVar("K")


class Segment(NamedTuple):
    """From the entry with the index ``first`` on the clock had this offset."""

    first: int
    offset: Offset


class LogClock(NamedTuple):
    """``offsets``: that of the whole log; several where they fit equally well, none where none does. ``segments``: two
    or more where it was set, else empty.
    """

    offsets: list[Offset]
    segments: list[Segment]

    @property
    def is_certain(self) -> bool:
        """Whether it is known for every line."""
        return bool(self.segments) or (len(self.offsets) == 1 and not self.offsets[0].is_weak)

    def at(self, line: int) -> list[Offset]:
        """The offsets that an entry's time may have."""
        if not self.segments:
            return self.offsets
        return [self.segments[max(bisect_right(self.segments, line, key=lambda segment: segment.first) - 1, 0)].offset]


def clock_of(
    entries: Sequence[tuple[int, K]],
    wire: Mapping[K, list[int]],
    early_ns: int,
    late_ns: int,
    has_zone: bool,
    resolution_ns: int = MILLISECOND_NS,
) -> LogClock:
    """The clock of a log. ``entries``: times and which moments they may name, in the order of its lines; ``wire``: the
    sorted moments by that; the rest as in ``log_clocks.offsets``.
    """
    before_ns = early(early_ns, resolution_ns)

    def best(some: Sequence[tuple[int, K]]) -> list[Offset]:
        times: dict[K, list[int]] = {}
        for ns, key in some:
            times.setdefault(key, []).append(ns)
        return offsets(
            [Times(sorted(ns), wire[key]) for key, ns in times.items()], early_ns, late_ns, has_zone, resolution_ns
        )

    def moment(entry: tuple[int, K], offset: Offset) -> int | None:
        low, high = offset.window(entry[0], before_ns, late_ns)
        moments = wire[entry[1]]
        low_index = bisect_left(moments, low)
        return moments[low_index] if low_index < len(moments) and moments[low_index] <= high else None

    offsets_tried = best(entries)
    candidates = offsets_tried[:MOST]
    if not candidates or candidates[0].is_weak:
        return LogClock(offsets_tried, [])
    rest = list(entries)
    while len(candidates) < MOST:
        rest = [entry for entry in rest if all(moment(entry, offset) is None for offset in candidates)]
        more = best(rest) if len(rest) >= LEAST else []
        if len(more) != 1 or more[0].is_weak or more[0].matched < LEAST:
            break
        candidates.append(more[0])
    if len(candidates) < 2:
        return LogClock(offsets_tried, [])
    moments = [[moment(entry, offset) for offset in candidates] for entry in entries]
    segments = _segments(moments, candidates)
    return LogClock(offsets_tried, segments if _follow(segments, moments, candidates) else [])


def _segments(moments: list[list[int | None]], candidates: list[Offset]) -> list[Segment]:
    """The cheapest way through the log, as runs of one offset."""
    count = len(candidates)
    costs = [0.0] * count
    ways: list[list[int]] = []
    for row in moments:
        cheapest = min(range(count), key=costs.__getitem__)
        way = [state if costs[state] <= costs[cheapest] + LEAST else cheapest for state in range(count)]
        costs = [min(costs[state], costs[cheapest] + LEAST) + (row[state] is None) for state in range(count)]
        ways.append(way)
    state = min(range(count), key=costs.__getitem__)
    states = [state]
    for way in reversed(ways[1:]):
        state = way[state]
        states.append(state)
    states.reverse()
    return [
        Segment(index, candidates[state])
        for index, state in enumerate(states)
        if not index or states[index - 1] != state
    ]


def _follow(segments: list[Segment], moments: list[list[int | None]], candidates: list[Offset]) -> bool:
    """Whether there are several segments, each with entries that fit, whose moments come one segment
    after the other.
    """
    if len(segments) < 2:
        return False
    last: int | None = None
    ends = [segment.first for segment in segments[1:]] + [len(moments)]
    for segment, end in zip(segments, ends, strict=True):
        state = candidates.index(segment.offset)
        times = sorted(at for row in moments[segment.first : end] if (at := row[state]) is not None)
        if len(times) < LEAST or (last is not None and times[int(TAIL * len(times))] < last):
            return False
        last = times[-1 - int(TAIL * len(times))]
    return True
