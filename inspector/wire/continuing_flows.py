"""The open flows of one part of a story that is read in parts: what may belong to flows from before it is not followed
but handed over, and its own are followed in what was handed over by the parts behind it (``continued``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from inspector.capture.frames import U64, Rows
from inspector.wire import half_open
from inspector.wire.addresses import Key
from inspector.wire.continued import ContinuedFlows, FlowStanding
from inspector.wire.flow import FlowKey, Moment
from inspector.wire.flows import FlowTable
from inspector.wire.grouping import Grouped
from inspector.wire.segments import SegmentBatch


class ContinuingFlowTable(FlowTable):
    """As ``FlowTable``."""

    continued: ContinuedFlows | None = None
    """Where what may belong to flows from before the first frame is handed over, where somebody wants it."""

    _is_waiting = False

    _handed: Rows | None = None
    """Which flows of the batch are."""

    def _feed(self, grouped: Grouped) -> None:
        if self.continued is not None:
            self._handed = self.continued.note(grouped, self._standing(grouped))
        super()._feed(grouped)
        self._handed = None

    def _put_aside(self, grouped: Grouped) -> Rows:
        followed = super()._put_aside(grouped)
        return followed & ~self._handed if self._handed is not None else followed

    def _standing(self, grouped: Grouped) -> FlowStanding:
        is_known = self._half_open.holds(half_open.keys(grouped.low, grouped.high))
        standing = FlowStanding(
            is_known,
            is_known.copy(),
            np.zeros(len(grouped), np.uint64),
            grouped.time_ns[grouped.heads[:-1]] < self._beginnings.early_ns,
        )
        for index, key in enumerate(zip(grouped.low.tolist(), grouped.high.tolist(), strict=True)):
            if (flow := self._flows.get(key)) is not None:
                is_known[index] = True
                standing.is_early[index] = flow.began is not None
                standing.is_opening[index] = None in flow.isns
                standing.opener[index] = key[0 if flow.isns[0] is not None else 1]
            elif (early := self._completed.is_early(key)) is not None:
                is_known[index] = standing.is_opening[index] = True
                standing.is_early[index] = early
        return standing

    @property
    def noted_ns(self) -> int:
        """What begins before that is noted as what may have begun before the first frame."""
        return self._beginnings.early_ns

    def feed_beside(self, segments: SegmentBatch | None, copies: SegmentBatch | None, now: int) -> None:
        """Take segments and, of other flows, copies of some that another table has followed as well: none of these
        begins a flow that is followed here. ``now``: until then nothing else comes; what is over is told at the end,
        for the copies may be earlier.
        """
        if segments is not None:
            self.feed_ahead(segments)
        if copies is not None:
            may_open, self._may_open = self._may_open, False
            self.feed_ahead(copies)
            self._may_open = may_open
        self._now = max(self._now, now)
        self._look_for_ends(now)
        self._end_over(now)

    def feed_ahead(self, segments: SegmentBatch) -> None:
        """Take segments, behind which earlier ones of other flows come: nothing is over by then."""
        self._is_waiting = True
        self.feed(segments)
        self._is_waiting = False

    def _look_for_ends(self, now: int) -> None:
        if not self._is_waiting:
            super()._look_for_ends(now)

    def expect(self, unread: Iterable[Key], noted_ns: int) -> None:
        """Of the copies that come next: of which flows there is more. ``noted_ns``: that of the other table."""
        self.shared.unread, self.shared.noted_ns, self.shared.missed = frozenset(unread), noted_ns, frozenset()

    def open_ends(self) -> U64:
        """Of each flow that is followed, or may have late segments, its ends, the lower first."""
        keys = [*(key for key, flow in self._flows.items() if not flow.is_foreign), *self._completed.keys()]
        return np.concatenate([np.array(keys, np.uint64).reshape(-1, 2), self._half_open.ends()])

    def foreign_ends(self) -> U64:
        """The same of those that are kept beside one that another table follows."""
        return np.array([key for key, flow in self._flows.items() if flow.is_foreign], np.uint64).reshape(-1, 2)

    @property
    def open_count(self) -> int:
        """How many are followed, do no more than open, or may have late segments."""
        return sum(1 for _ in self.open_flows) + len(self._half_open) + len(self._completed)

    def first_frame(self) -> int | None:
        """The lowest reference of a frame of those that are followed, or do no more than open; None where there are
        none.
        """
        frames = [reference for flow in self.open_flows for reference in flow.first_frames()]
        half_open_frame = self._half_open.first_frame()
        return min(frames if half_open_frame is None else [*frames, half_open_frame], default=None)

    def has_any(self, keys: Iterable[Key]) -> bool:
        """Whether any of some flows is among them."""
        ends = np.array([*keys], np.uint64).reshape(-1, 2)
        is_held = self._half_open.holds(half_open.keys(ends[:, 0], ends[:, 1])).any()
        completed = self._completed.keys()
        return bool(is_held) or any(key in self._flows or key in completed for key in keys)

    def forget(self, followed: Mapping[FlowKey, Moment]) -> None:
        """Do not follow flows that began before the first frame and were followed by somebody else."""
        for key, flow in list(self._flows.items()):
            if flow.began is not None and flow.first < (until := followed.get(flow.began, (-1, 0))):
                self.shared.is_undecided |= flow.last >= until or flow.older is not None
                del self._flows[key]
                flow.consumer.release()
