"""Segments of a flow joined, so that Python is woken once for many of them.

Segments of one direction whose sequence numbers follow each other, all bytes of which were captured, become one *span*:
reading it is one step, and most of its bytes nobody looks at. A span also ends where something may begin anew
(``grouping.Opens``), so that this is not passed over.

A *lane* is a direction of a flow: 0 from its lower end to the higher, 1 back. A *run* is the columns of a batch, which
spans of all its flows share: a span is a tuple of numbers with rows of its run, for a tuple is the cheapest thing that
Python makes. Most rows of a run nobody asks for, so its columns stay what they are and are looked into as memoryviews.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from msgspec import Struct

from inspector.capture.frames import I64
from inspector.wire.acknowledgements import Acknowledgements
from inspector.wire.addresses import Key
from inspector.wire.grouping import Grouped

HEAD_BYTES = 256
"""Of a segment: more than it takes to tell how it begins."""

Span = tuple[int, int, int, int, int, int, int, int, int]
"""First row, end row, lane, sequence number, ``CONTROL`` bits, flags (of the last segment), payload bytes on the wire,
payload bytes captured, acknowledgement number (of the last segment).
"""


class Run(Struct, eq=False):
    """Columns of a sorted batch, of which Python looks at some rows. ``before``: payload bytes of all rows before this
    one. ``frame``: the capture's frame reference base. ``extent``: see ``ParsedExtent``.
    """

    data: memoryview
    start: Sequence[int]
    captured: Sequence[int]
    length: Sequence[int]
    before: Sequence[int]
    number: Sequence[int]
    time_ns: Sequence[int]
    frame: int
    extent: list[int] | None

    def head(self, row: int) -> bytes:
        """The first bytes that a segment holds."""
        start = self.start[row]
        return self.data[start : start + min(self.captured[row], HEAD_BYTES)].tobytes()


class FlowRuns(Struct, frozen=True, gc=False):
    """The spans of one flow in one batch. ``last_ns``, ``last_number``: of its last frame, empty acknowledgements
    included. ``spread``: where the batch is of several captures, the lowest and highest frame references in each;
    ``is_mixed``: where not, its frames stand in the file in another order than that of time.
    """

    key: Key
    spans: list[Span]
    run: Run
    last_ns: int
    last_number: int
    spread: Sequence[int] = ()
    is_mixed: bool = False
    grouped: Grouped | None = None
    index: int = 0

    def frames(self, first: int, end: int | None = None) -> Sequence[tuple[int, int, int]]:
        """Time, reference and lane of its frames from row ``first`` of the run on, those that carry nothing among them.
        ``end``: the reference of the first one that is not wanted.
        """
        if self.grouped is None:
            return ()
        return self.grouped.frames(self.index, self.run.frame + self.run.number[first], end)

    def sides(self) -> tuple[bool, bool]:
        """Of which lanes there is any frame in this batch."""
        return self.grouped.sides(self.index) if self.grouped is not None else (False, False)

    def acknowledgements(self) -> Acknowledgements | None:
        """All that its sides acknowledged, where that is known."""
        return self.grouped.acknowledgements(self.index) if self.grouped is not None else None


def runs_of(grouped: Grouped, wanted: I64) -> Iterator[FlowRuns]:
    """Some flows as spans: of each its spans in the order of time. ``wanted``: which, ascending."""
    if not len(wanted):
        return
    rows, counts = grouped.rows_of(wanted)
    firsts = np.flatnonzero(grouped.begins[rows])
    run, spans = _run(grouped, rows, firsts)
    edges = np.searchsorted(firsts, np.append(0, np.cumsum(counts))).tolist()
    flows = (grouped.low, grouped.high, grouped.last_ns, grouped.last_number)
    for index, first, last, low, high, last_ns, last_number in zip(
        wanted.tolist(), edges, edges[1:], *(column[wanted].tolist() for column in flows), strict=False
    ):
        yield FlowRuns(
            (low, high),
            spans[first:last],
            run,
            last_ns,
            last_number,
            spread=grouped.spread[index] if grouped.spread else (),
            is_mixed=index in grouped.mixed,
            grouped=grouped,
            index=index,
        )


def _run(grouped: Grouped, rows: slice | I64, firsts: I64) -> tuple[Run, list[Span]]:
    """Some rows, and the spans in them. ``firsts``: which of these rows begin one."""
    length, captured = grouped.length[rows], grouped.captured[rows]
    before, captured_before = _sums_before(length), _sums_before(captured)
    looked = [0] * len(length) if grouped.extent is not None else None
    if grouped.extent is not None and looked is not None:
        grouped.extent.note(rows, looked)
    run = Run(
        data=grouped.data.data,
        start=grouped.start[rows].data,
        captured=captured.data,
        length=length.data,
        before=before.data,
        number=grouped.number[rows].data,
        time_ns=grouped.time_ns[rows].data,
        frame=grouped.frame,
        extent=looked,
    )
    ends = np.append(firsts, len(length))[1:]
    columns = (
        firsts,
        ends,
        *(column[rows][firsts] for column in (grouped.lane, grouped.seq, grouped.control)),
        grouped.flags[rows][ends - 1],
        before[ends] - before[firsts],
        captured_before[ends] - captured_before[firsts],
        grouped.ack[rows][ends - 1],
    )
    return run, list(zip(*(column.tolist() for column in columns), strict=True))


def _sums_before(column: I64) -> I64:
    """The sum of all before each, and behind them the sum of all."""
    sums = np.zeros(len(column) + 1, np.int64)
    np.cumsum(column, out=sums[1:])
    return sums
