"""A SegmentBatch sorted by flow: segments of one direction that follow each other become one span, so that Python is
woken once a span.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from msgspec import Struct

from inspector import facts
from inspector.capture.frames import U8
from inspector.tls.registry import CLIENT_HELLO, HANDSHAKE, SERVER_HELLO
from inspector.wire.segments import ACK, FIN, I64, RST, SYN, U64, Rows, SegmentBatch

CONTROL = SYN | FIN | RST
HELLO_KIND = 5
"""Where in a record the type of its first handshake message stands."""
HEAD_BYTES = 256
"""Of a segment: more than tells a hello, in whatever records."""
MIX_LOW, MIX_HIGH = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)

Key = tuple[int, int]
"""Both ends of a flow as ``address number << 16 | port``, the lower first."""

Span = tuple[int, int, int, int, int, int, int, int, int]
"""First row, end row, lane, sequence number, FIN SYN RST bits, flags, payload bytes on the wire, payload bytes held,
acknowledgement number (of the first segment).
"""


class Run:
    """Columns of a sorted batch as lists. ``before``: payload bytes of all rows before this one. ``frame``: the
    capture's frame reference base. ``reach``: see ``ParsedExtent``.
    """

    __slots__ = ("before", "data", "frame", "held", "length", "number", "reach", "start", "time_ns")

    def __init__(
        self,
        data: memoryview,
        start: list[int],
        held: list[int],
        length: list[int],
        before: list[int],
        number: list[int],
        time_ns: list[int],
        frame: int,
        reach: list[int] | None,
    ) -> None:
        self.data = data
        self.start = start
        self.held = held
        self.length = length
        self.before = before
        self.number = number
        self.time_ns = time_ns
        self.frame = frame
        self.reach = reach

    def head(self, row: int) -> bytes:
        """The first bytes that a segment holds."""
        start = self.start[row]
        return self.data[start : start + min(self.held[row], HEAD_BYTES)].tobytes()


class ParsedExtent:
    """How far into the payload of each segment of a batch somebody looked, filled in while the batch is followed; what
    lies behind was skipped by its length.

    All columns have a row for each segment. ``number``: int64, frame numbers. ``busy``: bool, it is one of many that
    its flow has in this batch.
    ``control``: bool, SYN, FIN or RST.
    """

    def __init__(self) -> None:
        self.number: I64 = np.zeros(0, np.int64)
        self.busy: Rows = np.zeros(0, np.bool_)
        self.control: Rows = np.zeros(0, np.bool_)
        self.rows: I64 = np.zeros(0, np.int64)
        self.looked: list[int] = []
        """Beside ``rows``: the segments that can hold anything."""

    def bytes(self) -> I64:
        """int64, payload bytes of each segment up to the last one that was looked at."""
        found = np.zeros(len(self.number), np.int64)
        found[self.rows] = self.looked
        return found


class FlowRuns(Struct, frozen=True, gc=False):
    """The spans of one flow in one batch. ``last_ns``, ``last_number``: of its last frame, empty acknowledgements
    included. ``spread``: where the batch is of several captures, the lowest and highest frame references in each.
    """

    key: Key
    spans: list[Span]
    run: Run
    last_ns: int
    last_number: int
    spread: Sequence[int] = ()


def _mixed(low: U64, high: U64) -> U64:
    return low * MIX_LOW ^ high * MIX_HIGH


def among(batch: SegmentBatch, keys: list[Key]) -> Rows:
    """Which segments belong to some flows."""
    ends = np.array(keys, np.uint64).reshape(-1, 2)
    wanted = _mixed(ends[:, 0], ends[:, 1])
    found: Rows = np.isin(
        _mixed(np.minimum(batch.source, batch.target), np.maximum(batch.source, batch.target)), wanted
    )
    return found


def greets(octets: U8, start: I64, held: I64) -> Rows:
    """Which segments begin as a hello does. Each begins a span, so that a hello is noticed where nobody looks any more,
    behind a preamble of any length.
    """
    at = np.minimum(start, max(len(octets) - HELLO_KIND - 1, 0))
    found: Rows = (held > HELLO_KIND) & (octets[at] == HANDSHAKE)
    some = np.flatnonzero(found)
    kind = octets[start[some] + HELLO_KIND]
    found[some] = (octets[start[some] + 1] == 3) & ((kind == CLIENT_HELLO) | (kind == SERVER_HELLO))
    return found


BUSY_SEGMENTS = 64
"""A flow with more segments in one batch is busy: nobody wants those that only carry its data."""


def by_flow(batch: SegmentBatch, reach: ParsedExtent | None = None) -> Iterator[FlowRuns]:
    """Each flow's spans in the order of time; flows in no order. ``reach``: to be filled in while the spans are
    followed.
    """
    low, high = np.minimum(batch.source, batch.target), np.maximum(batch.source, batch.target)
    mixed = _mixed(low, high)
    lane = (batch.source != low).astype(np.int64)
    in_time = bool((np.diff(batch.time_ns) >= 0).all())
    order = np.argsort(mixed, kind="stable") if in_time else np.lexsort((batch.number, batch.time_ns, mixed))
    low, high, lane = low[order], high[order], lane[order]
    flags, seq, length, held = batch.flags[order], batch.seq[order], batch.length[order], batch.held[order]
    time_ns, number = batch.time_ns[order], batch.number[order]
    if not len(order):
        return
    fresh = np.ones(len(order), np.bool_)
    fresh[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    group_last = np.append(np.flatnonzero(fresh)[1:] - 1, len(order) - 1)
    group: I64 = np.cumsum(fresh) - 1
    spread = _spread(group, number) if int(number.max()) >> facts.FRAME_BITS else ()
    control = flags & CONTROL
    answered = fresh.copy()  # what answers a SYN may be the first segment of this batch
    answered[1:] |= flags[:-1] & (SYN | ACK) == SYN | ACK
    rows = np.flatnonzero((length > 0) | (control != 0) | answered)
    if reach is not None:
        reach.number, reach.busy, reach.control = number, np.bincount(group)[group] > BUSY_SEGMENTS, control != 0
        reach.rows, reach.looked = rows, [0] * len(rows)
    group, lane, seq, length, held, control = (
        group[rows],
        lane[rows],
        seq[rows],
        length[rows],
        held[rows],
        control[rows],
    )
    follows = np.zeros(len(rows), np.bool_)
    plain = (control == 0) & (length > 0)
    follows[1:] = (
        (group[1:] == group[:-1])
        & (lane[1:] == lane[:-1])
        & plain[1:]
        & plain[:-1]
        & (held[:-1] == length[:-1])
        & ((seq[:-1] + length[:-1]) & 0xFFFFFFFF == seq[1:])
    )
    start = batch.start[order][rows]
    follows &= ~greets(batch.data, start, held)
    before = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(length, out=before[1:])
    held_before = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(held, out=held_before[1:])
    firsts = np.flatnonzero(~follows)
    run = Run(
        batch.data.data,
        start.tolist(),
        held.tolist(),
        length.tolist(),
        before.tolist(),
        number[rows].tolist(),
        time_ns[rows].tolist(),
        facts.frame_reference(batch.capture, 0),
        None if reach is None else reach.looked,
    )
    ends = np.append(firsts, len(rows))[1:]
    where = rows[firsts]
    spans = list(
        zip(
            firsts.tolist(),
            ends.tolist(),
            lane[firsts].tolist(),
            seq[firsts].tolist(),
            control[firsts].tolist(),
            flags[where].tolist(),
            (before[ends] - before[firsts]).tolist(),
            (held_before[ends] - held_before[firsts]).tolist(),
            batch.ack[order[where]].tolist(),
            strict=True,
        )
    )
    heads = np.flatnonzero(fresh)
    span_bounds = np.searchsorted(group[firsts], np.arange(len(heads) + 1)).tolist()
    groups = zip(
        low[heads].tolist(),
        high[heads].tolist(),
        span_bounds,
        span_bounds[1:],
        time_ns[group_last].tolist(),
        number[group_last].tolist(),
        strict=False,
    )
    for place, (low_end, high_end, first_span, last_span, last_ns, last_number) in enumerate(groups):
        yield FlowRuns(
            (low_end, high_end), spans[first_span:last_span], run, last_ns, last_number, spread[place] if spread else ()
        )


def _spread(group: I64, number: I64) -> list[list[int]]:
    """Of each group the lowest and highest frame references in each capture. ``number``: frame references."""
    capture = number >> facts.FRAME_BITS
    order = np.lexsort((number, capture, group))
    group, capture, number = group[order], capture[order], number[order]
    heads = np.append(0, np.flatnonzero((group[1:] != group[:-1]) | (capture[1:] != capture[:-1])) + 1)
    found: list[list[int]] = [[] for _ in range(int(group[-1]) + 1)]
    for place, low, high in zip(
        group[heads].tolist(),
        number[heads].tolist(),
        number[np.append(heads[1:], len(number)) - 1].tolist(),
        strict=True,
    ):
        found[place] += (low, high)
    return found
