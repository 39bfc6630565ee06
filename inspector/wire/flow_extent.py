"""How far a flow reaches: the last of its frames, from which sides any came, and where they lie in several captures.
The same wherever a batch begins and ends: also frames that carry nothing count.
"""

from __future__ import annotations

from collections.abc import Sequence

from inspector.capture.references import FRAME_BITS
from inspector.wire.flow import Flow
from inspector.wire.runs import FlowRuns
from inspector.wire.spread import Spread


def reached(flow: Flow, group: FlowRuns, first: int, end: int | None = None) -> None:
    """A flow got the segments of a batch from its row ``first`` on, as far as it was not over. ``end``: the reference
    of the first frame that is not its own.
    """
    references = [flow.last[1]]
    for ns, reference, lane in group.frames(first, end):
        if flow.is_over(ns):
            break
        references.append(reference)
        flow.packets[lane] = True
        flow.last = max(flow.last, (ns, reference))
    is_elsewhere = any((reference ^ flow.first[1]) >> FRAME_BITS for reference in references)
    if is_elsewhere or group.is_mixed or flow.spread is not None:
        widen(flow, references)


def went_on(flow: Flow, group: FlowRuns, first: int) -> None:
    """A flow is still there behind a batch, of which it got what stands from its row ``first`` on."""
    has_all = all(flow.packets)
    is_alone = first == group.spans[0][0]
    if flow.is_over(group.last_ns) or group.is_mixed or not (is_alone or (has_all and not group.spread)):
        reached(flow, group, first)
        return
    if not has_all:
        flow.packets = [known or more for known, more in zip(flow.packets, group.sides(), strict=True)]
    last_frame = group.run.frame + group.last_number
    if group.spread:
        widen(flow, group.spread)
    elif flow.spread is not None or group.last_ns < flow.last[0] or (last_frame ^ flow.first[1]) >> FRAME_BITS:
        widen(flow, (group.run.frame + group.run.number[first], last_frame))
    flow.last = max(flow.last, (group.last_ns, last_frame))


def widen(flow: Flow, references: Sequence[int]) -> None:
    """Frames of a flow lie there."""
    flow.spread = (flow.spread or Spread(flow.first[1], flow.last[1])).widened(references)
