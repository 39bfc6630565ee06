"""Segments that contradict each other, as facts: what each version holds, and which one the receiver has taken; urgent
data, which receivers read in two ways.
"""

from __future__ import annotations

from inspector.errors.notice import ForeignText
from inspector.facts import AnomalyFact
from inspector.tls.anomalies import ConflictingSegments, UrgentData, VersionTaken
from inspector.wire.flow import Flow
from inspector.wire.overlaps import TakenVersion
from inspector.wire.streams import Stream


def conflict_facts(flow: Flow, client: int) -> tuple[AnomalyFact, ...]:
    """All that was found in a flow, the client's first. ``client``: its lane."""
    return tuple(
        fact
        for lane in (client, 1 - client)
        if flow.streams[lane].conflict_count or flow.streams[lane].urgent is not None
        for fact in _of_stream(flow.streams[lane], lane == client)
    )


def _of_stream(stream: Stream, from_client: bool) -> list[AnomalyFact]:
    facts: list[AnomalyFact] = []
    if stream.urgent is not None:
        at, frame = stream.urgent
        facts.append(AnomalyFact(UrgentData.kind, UrgentData(), from_client, at, "segment", frame))
    overlaps = stream.overlaps
    if overlaps is None:
        return facts
    for conflict in overlaps.conflicts:
        what = ConflictingSegments(
            conflict.length,
            ForeignText(conflict.first.hex(" ")),
            ForeignText(conflict.second.hex(" ")),
            VersionTaken[overlaps.version_taken(conflict).name],
        )
        first, second = conflict.frames
        facts.append(
            AnomalyFact(what.kind, what, from_client, conflict.offset, "segment", frame=second, other_frame=first)
        )
    return facts


def is_contradicted(stream: Stream) -> bool:
    """Whether the receiver may not have taken what was read of a stream."""
    overlaps = stream.overlaps
    if stream.urgent is not None:
        return True
    if overlaps is None or not overlaps.conflicts:
        return False
    return overlaps.is_overfull or any(
        overlaps.version_taken(conflict) in (TakenVersion.SECOND, TakenVersion.UNKNOWN)
        for conflict in overlaps.conflicts
    )
