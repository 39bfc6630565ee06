"""How far a flow reaches: the last of its frames, and where they lie in several captures. The same wherever a batch
begins and ends: also frames that carry nothing count.
"""

from __future__ import annotations

from inspector.capture.references import FRAME_BITS
from inspector.wire.flow import Flow, Moment
from inspector.wire.runs import FlowRuns
from inspector.wire.spread import Spread


def reached(flow: Flow, group: FlowRuns, until: Moment) -> None:
    """A flow got the segments of a batch that came before ``until``, as far as it was not over."""
    for moment in group.moments(flow.last[0]):
        if moment >= until or flow.is_over(moment[0]):
            return
        if moment[0] > flow.last[0]:
            flow.extend(moment)


def went_on(flow: Flow, group: FlowRuns, behind: int, *, is_alone: bool) -> None:
    """A flow is still there behind a batch. ``behind``: its first row, -1 where none tells anything. ``is_alone``: no
    other of these ends had any.
    """
    run = group.run
    last_frame = run.frame + group.last_number
    if group.is_mixed and is_alone and not group.spread:
        references = [reference for _, reference in group.moments()]
        flow.spread = (flow.spread or Spread(flow.first[1], flow.last[1])).widened((min(references), max(references)))
    if flow.is_over(group.last_ns):
        reached(flow, group, (group.last_ns, last_frame))
        return
    if group.spread:
        frames = group.spread if is_alone else (last_frame,)
        flow.spread = (flow.spread or Spread(flow.first[1], flow.last[1])).widened(frames)
    elif flow.spread is not None or group.last_ns < flow.last[0] or (last_frame ^ flow.first[1]) >> FRAME_BITS:
        first_frame = run.frame + (run.number[behind] if behind >= 0 else group.last_number)
        flow.spread = (flow.spread or Spread(flow.first[1], flow.last[1])).widened((first_frame, last_frame))
    if group.last_ns > flow.last[0]:
        flow.last = (group.last_ns, last_frame)
