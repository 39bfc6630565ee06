"""Flows that open in a batch and go by the book, as far as TCP goes, brought to where they stand at its end in columns
over all of them.

Most connections are alike: both sides send their SYN once, every byte comes once and in order, nothing is cut. What
following segment after segment leaves behind of such a flow is known without it: sequence numbers must equal the sum of
the lengths before them, and where they do, a direction is one piece of a ``Line``, on which its consumer may read it
beside all others.

Following segment by segment stays the truth. A flow is ``odd``, and left to it, for anything that makes a difference
there: a SYN sent again or with data, other sequence numbers than the next, urgent data, a frame that was cut, frames
long behind the end of a flow. Tests hold one way against the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from inspector import bounds
from inspector.capture.frames import I64, U8, Rows
from inspector.wire.consumer import FlowConsumer
from inspector.wire.flow import Ending, Flow
from inspector.wire.grouping import Grouped
from inspector.wire.overlaps import kept
from inspector.wire.segments import ACK, FIN, RST, SYN, URG
from inspector.wire.sequence_numbers import distance
from inspector.wire.streams import Stream

BEHIND = 1 << 20
"""How far behind the end of a direction a RST may lie."""

T = TypeVar("T", int, I64)
"""One flow or direction, or a column over many."""


class FlowState(NamedTuple, Generic[T]):
    """Where a flow stands. ``low``, ``high``: its ends; ``opener``: the lane whose SYN came first. ``first_frame``,
    ``last_frame``: references. ``rtt``: -1 where it is not known; ``closed``, ``answered`` (its last segment is a SYN
    with ACK): 0 or 1.
    """

    low: T
    high: T
    opener: T
    first_ns: T
    first_frame: T
    last_ns: T
    last_frame: T
    rtt: T
    closed: T
    answered: T


class DirectionState(NamedTuple, Generic[T]):
    """Where a direction of a flow stands. ``has_packets``: 0 or 1; ``isn``: sequence number of its SYN; ``length``:
    bytes that came; ``ack``: acknowledged last, -1 where nothing was. Of its FIN and RST as in ``Ending``, the frame -1
    where there is none and the acknowledgement -1 where it has none.
    """

    has_packets: T
    isn: T
    length: T
    ack: T
    fin_ns: T
    fin_frame: T
    fin_after: T
    fin_ack: T
    rst_ns: T
    rst_frame: T
    rst_after: T
    rst_ack: T


def row_of(columns: Iterable[I64], index: int) -> Iterator[int]:
    """One row of some columns."""
    return (int(column[index]) for column in columns)


def state_of(flow: FlowState[int], directions: Sequence[DirectionState[int]], consumer: FlowConsumer) -> Flow:
    """A flow in the very state in which ``FlowTable`` would have left it. ``directions``: lane 0 and lane 1.
    ``consumer``: has what it read.
    """
    state = Flow((flow.low, flow.high), consumer, flow.first_ns, flow.first_frame)
    for lane, direction in enumerate(directions):
        if not direction.has_packets:
            continue
        state.packets[lane] = True
        state.isns[lane] = direction.isn
        state.acks[lane] = _known(direction.ack)
        _, _, _, _, ns, frame, after, ack, rst_ns, rst_frame, rst_after, rst_ack = direction
        state.fins[lane] = Ending(ns, frame, after, _known(ack)) if frame >= 0 else None
        state.resets[lane] = Ending(rst_ns, rst_frame, rst_after, _known(rst_ack)) if rst_frame >= 0 else None
        state.streams[lane].stand(direction.isn + 1 & 0xFFFFFFFF, direction.length)
    state.syn_ns, state.rtt = flow.first_ns, _known(flow.rtt)
    state.last = flow.last_ns, flow.last_frame
    state.is_answered = flow.answered > 0
    if flow.closed:
        state.close()
    return state


def _known(number: int) -> int | None:
    return number if number >= 0 else None


class Line:
    """Directions laid end to end, so that a place in any of them is one number. ``start``: int64, where each segment's
    payload begins in ``data``, direction after direction; ``length``: int64, how long it is.

    ``begin``, ``end``: int64, where each segment lies on the line; ``shift``: int64, what leads from there to its place
    in ``data``.
    """

    def __init__(self, data: U8, start: I64, length: I64) -> None:
        self.data = data
        self.end: I64 = np.cumsum(length)
        self.begin: I64 = self.end - length
        self.shift: I64 = start - self.begin

    def row(self, start: I64) -> I64:
        """In which segment places on the line are."""
        return np.searchsorted(self.end, start, "right")

    def pieces(self, start: int, length: int) -> bytes:
        """Bytes of the line, from however many segments."""
        joined = b""
        row = int(np.searchsorted(self.end, start, "right"))
        while length:
            at, count = start + int(self.shift[row]), min(length, int(self.end[row]) - start)
            joined += self.data[at : at + count].tobytes()
            row, start, length = row + 1, start + count, length - count
        return joined


class RegularFlows:
    """Flows of a batch by columns. Rows are segments of these flows, in the order of ``Grouped``; directions have the
    number ``2 * flow + lane``. Columns are int64, but where they say so.

    An entry for each flow: ``chosen``, which of the grouped flows it is; ``odd``, bool, it is not regular after all;
    ``opener``, the lane whose SYN came first. For each row: ``flow_number``, ``lane`` (the number of its direction),
    ``ns``, ``frame`` (reference); ``rows``, which of the grouped segments it is. For each direction: ``low``, ``high``,
    where it begins and ends on the ``line``. ``flows``, ``directions``: where each stands. ``order``: the row of each
    segment of the line. ``syns``, ``fins``, ``resets``: rows, the first of each direction.
    """

    def __init__(self, grouped: Grouped, chosen: I64) -> None:
        """``chosen``: flows whose first segment is a SYN without ACK, and that are not open yet; of one capture."""
        count = len(chosen)
        self.chosen = chosen
        self.odd: Rows = np.zeros(count, np.bool_)
        number = np.full(len(grouped), -1, np.int64)
        number[chosen] = np.arange(count)
        flow = number[grouped.group]
        self.rows = rows = np.flatnonzero(flow >= 0)
        self.flow_number = flow = flow[rows]
        self.lane = 2 * flow + grouped.lane[rows]
        self.ns, self.frame = grouped.time_ns[rows], grouped.number[rows] + grouped.frame
        self._control, self._flags, self._length = grouped.control[rows], grouped.flags[rows], grouped.length[rows]
        self._seq, self._ack = grouped.seq[rows], grouped.ack[rows]
        self._heads = np.searchsorted(flow, np.arange(count))
        self._last_ns, self._last_frame = grouped.last_ns[chosen], grouped.last_number[chosen] + grouped.frame
        self.opener = self.lane[self._heads] & 1
        self.order = np.argsort(self.lane, kind="stable")
        self._shapes(grouped.captured[rows])
        length = np.where(self.odd[flow], 0, self._length)  # what a frame that was cut claims may be any number
        self.line = Line(grouped.data, grouped.start[rows][self.order], length[self.order])
        self._sequences()
        self._one_sided(grouped)
        spans = np.flatnonzero(grouped.begins[rows])
        self._endings()
        self._acks = np.full(2 * count, -1, np.int64)
        lasts = np.append(spans[1:], len(rows)) - 1
        answers = lasts[self._flags[lasts] & ACK != 0]
        self._acks[self.lane[answers]] = self._ack[answers]
        self.directions = self._directions()
        self.flows = self._flow_states(grouped)

    def __len__(self) -> int:
        return len(self.chosen)

    def _shapes(self, captured: I64) -> None:
        """Odd: a frame that was cut, several of SYN, FIN and RST in one segment, a SYN or RST with data, urgent
        data.
        """
        control, length = self._control, self._length
        odd = (
            (captured != length) | (control & (control - 1) != 0) | ((control & (SYN | RST | URG) != 0) & (length > 0))
        )
        self.odd[self.flow_number[odd]] = True

    def _sequences(self) -> None:
        """Sequence numbers, direction by direction."""
        order, line = self.order, self.line
        lane, control, length = self.lane[order], self._control[order], self._length[order]
        counts = np.bincount(lane, minlength=2 * len(self))
        self._packets = counts > 0
        last = np.cumsum(counts) - 1
        first = np.minimum(last + 1 - counts, len(order) - 1)
        self.low = np.where(self._packets, line.begin[first], 0)
        self.high = np.where(self._packets, line.end[last], 0)
        self._isn = self._seq[order[first]]
        is_head = np.ones(len(lane), np.bool_)
        is_head[1:] = lane[1:] != lane[:-1]
        offset = line.begin - self.low[lane]
        ahead = distance(self._isn[lane] + 1 + offset, self._seq[order])
        is_fin = control == FIN
        counted = (length > 0) | is_fin
        fins = np.cumsum(is_fin) - is_fin
        odd = (
            (is_head != (control == SYN))
            | (counted & ((ahead != 0) | (fins > fins[first][lane])))
            | ((control == RST) & ((ahead > 1) | (ahead < -BEHIND)))
        )
        is_answer = is_head & (lane & 1 != self.opener[lane >> 1])
        odd |= is_answer & (self._flags[order] & ACK == 0)
        self.odd[lane[odd] >> 1] = True
        offsets = np.empty_like(offset)
        offsets[order] = offset
        self._round_trips(order[is_answer], offsets)

    def _one_sided(self, grouped: Grouped) -> None:
        """Odd: all that came from one side carries nothing."""
        silent = np.flatnonzero(~self._packets.reshape(-1, 2).all(axis=1))
        if len(silent):
            from_low, total = grouped.from_low[self.chosen[silent]], grouped.total[self.chosen[silent]]
            self.odd[silent[(from_low > 0) & (from_low < total)]] = True

    def _round_trips(self, answer: I64, offset: I64) -> None:
        """How long it took from the client's SYN to its acknowledgement of the server's, where that comes next.
        ``answer``: the rows of the servers' SYNs. ``offset``: of each row in its direction.
        """
        self._rtt = np.full(len(self), -1, np.int64)
        behind = answer[answer + 1 < len(self.lane)] + 1
        server = self.lane[behind - 1]
        is_opening = (
            (self.lane[behind] == server ^ 1)
            & (self._length[behind] == 0)
            & (self._control[behind] == 0)
            & (offset[behind] == 0)
        )
        behind = behind[is_opening & (self._ack[behind] == self._isn[server] + 1 & 0xFFFFFFFF)]
        self._rtt[self.flow_number[behind]] = self.ns[behind] - self.ns[self._heads[self.flow_number[behind]]]

    def _endings(self) -> None:
        """Which segments close a flow. What comes long behind that may belong to another."""
        count, never = len(self), len(self.lane)
        self._fin, self._rst = np.full(2 * count, never, np.int64), np.full(2 * count, never, np.int64)
        for control, bit in ((self._fin, FIN), (self._rst, RST)):
            rows = np.flatnonzero(self._control == bit)[::-1]
            control[self.lane[rows]] = rows  # the first of several stays
        self.syns = np.flatnonzero(self._control == SYN)
        self.fins, self.resets = self._fin[self._fin < never], self._rst[self._rst < never]
        closing = np.minimum(self._fin.reshape(-1, 2).max(axis=1), self._rst.reshape(-1, 2).min(axis=1))
        self._closed = closing < never
        late = self._last_ns - self.ns[np.minimum(closing, never - 1)] > bounds.CLOSED_NS
        self.odd |= self._closed & late

    def _directions(self) -> DirectionState[I64]:
        """Where each direction stands."""
        return DirectionState(
            self._packets.astype(np.int64),
            self._isn,
            self.high - self.low,
            self._acks,
            *self._ending(self._fin),
            *self._ending(self._rst),
        )

    def _ending(self, control: I64) -> tuple[I64, I64, I64, I64]:
        """Time, frame, the sequence number behind it, and the acknowledgement, of segments that close. ``control``:
        their rows, one of each direction.
        """
        is_there = control < len(self.lane)
        row = np.where(is_there, control, 0)
        after = self._seq[row] + self._length[row] + (self._control[row] & FIN) & 0xFFFFFFFF
        ack = np.where(self._flags[row] & ACK != 0, self._ack[row], -1)
        return self.ns[row], np.where(is_there, self.frame[row], -1), after, ack

    def _flow_states(self, grouped: Grouped) -> FlowState[I64]:
        """Where each flow stands."""
        heads = self._heads
        lasts = np.append(heads[1:], len(self.lane)) - 1
        return FlowState(
            low=grouped.low[self.chosen].astype(np.int64),
            high=grouped.high[self.chosen].astype(np.int64),
            opener=self.opener,
            first_ns=self.ns[heads],
            first_frame=self.frame[heads],
            last_ns=self._last_ns,
            last_frame=self._last_frame,
            rtt=self._rtt,
            closed=self._closed.astype(np.int64),
            answered=(self._flags[lasts] & (SYN | ACK) == SYN | ACK).astype(np.int64),
        )

    def flow(self, index: int, consumer: FlowConsumer) -> Flow:
        """One of them. ``consumer``: has what it read."""
        directions = [DirectionState(*row_of(self.directions, 2 * index + lane)) for lane in (0, 1)]
        flow = state_of(FlowState(*row_of(self.flows, index)), directions, consumer)
        if not flow.closed:
            for lane, stream in enumerate(flow.streams):
                self._keep(2 * index + lane, stream)
        return flow

    def _keep(self, direction: int, stream: Stream) -> None:
        """What later segments of a direction are compared with."""
        low, high = int(self.low[direction]), int(self.high[direction])
        if low == high:
            return
        line, data = self.line, self.line.data.data
        ends = np.array((low, min(high, low + bounds.COMPARED_BYTES) - 1))
        first, last = line.row(ends).tolist()
        some = slice(first, last + 1)
        rows = self.order[some]
        begin = line.begin[some]
        columns = (begin - low, begin + line.shift[some], line.end[some] - begin, self.frame[rows], self.ns[rows])
        for offset, start, length, frame, ns in zip(*(column.tolist() for column in columns), strict=True):
            if length:
                stream.keep(kept(offset, data, start, length, frame, ns))
