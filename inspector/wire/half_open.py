"""Flows of which nothing came but a SYN, or a SYN and the RST that refused it.

A scan leaves millions of them, and a firewall that drops what it does not like leaves many. Nothing is known of them
but the headers of those segments, so these are kept, as a row of numbers each, sorted by the flow's ends. Should
anything else come of a flow, its row is taken out and its segments are followed as those of any other: whether a flow
was kept here or was followed from the start makes no difference to what becomes of it.

Rows lie in several sorted *runs*, each more than twice as long as the next: adding many at a time costs a merge of what
is short, and a look into a few runs finds a flow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from inspector import bounds
from inspector.capture.frames import I64, U64, Rows
from inspector.wire.grouping import Grouped
from inspector.wire.runs import FlowRuns, Run
from inspector.wire.segments import ACK, CONTROL, RST, SYN

ROW = np.dtype(
    [
        ("key", "S16"),
        ("ns", "<i8", 2),
        ("frame", "<i8", 2),
        ("seq", "<u4", 2),
        ("ack", "<u4", 2),
        ("flags", "u1", 2),
        ("lane", "u1"),
        ("count", "u1"),
    ]
)
"""``key``: both ends, the lower first, as big-endian numbers. ``ns``, ``frame`` (reference), ``seq``, ``ack``,
``flags``: of the SYN, and of the RST. ``lane``: of the SYN. ``count``: segments, 1 or 2; 0 once it was taken out.
"""
LATEST = np.iinfo(np.int64).max
HalfOpenRows = npt.NDArray[Any]
"""Rows of that type."""
NONE: HalfOpenRows = np.zeros(0, ROW)


def keys(low: U64, high: U64) -> HalfOpenRows:
    """Flows by their ends, as ``key``."""
    ends = np.stack([low, high], axis=1).astype(">u8")
    return ends.view("S16")[:, 0]


def ends(rows: HalfOpenRows) -> tuple[U64, U64]:
    """Of each flow who opened it and whom it called, ``address number << 16 | port``."""
    both = _both(rows)
    opener = rows["lane"].astype(np.int64)
    every = np.arange(len(rows))
    return both[every, opener], both[every, 1 - opener]


def _both(rows: HalfOpenRows) -> U64:
    """Of each flow its ends, the lower first."""
    return rows["key"].astype("S16").view(">u8").reshape(-1, 2).astype(np.uint64)


def rows_of(grouped: Grouped) -> tuple[I64, HalfOpenRows]:
    """The flows of a batch that are no more than that: which they are, and their rows."""
    heads, total = grouped.heads[:-1], grouped.total
    second = np.minimum(heads + 1, len(grouped.group) - 1)
    flags, length = grouped.flags, grouped.length
    is_syn = (flags[heads] & (CONTROL | ACK) == SYN) & (length[heads] == 0)
    is_refused = (
        (total == 2)
        & (np.diff(grouped.heads) == 2)
        & (flags[second] & (CONTROL | ACK) == RST | ACK)
        & (length[second] == 0)
        & (grouped.lane[second] != grouped.lane[heads])
        & (grouped.ack[second] == grouped.seq[heads] + 1 & 0xFFFFFFFF)
        & (grouped.time_ns[second] - grouped.time_ns[heads] <= bounds.IDLE_NS)
    )
    flow = np.flatnonzero(is_syn & ((total == 1) | is_refused))
    if not len(flow):
        return flow, NONE
    rows = np.zeros(len(flow), ROW)
    rows["key"] = keys(grouped.low[flow], grouped.high[flow])
    rows["lane"], rows["count"] = grouped.lane[heads[flow]], total[flow]
    for number, segment in enumerate((heads[flow], second[flow])):
        rows["ns"][:, number] = grouped.time_ns[segment]
        rows["frame"][:, number] = grouped.number[segment] + grouped.frame
        for name in ("seq", "ack", "flags"):
            rows[name][:, number] = getattr(grouped, name)[segment]
    rows["ns"][:, 1] = np.where(total[flow] == 2, rows["ns"][:, 1], rows["ns"][:, 0])
    return flow, rows


def segments(row: HalfOpenRows) -> FlowRuns:
    """What is to be followed of one of them, a row by itself."""
    opener, other = (int(end[0]) for end in ends(row))
    count, lane = int(row["count"][0]), int(row["lane"][0])
    nothing = [0] * count
    ns, frame, seq, ack, flags = (row[name][0, :count].tolist() for name in ("ns", "frame", "seq", "ack", "flags"))
    run = Run(
        data=memoryview(b""),
        start=nothing,
        captured=nothing,
        length=nothing,
        before=[*nothing, 0],
        number=frame,
        time_ns=ns,
        frame=0,
        extent=None,
    )
    spans = [
        (index, index + 1, lane ^ index, seq[index], flags[index] & CONTROL, flags[index], 0, 0, ack[index])
        for index in range(count)
    ]
    return FlowRuns((min(opener, other), max(opener, other)), spans, run, ns[-1], frame[-1])


def _looked_up(run: HalfOpenRows, wanted: HalfOpenRows) -> tuple[I64, Rows]:
    """Where some keys stand in a run, and which do."""
    index = np.minimum(np.searchsorted(run["key"], wanted), len(run) - 1)
    return index, (run["key"][index] == wanted) & (run["count"][index] > 0)


class HalfOpenFlows:
    """``most``: so many are kept; of more a quarter is given up, the oldest."""

    def __init__(self, most: int = bounds.HALF_OPEN) -> None:
        self._most = most
        self._runs: list[HalfOpenRows] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, rows: HalfOpenRows) -> HalfOpenRows:
        """Keep flows that are not kept yet, each once; gives those that are given up for it."""
        if not len(rows):
            return rows
        self._runs.append(rows[np.argsort(rows["key"], kind="stable")])
        self._count += len(rows)
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            self._merge()
        if self._count <= self._most:
            return rows[:0]
        last = np.concatenate([np.where(run["count"] > 0, run["ns"][:, 1], LATEST) for run in self._runs])
        surplus = self._count - self._most + self._most // 4
        oldest = np.zeros(len(last), np.bool_)
        oldest[np.argpartition(last, surplus - 1)[:surplus]] = True
        return self._drop(np.split(oldest, np.cumsum([len(run) for run in self._runs])[:-1]))

    def take(self, wanted: HalfOpenRows) -> HalfOpenRows:
        """Take out the flows that have some keys, each key given once."""
        parts = [NONE]
        for run in self._runs:
            index, is_held = _looked_up(run, wanted)
            index = index[is_held]
            parts.append(run[index])
            run["count"][index] = 0
            self._count -= len(index)
        return np.concatenate(parts)

    def holds(self, wanted: HalfOpenRows) -> Rows:
        """Which of some keys are those of flows that are kept."""
        is_kept = np.zeros(len(wanted), np.bool_)
        for run in self._runs:
            is_kept |= _looked_up(run, wanted)[1]
        return is_kept

    def ends(self) -> U64:
        """Of each flow its ends, the lower first."""
        return np.concatenate([np.zeros((0, 2), np.uint64), *(_both(run[run["count"] > 0]) for run in self._runs)])

    def first_frame(self) -> int | None:
        """The lowest reference of a SYN in them; None where there are none."""
        return min(
            (int(run["frame"][run["count"] > 0, 0].min()) for run in self._runs if run["count"].any()), default=None
        )

    def addresses(self) -> set[int]:
        """The numbers of all addresses in them."""
        every: set[int] = set()
        for run in self._runs:
            every.update(np.unique(_both(run) >> np.uint64(16)).tolist())
        return every

    def take_over(self, now: int, refused_ns: int, idle_ns: int) -> HalfOpenRows:
        """Take out what is over at a time: what was refused so long ago, and what is idle for so long."""
        is_over: list[Rows] = []
        for run in self._runs:
            quiet = now - run["ns"][:, 1]
            is_over.append((quiet > idle_ns) | ((run["count"] == 2) & (quiet > refused_ns)))
        return self._drop(is_over)

    def take_all(self) -> HalfOpenRows:
        """Take out all of them."""
        return self._drop([np.ones(len(run), np.bool_) for run in self._runs])

    def _drop(self, chosen: list[Rows]) -> HalfOpenRows:
        """Take out rows of each run; gives them in the order of their SYNs."""
        dropped, kept = [NONE], []
        for run, mask in zip(self._runs, chosen, strict=True):
            mask &= run["count"] > 0
            if mask.any():
                dropped.append(run[mask])
                run = run[~mask & (run["count"] > 0)]
            if len(run):
                kept.append(run)
        self._runs = kept
        rows = np.concatenate(dropped)
        self._count -= len(rows)
        return rows[np.lexsort((rows["frame"][:, 0], rows["ns"][:, 0]))]

    def _merge(self) -> None:
        """The last two runs as one, without what was taken out of them."""
        merged = np.concatenate(self._runs[-2:])
        merged = merged[merged["count"] > 0]
        self._runs[-2:] = [merged[np.argsort(merged["key"], kind="stable")]]
