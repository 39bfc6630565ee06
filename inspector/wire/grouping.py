"""The segments of a batch by flow, in columns: sorted, and without most of those that carry nothing.

Millions of segments cannot each be a Python object. They come as columns (``SegmentBatch``), and two steps, each over
whole columns, lead to flows. *Sort*: by flow (its two ends, mixed into one number) and within a flow by time. *Leave
out*: what carries nothing, neither payload nor a flag of ``CONTROL``; but the first of a flow, and what answers a SYN,
for the round trip. What was left out is still asked for where it counts: which frames a flow has, what its sides
acknowledged.

Which flows open here by a SYN is known from columns, too (``Grouped.opening``): those may be read as a whole. All
others are followed, span by span (``runs``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from inspector import bounds
from inspector.capture.frames import I64, U8, U64, Rows
from inspector.capture.references import FRAME_BITS, frame_reference
from inspector.wire.acknowledgements import Acknowledgements, FlowColumns, ReceivedBytes, received_bytes
from inspector.wire.addresses import Key
from inspector.wire.parsed_extent import ParsedExtent
from inspector.wire.segments import ACK, CONTROL, FIN, SYN, SegmentBatch

MIX_LOW, MIX_HIGH = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)

Opens = Callable[[U8, I64, I64], Rows]
"""Of octets, where payloads start in them and how long they are: which may be how a direction begins. Each begins a
span, so that it is noticed where nobody looks any more.
"""

MOST_SEGMENTS = 4096
"""Of a flow that opens in a batch, for its records to be found in step with those of the others: one with more would
make steps that only it needs.
"""
BUSY_SEGMENTS = 64
"""A flow with more segments in one batch is busy: nobody wants those that only carry its data."""


def mixed(low: U64, high: U64) -> U64:
    """The ends of flows as one number each; those of two flows may be equal."""
    return low * MIX_LOW ^ high * MIX_HIGH


def mask_of_flows(batch: SegmentBatch, keys: list[Key]) -> Rows:
    """Which segments belong to some flows."""
    ends = np.array(keys, np.uint64).reshape(-1, 2)
    wanted = mixed(ends[:, 0], ends[:, 1])
    mask: Rows = np.isin(mixed(*batch.ends()), wanted)
    return mask


class Grouped:
    """The segments of a batch by flow, and of each flow by time. Segments without payload or a flag of ``CONTROL`` are
    left out, except the first of a flow and what answers a SYN. Columns have a row for each segment or, where they say
    so, an entry for each flow.

    ``group``: int64, which flow. ``lane``: int64, 0 from its lower end. ``begins``: bool, whether the segment begins a
    span. ``heads``: int64, of each flow its first row, and behind them the number of rows. ``low``, ``high``: uint64,
    of each flow its ends. ``last_ns``, ``last_number``: int64, of its last frame, empty acknowledgements included;
    ``total``: int64, of all its segments, how many they are.
    ``spread``: as in ``FlowRuns``. The others: as in ``SegmentBatch``.
    """

    def __init__(self, batch: SegmentBatch, opens: Opens, extent: ParsedExtent | None = None) -> None:
        """``extent``: to be filled in while the spans are followed."""
        self.data = batch.data
        self.frame = frame_reference(batch.capture, 0)
        low, high = batch.ends()
        order, fresh = _by_flow(batch, low, high)
        low, high = low[order], high[order]
        self.low, self.high = low[fresh], high[fresh]
        self._batch, self._order = batch, order
        group: I64 = np.cumsum(fresh) - 1
        self._note_flows(batch, order, group, np.flatnonzero(fresh))
        rows = _telling(batch.flags[order], batch.length[order], fresh)
        self.group = group[rows]
        self.heads: I64 = np.searchsorted(self.group, np.arange(len(self.low) + 1))
        self._keep(batch, order[rows], low[rows])
        self.begins = self._begins(opens)
        self.extent = extent
        self._last_frames: tuple[int, list[tuple[int, int, int]], dict[int, int]] | None = None
        self._last_acknowledgements: tuple[int, Acknowledgements] | None = None
        if extent is not None:
            extent.number, extent.control = batch.number[order], batch.flags[order] & CONTROL != 0
            extent.busy = np.bincount(group)[group] > BUSY_SEGMENTS
            extent.rows = rows

    def _note_flows(self, batch: SegmentBatch, order: I64, group: I64, firsts: I64) -> None:
        """What is known of each flow from all its segments. ``order``: of the batch, by flow. ``firsts``: of each flow
        its first row there.
        """
        self._firsts = firsts
        lasts = order[np.append(firsts[1:], len(order)) - 1]
        self.last_ns, self.last_number = batch.time_ns[lasts], batch.number[lasts]
        self.total: I64 = np.diff(np.append(firsts, len(order)))
        number = batch.number[order]
        falls = np.flatnonzero((number[1:] < number[:-1]) & (group[1:] == group[:-1]))
        self.mixed = frozenset(group[falls].tolist())
        self.spread = _spread(group, number) if int(batch.number.max()) >> FRAME_BITS else []

    def _keep(self, batch: SegmentBatch, kept: I64, low: U64) -> None:
        """The columns of the segments that are not left out."""
        self.lane = (batch.source[kept] != low).astype(np.int64)
        self.flags, self.length, self.captured = batch.flags[kept], batch.length[kept], batch.captured[kept]
        self.control = self.flags & CONTROL
        self.seq, self.ack, self.start = batch.seq[kept], batch.ack[kept], batch.start[kept]
        self.time_ns, self.number = batch.time_ns[kept], batch.number[kept]

    def __len__(self) -> int:
        return len(self.low)

    @property
    def now(self) -> int:
        """The time of the last segment."""
        return int(self._batch.time_ns.max())

    def segments(self) -> tuple[SegmentBatch, I64]:
        """All segments as they came, and of which flow each is."""
        flow = np.empty(len(self._order), np.int64)
        flow[self._order] = np.repeat(np.arange(len(self)), self.total)
        return self._batch, flow

    def before_answers(self) -> Rows:
        """Which segments, as they came, are none behind the first SYN with ACK of their flow."""
        order = self._order
        answers = self._batch.flags[order] & (SYN | ACK) == SYN | ACK
        before = np.cumsum(answers) - answers
        rows: Rows = np.empty(len(order), np.bool_)
        rows[order] = before == np.repeat(before[self._firsts], self.total)
        return rows

    def firsts(self) -> U64:
        """Of each flow which end its first segment is from."""
        ends: U64 = self._batch.source[self._order[self._firsts]]
        return ends

    def _begins(self, opens: Opens) -> Rows:
        """Which segments begin a span: those that do not simply go on where the one before them ended."""
        group, lane, seq, length = self.group, self.lane, self.seq, self.length
        begins = np.ones(len(group), np.bool_)
        plain = (self.control == 0) & (length > 0)
        is_soon = self.time_ns[1:] - self.time_ns[:-1] <= bounds.CLOSED_NS  # else the flow may be over in between
        follows = plain[1:] & plain[:-1] & (group[1:] == group[:-1]) & (lane[1:] == lane[:-1])
        begins[1:] = ~(
            follows & is_soon & (self.captured[:-1] == length[:-1]) & ((seq[:-1] + length[:-1]) & 0xFFFFFFFF == seq[1:])
        )
        return begins | opens(self.data, self.start, self.captured)

    def opening(self) -> I64:
        """The flows that begin with a SYN of a client, aside from busy and ``mixed`` ones and such as may be over in
        between.
        """
        heads, ends = self.heads[:-1], self.heads[1:]
        is_short = (ends - heads <= MOST_SEGMENTS) & (self.last_ns - self.time_ns[heads] <= bounds.IDLE_NS)
        opening = np.flatnonzero((self.flags[heads] & (CONTROL | ACK) == SYN) & is_short)
        return opening[~np.isin(opening, [*self.mixed])] if self.mixed else opening

    def received(self, wanted: I64, lane: int, begin: I64, before: ReceivedBytes, since: I64) -> ReceivedBytes:
        """What was sent and acknowledged of a lane of some flows, a row each. ``begin``, ``before``: as in
        ``received_bytes``. ``since``: of each flow when its first frame came.
        """
        counts = self.total[wanted]
        rows = self._order[_end_to_end(self._firsts[wanted], counts)]
        flow = np.repeat(np.arange(len(wanted)), counts)
        frames = self._flow_columns(rows, flow, self.low[wanted])
        is_earlier = self._batch.time_ns[rows] < since[flow]
        frames.behind[is_earlier] = frames.number[is_earlier] = -1
        received = received_bytes(frames, lane, begin, before)
        lasts = np.cumsum(counts) - 1
        return ReceivedBytes(*(column[lasts] for column in received))

    def _flow_columns(self, rows: I64, flow: I64, low: U64) -> FlowColumns:
        """``rows``: of the batch; ``flow``: of which of some flows each is; ``low``: of each of these its lower end."""
        batch, flags = self._batch, self._batch.flags[rows]
        length = batch.length[rows] + (flags & SYN != 0) + (flags & FIN != 0)
        return FlowColumns(
            flow,
            (batch.source[rows] != low[flow]).astype(np.int64),
            np.where(length > 0, batch.seq[rows] + length & 0xFFFFFFFF, -1),
            np.where(flags & ACK != 0, batch.ack[rows], -1),
            (batch.length[rows] > 0) | (flags & SYN != 0),
        )

    def frames(self, index: int, begin: int, end: int | None) -> Sequence[tuple[int, int, int]]:
        """Time, reference and lane of the frames of a flow from ``begin`` on, a reference, and before ``end``. The flow
        that was asked for last is known: each connection between its ends asks again.
        """
        if self._last_frames is None or self._last_frames[0] != index:
            rows = self._all_rows(index)
            lanes = (self._batch.source[rows] != self.low[index]).astype(np.int64)
            columns = self._batch.time_ns[rows], self._batch.number[rows] + self.frame, lanes
            frames = list(zip(*(column.tolist() for column in columns), strict=True))
            self._last_frames = index, frames, {reference: row for row, (_, reference, _) in enumerate(frames)}
        _, frames, row_of = self._last_frames
        return frames[row_of[begin] : row_of[end] if end is not None else None]

    @cached_property
    def from_low(self) -> I64:
        """Of each flow how many of all its segments are from its lower end."""
        is_low = self._batch.source[self._order] == np.repeat(self.low, self.total)
        counts: I64 = np.add.reduceat(is_low.astype(np.int64), self._firsts)
        return counts

    def sides(self, index: int) -> tuple[bool, bool]:
        """Of which lanes a flow has any segment."""
        count = int(self.from_low[index])
        return count > 0, count < int(self.total[index])

    def acknowledgements(self, index: int) -> Acknowledgements:
        """All that the sides of a flow acknowledged. What was asked for last is known."""
        if self._last_acknowledgements is None or self._last_acknowledgements[0] != index:
            rows = self._all_rows(index)
            columns = self._flow_columns(rows, np.zeros(len(rows), np.int64), self.low[index : index + 1])
            acknowledgements = Acknowledgements(
                self._batch.number[rows] + self.frame, columns, self._batch.time_ns[rows]
            )
            self._last_acknowledgements = index, acknowledgements
        return self._last_acknowledgements[1]

    def _all_rows(self, index: int) -> I64:
        """The rows of the batch that are a flow's, by time, those that carry nothing among them."""
        first = int(self._firsts[index])
        return self._order[first : first + int(self.total[index])]

    def rows_of(self, wanted: I64) -> tuple[slice | I64, I64]:
        """The rows of some flows, and how many each has: without a look at all others, for few may be asked for, and
        often.
        """
        if len(wanted) == len(self):
            return slice(None), np.diff(self.heads)
        heads = self.heads[wanted]
        counts = self.heads[wanted + 1] - heads
        return _end_to_end(heads, counts), counts


