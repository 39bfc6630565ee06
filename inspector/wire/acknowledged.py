"""What a side had acknowledged when a segment came: bytes that its receiver has, it takes from no later one.

Most acknowledgements carry nothing else, and nobody follows them. They are looked up where a direction's first bytes
are on their way yet, and where two segments contradict each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inspector.capture.frames import I64
from inspector.capture.references import FRAME_BITS
from inspector.wire.flow import Flow
from inspector.wire.runs import Acknowledgements, FlowRuns, Grouped
from inspector.wire.sequence_numbers import distance
from inspector.wire.streams import Stream


def note_acknowledged(unsettled: Sequence[tuple[Flow, int]], grouped: Grouped) -> None:
    """Remember, at the end of a batch, what was acknowledged of what flows' next segments are compared with.
    ``unsettled``: flows, and which of the grouped ones each is.
    """
    flows = [flow for flow, _ in unsettled]
    begins = [[stream.initial_sequence() + 1 for stream in flow.streams] for flow in flows]
    tops = [[stream.top + 1 if stream.anchored else -1 for stream in flow.streams] for flow in flows]
    highest = grouped.highest_acknowledged(
        np.array([index for _, index in unsettled], np.int64),
        np.array(begins, np.int64),
        np.array(tops, np.int64),
        np.array([flow.first[0] for flow in flows], np.int64),
    )
    for flow, numbers in zip(flows, highest, strict=True):
        flow.acknowledged = [max(known, more) for known, more in zip(flow.acknowledged, numbers, strict=True)]


def weigh_conflicts(flow: Flow, lane: int, known: int, group: FlowRuns) -> None:
    """Which of the conflicts that were just found in a direction are about bytes that its receiver had. ``known``: how
    many there were before. Where directions may lie in two captures nobody knows what came first.
    """
    stream = flow.streams[lane]
    overlaps = stream.overlaps
    if overlaps is None:
        return
    acknowledgements = group.acknowledgements(1 - lane)
    for conflict in overlaps.conflicts[known:]:
        first, second = conflict.frames
        if not _lies_in_one(flow, acknowledgements.frames + group.run.frame, second):
            continue
        had = max(flow.acknowledged[lane], _highest(flow, stream, acknowledgements, second - group.run.frame))
        conflict.acknowledged = first < second and had >= conflict.offset + conflict.length
    # Whoever asks whether the other side is there may send any byte in place of one that it had (RFC 9293, 3.8.4).
    overlaps.conflicts[known:] = [
        conflict for conflict in overlaps.conflicts[known:] if not (conflict.is_one_byte and conflict.acknowledged)
    ]


def _lies_in_one(flow: Flow, frames: I64, last: int) -> bool:
    """Whether all frames of a flow up to one are of one capture. ``frames``: the references of those in this batch."""
    if flow.spread is not None and flow.spread.ranges():
        return False
    begin, end = (np.flatnonzero(frames == reference) for reference in (flow.first[1], last))
    known = frames[begin[0] if len(begin) else 0 : end[0] + 1 if len(end) else None]
    return not bool(((known ^ flow.first[1]) >> FRAME_BITS).any())


def _highest(flow: Flow, stream: Stream, acknowledgements: Acknowledgements, frame: int) -> int:
    """How many bytes of a stream were acknowledged before a frame comes."""
    if not stream.anchored or not len(acknowledgements.row):
        return 0
    at = np.flatnonzero(acknowledgements.frames == frame)
    before = acknowledgements.row < (at[0] if len(at) else 0)
    numbers = acknowledgements.number[before & (acknowledgements.time_ns >= flow.first[0])]
    offsets = distance(stream.initial_sequence() + 1, numbers)
    offsets = offsets[offsets <= stream.top + 1]  # nobody has what was not sent
    return int(offsets.max()) if len(offsets) else 0
