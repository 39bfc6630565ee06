"""Of how much of a stream its receiver says to have it, frame by frame, segments that carry nothing else among them.

An acknowledgement of what nobody sent proves nothing: somebody else may have written it, or it is of another connection
between the same ports. So it counts only as far as bytes were seen before it came; those that the capture lacks are
covered once it shows later ones. Before the first bytes of a stream, or its SYN, nothing counts: a FIN alone does not
tell where the stream lies.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from inspector.capture.frames import I64, Rows
from inspector.capture.references import FRAME_BITS
from inspector.wire.sequence_numbers import distance

PLAUSIBLE_BYTES = 1 << 24
"""What lies further behind the first byte of a stream is none of its first bytes."""

APART = 1 << 33
"""Between the numbers of two flows, so that one never reaches into the other."""


class FlowColumns(NamedTuple):
    """All frames of some flows, one flow behind the other, each in the order of time; int64. ``flow``: ascending;
    ``lane``: whose frame it is; ``behind``: the sequence number behind what it holds, -1 where it holds nothing;
    ``number``: what it acknowledges, -1 where nothing; ``places``: bool, whether it holds bytes or a SYN.
    """

    flow: I64
    lane: I64
    behind: I64
    number: I64
    places: Rows


class ReceivedBytes(NamedTuple):
    """Of each frame; int64. ``sent``: so many bytes of a stream were seen by then; ``acknowledged``: so many of them
    the other side has said to have. -1 for none.
    """

    sent: I64
    acknowledged: I64


def received_bytes(frames: FlowColumns, lane: int, begin: I64, before: ReceivedBytes) -> ReceivedBytes:
    """``lane``: whose stream. ``begin``: of each flow the sequence number of its first byte. ``before``: of each flow
    what was known before its first frame here.
    """
    flow, is_sender = frames.flow, frames.lane == lane
    fresh = np.flatnonzero(np.diff(flow, prepend=-1))
    placed = (is_sender & frames.places & (frames.behind >= 0)).astype(np.int64)
    placed[fresh] |= before.sent >= 0
    sent = _lengths(begin[flow], frames.behind, is_sender & (_highest_so_far(flow, placed) > 0))
    sent[fresh] = np.maximum(sent[fresh], before.sent)
    sent = _highest_so_far(flow, sent)
    acknowledged = _lengths(begin[flow], frames.number, ~is_sender)
    acknowledged[acknowledged > sent] = -1
    acknowledged[fresh] = np.maximum(acknowledged[fresh], before.acknowledged)
    return ReceivedBytes(sent, _highest_so_far(flow, acknowledged))


def _lengths(begin: I64, numbers: I64, wanted: I64) -> I64:
    lengths: I64 = distance(begin, numbers)
    lengths[~wanted | (numbers < 0) | (lengths < 0) | (lengths > PLAUSIBLE_BYTES)] = -1
    return lengths


def _highest_so_far(flow: I64, values: I64) -> I64:
    """In each flow by itself."""
    highest: I64 = np.maximum.accumulate(values + flow * APART) - flow * APART
    return highest


class Acknowledgements:
    """Of one flow in one batch. ``frames``: references of all its frames, in the order of time."""

    def __init__(self, frames: I64, columns: FlowColumns, time_ns: I64) -> None:
        self._frames, self._columns, self._time_ns = frames, columns, time_ns
        self._received: dict[int, tuple[object, I64]] = {}
        self._others: tuple[int, I64] | None = None

    def before(self, frame: int, lane: int, begin: int, known: tuple[int, int], since: int) -> int:
        """How many bytes of a lane were acknowledged before a frame came, a reference; -1 where none were. ``begin``:
        the sequence number of the first. ``known``: how many were sent and acknowledged before the batch. ``since``:
        what came before that time is of another connection. Each frame is looked at once for a lane, as long as the
        frame alone is another one.
        """
        asked_for = begin, known, since
        if lane not in self._received or self._received[lane][0] != asked_for:
            columns = self._columns
            is_earlier = self._time_ns < since
            ours = columns._replace(
                behind=np.where(is_earlier, -1, columns.behind), number=np.where(is_earlier, -1, columns.number)
            )
            before = ReceivedBytes(*(np.array([count], np.int64) for count in known))
            received = received_bytes(ours, lane, np.array([begin], np.int64), before)
            self._received[lane] = asked_for, received.acknowledged
        row = self._row_of.get(frame, 0)
        return int(self._received[lane][1][row - 1]) if row else known[1]

    def lie_in_one(self, first: int, last: int) -> bool:
        """Whether all frames from one to another, references, are of the capture of the first; which may stand before
        them, as the other behind them.
        """
        row_of, elsewhere = self._row_of, self._elsewhere(first >> FRAME_BITS)
        begin, end = row_of.get(first, 0), row_of.get(last, len(self._frames) - 1) + 1
        return int(np.searchsorted(elsewhere, begin)) == int(np.searchsorted(elsewhere, end))

    def _elsewhere(self, capture: int) -> I64:
        """Which frames are of other captures."""
        if self._others is None or self._others[0] != capture:
            self._others = capture, np.flatnonzero(self._frames >> FRAME_BITS != capture)
        return self._others[1]

    @cached_property
    def _row_of(self) -> dict[int, int]:
        return {frame: row for row, frame in enumerate(self._frames.tolist())}