def _by_flow(batch: SegmentBatch, low: U64, high: U64) -> tuple[I64, Rows]:
    """The rows of a batch by flow and time, and which of them are the first of a flow. Whoever makes the ends of flows
    so that two mix alike is given the longer way: no flow may stand in two places.
    """
    as_number = mixed(low, high)
    order = _order(batch, as_number)
    fresh = _changes(low[order]) | _changes(high[order])
    if np.count_nonzero(fresh) != np.count_nonzero(_changes(as_number[order])):
        order = np.lexsort((batch.number, batch.time_ns, high, low))
        fresh = _changes(low[order]) | _changes(high[order])
    return order, fresh


def _changes(column: U64) -> Rows:
    """Which rows differ from the one before them; the first does."""
    changes = np.ones(len(column), np.bool_)
    changes[1:] = column[1:] != column[:-1]
    return changes


def _order(batch: SegmentBatch, mixed: U64) -> I64:
    """The rows of a batch by flow, and within a flow by time. ``mixed``: the flow of each as one number."""
    if bool((batch.time_ns[1:] >= batch.time_ns[:-1]).all()):
        return np.argsort(mixed, kind="stable")
    return np.lexsort((batch.number, batch.time_ns, mixed))


def _telling(flags: I64, length: I64, fresh: Rows) -> I64:
    """Which sorted segments carry anything, begin a flow, or answer a SYN. ``fresh``: which are the first of a flow."""
    answered = fresh.copy()  # what answers a SYN may be the first segment of this batch
    answered[1:] |= flags[:-1] & (SYN | ACK) == SYN | ACK
    return np.flatnonzero((length > 0) | (flags & CONTROL != 0) | answered)


def _end_to_end(firsts: I64, counts: I64) -> I64:
    """The numbers of some rows, run after run. ``firsts``, ``counts``: where each run begins, and how long it is."""
    ends = np.cumsum(counts)
    return np.arange(int(ends[-1])) + np.repeat(firsts - ends + counts, counts)


def _spread(group: I64, number: I64) -> list[list[int]]:
    """Of each group the lowest and highest frame references in each capture. ``number``: frame references."""
    capture = number >> FRAME_BITS
    order = np.lexsort((number, capture, group))
    group, capture, number = group[order], capture[order], number[order]
    heads = np.append(0, np.flatnonzero((group[1:] != group[:-1]) | (capture[1:] != capture[:-1])) + 1)
    spread: list[list[int]] = [[] for _ in range(int(group[-1]) + 1)]
    for index, low, high in zip(
        group[heads].tolist(),
        number[heads].tolist(),
        number[np.append(heads[1:], len(number)) - 1].tolist(),
        strict=True,
    ):
        spread[index] += (low, high)
    return spread
