"""What a side had acknowledged when a segment came: bytes that its receiver has, it takes from no later one.

Most acknowledgements carry nothing else, and nobody follows them. They are looked up where two segments contradict each
other, and at the end of a batch where the next one may contradict what was read. What was sent and acknowledged by then
is kept as sequence numbers: where a direction's first segment was not captured yet, nobody knows how many bytes that
are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inspector.wire.acknowledgements import PLAUSIBLE_BYTES, ReceivedBytes
from inspector.wire.flow import Flow
from inspector.wire.grouping import Grouped
from inspector.wire.runs import FlowRuns
from inspector.wire.sequence_numbers import distance


class UnsettledFlows:
    """Flows of a batch of whose first bytes more may be acknowledged there than was seen."""

    def __init__(self) -> None:
        self._flows: list[tuple[Flow, int]] = []
        """Each with which of the grouped ones it is."""

    def note(self, flow: Flow, index: int) -> None:
        """Whether a flow is one, and the older one beside it. ``index``: which of the grouped flows it is."""
        if any(stream.compares_beyond(flow.received[lane][1]) for lane, stream in enumerate(flow.streams)):
            self._flows.append((flow, index))
        if flow.older is not None:
            self.note(flow.older, index)

    def note_received(self, grouped: Grouped) -> None:
        """Remember, at the end of the batch, what was sent and acknowledged of what their next segments are compared
        with, and let go of them.
        """
        for lane in (0, 1):
            there = [(flow, index) for flow, index in self._flows if flow.streams[lane].is_placed]
            if there:
                _note_received_of(lane, there, grouped)
        self._flows.clear()


def _note_received_of(lane: int, unsettled: Sequence[tuple[Flow, int]], grouped: Grouped) -> None:
    flows = [flow for flow, _ in unsettled]
    begins = [_begin(flow, lane) for flow in flows]
    known = [_known(flow, lane, begin) for flow, begin in zip(flows, begins, strict=True)]
    received = grouped.received(
        np.array([index for _, index in unsettled], np.int64),
        lane,
        np.array(begins, np.int64),
        ReceivedBytes(*np.array(known, np.int64).T),
        np.array([flow.first[0] for flow in flows], np.int64),
    )
    for flow, begin, *counts in zip(flows, begins, *(column.tolist() for column in received), strict=True):
        sent, acknowledged = (begin + count & 0xFFFFFFFF if count >= 0 else None for count in counts)
        flow.received[lane] = sent, acknowledged


def _begin(flow: Flow, lane: int) -> int:
    """The sequence number of the first byte, or the first that was seen."""
    return flow.streams[lane].initial_sequence() + 1 & 0xFFFFFFFF


def _known(flow: Flow, lane: int, begin: int) -> tuple[int, int]:
    """How many bytes were sent and acknowledged before the batch; -1 for none."""
    sent, acknowledged = (distance(begin, number) if number is not None else -1 for number in flow.received[lane])
    return (sent, acknowledged) if -1 <= acknowledged <= sent <= PLAUSIBLE_BYTES else (-1, -1)


def weigh_conflicts(flow: Flow, lane: int, known: int, group: FlowRuns) -> None:
    """Which of the conflicts that were just found in a direction are about bytes that its receiver had. ``known``: how
    many there were before. Where directions may lie in two captures nobody knows what came first.
    """
    stream = flow.streams[lane]
    overlaps, acknowledgements = stream.overlaps, group.acknowledgements()
    if overlaps is None or acknowledgements is None:
        return
    known = max(known, stream.conflicts_of_waiting)
    begin = _begin(flow, lane)
    before = _known(flow, lane, begin)
    is_in_one = flow.spread is None or not flow.spread.ranges()
    for conflict in overlaps.conflicts[known:]:
        first, second = conflict.frames
        if is_in_one and acknowledgements.lie_in_one(flow.first[1], second):
            had = acknowledgements.before(second, lane, begin, before, flow.first[0])
            conflict.acknowledged = first < second and had >= conflict.offset + conflict.length
    # Whoever asks whether the other side is there may send any byte in place of one that it had (RFC 9293, 3.8.4).
    overlaps.conflicts[known:] = [
        conflict for conflict in overlaps.conflicts[known:] if not (conflict.is_one_byte and conflict.acknowledged)
    ]
