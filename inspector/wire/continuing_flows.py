"""The open flows of one part of a story that is read in parts: what belongs to flows from before it is kept for whoever
follows them, and its own are followed in what was kept of the parts behind it (``continued``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np

from inspector.capture.frames import U64, Rows
from inspector.wire import half_open
from inspector.wire.continued import ContinuedFlows
from inspector.wire.flow import FlowKey
from inspector.wire.flows import FlowTable
from inspector.wire.runs import Grouped, Key


class ContinuingFlowTable(FlowTable):
    """As ``FlowTable``."""

    continued: ContinuedFlows | None = None
    """Where what may belong to flows from before the first frame is kept, where somebody wants it."""

    def _feed(self, grouped: Grouped) -> None:
        if self.continued is not None:
            self.continued.note(grouped, *self._standing(grouped))
        super()._feed(grouped)

    def _standing(self, grouped: Grouped) -> tuple[Rows, Rows]:
        """Which flows of a batch are open and began with a SYN behind the first frame, and of which that SYN may have
        come before it as well.
        """
        is_known = self._half_open.holds(half_open.keys(grouped.low, grouped.high))
        is_early = grouped.time_ns[grouped.heads[:-1]] < self._early_ns()
        for index, key in enumerate(zip(grouped.low.tolist(), grouped.high.tolist(), strict=True)):
            if (flow := self._flows.get(key)) is not None:
                is_known[index], is_early[index] = flow.syn_ns is not None, flow.began is not None
            elif (early := self._completed.is_early(key)) is not None:
                is_known[index], is_early[index] = True, early
        return is_known, is_early

    def wait_until(self, now: int) -> None:
        """Time goes on, and of the open flows nothing comes."""
        if now > self._now:
            self._now = now
            self._sweep(now)

    def open_ends(self) -> U64:
        """Of each flow that is followed, or may have late segments, its ends, the lower first."""
        keys = [*self._flows, *self._completed.keys()]
        return np.concatenate([np.array(keys, np.uint64).reshape(-1, 2), self._half_open.ends()])

    def has_any(self, keys: Iterable[Key]) -> bool:
        """Whether any of some flows is among them."""
        ends = np.array([*keys], np.uint64).reshape(-1, 2)
        is_held = self._half_open.holds(half_open.keys(ends[:, 0], ends[:, 1])).any()
        completed = self._completed.keys()
        return bool(is_held) or any(key in self._flows or key in completed for key in keys)

    def may_begin_by(self, key: Key, sequences: Collection[int]) -> bool:
        """Whether a flow, which is open, may have begun by a SYN with one of some sequence numbers."""
        flow = self._flows.get(key)
        if flow is None:
            return bool(sequences)
        older = flow.older.isns if flow.older is not None else ()
        return any(isn in sequences for isn in (*flow.isns, *older) if isn is not None)

    def forget(self, followed: Mapping[FlowKey, int]) -> None:
        """Do not follow flows that began before the first frame and were followed by somebody else."""
        for key, flow in list(self._flows.items()):
            if flow.began is not None and flow.first[0] <= followed.get(flow.began, -1):
                del self._flows[key]
                flow.consumer.release()
