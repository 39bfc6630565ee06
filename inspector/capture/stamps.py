"""Time stamps of one capture put right where the order of its frames contradicts them.

A capture file is written in the order in which frames came. Its stamps may know less: a clock that is set back, stamps of whole seconds, none at all
(Simple Packet Blocks). There the order of the frames is believed: what comes behind a step back is moved on by as much, and frames of one coarse stamp
are told apart by a nanosecond each, so that whoever compares times compares the order. The other way round, a few frames that come late (several
receive queues, a merge) and files whose frames are thoroughly mixed have good stamps and a bad order: their stamps stay.
"""

from __future__ import annotations

import numpy as np

from inspector.capture.frames import I64, CaptureInfo, FrameBatch

MS = 1_000_000
STEP_NS = 100 * MS
"""Stamps that go back by less are frames that came late."""

LATE_NS = 250 * MS
"""Receive queues are emptied within this: so late may a few frames be."""

DAMAGED_NS = 86_400 * 1_000 * MS
"""A stamp so far ahead of what follows may be damaged."""

FEW = 32
"""Frames that may be late together."""

MIXED, MIXED_SHARE = 3, 10
"""Where stamps go back more often than this in one batch, and at more than every tenth frame, the file is not in the order of time."""

TICKS = (1_000 * MS, 100 * MS, 10 * MS, MS)
"""What stamps are looked at for being whole multiples of."""

STEPS = 64
"""Steps that are kept of a capture."""


class Stamps:
    """Goes through the batches of one capture in the order of the file, and notes in ``info`` what it found: ``tick_ns`` and ``steps``."""

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
        self._raw = int(raw[-1])
        high = int(batch.time_ns.max())
        self._high = high if self._high is None else max(high, self._high)
        if self._info.steps:
            self._first = int(batch.time_ns.min()) if self._first is None else self._first
            self._info.first_ns, self._info.last_ns = self._first, self._high
        elif self._first is None:
            self._first = int(batch.time_ns.min())

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
        """Times that go on where the clock was set back. ``back``: the rows of frames whose stamps lie well before those of the frames before them."""
        time_ns = batch.time_ns + self._shift
        for row in back.tolist():
            before = self._high if not row else max(int(time_ns[:row].max()), self._high if self._high is not None else 0)
            if before is None or (step := before - int(time_ns[row])) < STEP_NS:
                continue
            if self._came_late(time_ns, row, before, step) or (step > DAMAGED_NS and self._were_wrong(time_ns, row)):
                continue
            time_ns[row:] += step
            self._shift += step
            if len(self._info.steps) < STEPS:
                self._info.steps.append((int(batch.number[row]), step))
        return time_ns

    @staticmethod
    def _came_late(time_ns: I64, row: int, before: int, step: int) -> bool:
        """A few frames that were held up: soon the stamps are where they were, and at once."""
        behind = time_ns[row : row + FEW]
        recovered = int(np.argmax(behind >= before))
        return step < LATE_NS and recovered > 0 and int(behind[recovered] - behind[recovered - 1]) * 2 >= step

    @staticmethod
    def _were_wrong(time_ns: I64, row: int) -> bool:
        """One or two stamps before this one were damaged, those before them not: the damaged ones are replaced."""
        for wrong in (1, 2):
            if row > wrong and int(time_ns[: row - wrong].max()) <= int(time_ns[row]):
                time_ns[row - wrong : row] = time_ns[row]
                return True
        return False

    def _apart(self, batch: FrameBatch, ties: np.ndarray) -> None:
        """A nanosecond between frames of one stamp."""
        rows = np.arange(len(ties))
        started = np.maximum.accumulate(np.where(ties, -1, rows))
        behind = np.where(started < 0, rows + self._ties + (self._raw >= 0), rows - started)
        batch.time_ns = batch.time_ns + np.minimum(behind, MS - 1)
        self._ties = int(behind[-1])
