"""Time stamps of one capture put right where the order of its frames contradicts them.

A capture file is written in the order in which frames came. Its stamps may know less: a clock that is set back, stamps
of whole seconds, none at all (Simple Packet Blocks). There the order of the frames is believed: what comes behind a
step back is moved on by as much, and frames of one coarse stamp are told apart by a nanosecond each, so that whoever
compares times compares the order. The other way round, a few frames that come late (several receive queues, a merge)
and files whose frames are thoroughly mixed have good stamps and a bad order: their stamps stay.
"""

from __future__ import annotations

import numpy as np

from inspector import bounds
from inspector.capture.frames import I64, CaptureInfo, FrameBatch
from inspector.errors.captures import StampsTooLate

MS = 1_000_000
STEP_NS = 100 * MS
"""Stamps that go back by less are frames that came late."""

LATE_NS = 250 * MS
"""Receive queues are emptied within this: so late may a few frames be."""

DAMAGED_NS = 86_400 * 1_000 * MS
"""A stamp so far ahead of what follows may be damaged."""

MOST_NS = 1 << 61
"""Steps of a clock that was never set right."""

FEW = 32
"""Frames that may be late together."""

MIXED, MIXED_SHARE = 3, 10
"""Where stamps go back more often than this in one batch, and at more than every tenth frame, the file is not in the
order of time.
"""

TICKS = (1_000 * MS, 100 * MS, 10 * MS, MS)
"""What stamps are looked at for being whole multiples of."""

STEPS = 64
"""Steps that are kept of a capture."""


class Stamps:
    """Goes through the batches of one capture in the order of the file, and notes in ``info`` what it found:
    ``tick_ns`` and ``steps``.
    """

    def __init__(self, info: CaptureInfo) -> None:
        self._info = info
        self._shift = 0
        self._high: int | None = None
        """The latest stamp so far, put right."""
        self._raw = -1
        self._ties = 0
        """How many frames in a row had the last raw stamp."""
        self._tick = TICKS[0]
        """The largest of TICKS that every stamp so far is a multiple of; 0 for none."""
        self._first: int | None = None

    def put_right(self, batch: FrameBatch) -> None:
        """Replace the times of a batch where they cannot be right."""
        if not len(batch):
            return
        raw = batch.time_ns
        gaps = np.diff(raw, prepend=self._raw if self._raw >= 0 else raw[0])
        ties = gaps == 0
        is_coarse = self._is_coarse(raw, gaps, ties)
        back = np.flatnonzero(gaps <= -STEP_NS)
        if len(back) and np.count_nonzero(gaps < 0) <= max(MIXED, len(raw) // MIXED_SHARE):
            batch.time_ns = self._stepped(batch, back)
        elif self._shift:
            batch.time_ns = raw + self._shift
        if is_coarse:
            self._apart(batch, ties)
        else:
            self._ties = 0
        self._info.is_restamped |= is_coarse or batch.time_ns is not raw
        self._raw = int(raw[-1])
        high = int(batch.time_ns.max())
        if high > bounds.LATEST_NS:
            high = self._cut(batch)
        self._high = high if self._high is None else max(high, self._high)
        if self._info.steps:
            self._first = int(batch.time_ns.min()) if self._first is None else self._first
            self._info.first_ns, self._info.last_ns = self._first, self._high
        elif self._first is None:
            self._first = int(batch.time_ns.min())

    def _cut(self, batch: FrameBatch) -> int:
        """Times that are later than any is kept become the latest, which is returned."""
        info, latest = self._info, bounds.LATEST_NS
        first = int(batch.number[np.argmax(batch.time_ns > latest)])
        batch.time_ns = np.minimum(batch.time_ns, latest)
        info.damage = info.damage or StampsTooLate(first)
        info.is_restamped = True
        info.first_ns = None if info.first_ns is None else min(info.first_ns, latest)
        info.last_ns = None if info.last_ns is None else min(info.last_ns, latest)
        return latest

    def _is_coarse(self, raw: I64, gaps: I64, ties: np.ndarray) -> bool:
        """Whether stamps are of whole milliseconds or more, or of many frames at once."""
        while self._tick and (raw % self._tick).any():
            larger = TICKS.index(self._tick) + 1
            self._tick = TICKS[larger] if larger < len(TICKS) else 0
        tied = int(np.count_nonzero(ties)) - (self._raw < 0)
        tick = self._tick
        if not tick and tied * 2 > len(raw):
            steps = gaps[gaps > 0]
            tick = int(np.median(steps)) if len(steps) else TICKS[0]
        if tick < MS:
            return False
        if tied > 0:
            self._info.tick_ns = max(self._info.tick_ns, tick)
        return True

    def _stepped(self, batch: FrameBatch, back: I64) -> I64:
        """Times that go on where the clock was set back. ``back``: the rows of frames whose stamps lie well before
        those of the frames before them.
        """
        raw = batch.time_ns.copy()
        starts = back if not back[0] else np.append(0, back)
        before, high, shifts = self._high, self._high, []
        for index, (start, top) in enumerate(
            zip(starts.tolist(), np.maximum.reduceat(raw, starts).tolist(), strict=True)
        ):
            now = int(raw[start]) + self._shift
            if high is not None and STEP_NS <= (step := high - now) < MOST_NS:
                good = (
                    self._damaged(raw, int(starts[index - 1]) if index else start, start, before)
                    if step > DAMAGED_NS
                    else 0
                )
                late = self._came_late(raw[start : start + FEW] + self._shift, high, step)
                if good:
                    raw[start - good : start] = raw[start]
                elif late and step > DAMAGED_NS:
                    raw[start : start + late] = high - self._shift
                elif not late or step >= LATE_NS:
                    self._shift += step
                    if len(self._info.steps) < STEPS:
                        self._info.steps.append((int(batch.number[start]), step))
                high = now if good else high
            shifts.append(self._shift)
            before, high = high, max(top + self._shift, high if high is not None else top + self._shift)
        return raw + np.repeat(np.array(shifts, np.int64), np.diff(np.append(starts, len(raw))))

    @staticmethod
    def _came_late(behind: I64, high: int, step: int) -> int:
        """How many frames were held up: soon the stamps are where they were, and at once; 0 where they are not.
        ``behind``: times of the next frames.
        """
        recovered = int(np.argmax(behind >= high))
        rise = int(behind[recovered]) - int(behind[recovered - 1])
        return recovered if recovered and rise * 2 >= step else 0

    def _damaged(self, raw: I64, first: int, start: int, before: int | None) -> int:
        """How many stamps, one or two, before a row are damaged: without them time does not go back there. ``before``:
        the latest time before row ``first``.
        """
        for wrong in (1, 2):
            good = raw[first : start - wrong]
            if (
                start - wrong > first
                and int(good.max()) <= raw[start]
                and (before is None or before - self._shift <= raw[start])
            ):
                return wrong
        return 0

    def _apart(self, batch: FrameBatch, ties: np.ndarray) -> None:
        """A nanosecond between frames of one stamp."""
        rows = np.arange(len(ties))
        started = np.maximum.accumulate(np.where(ties, -1, rows))
        behind = np.where(started < 0, rows + self._ties + (self._raw >= 0), rows - started)
        batch.time_ns = batch.time_ns + np.minimum(behind, MS - 1)
        self._ties = int(behind[-1])
