"""The last minutes of frames in memory, for those of an incident's story to be written a moment after it, so that the
end of its connections is among them.

Held are handshakes, record headers, and what else is small; of flows that move much data only what the analysis looked
at.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from inspector.capture.frames import I64, FrameBatch, packed
from inspector.document import Finding, Incident
from inspector.facts import ConnectionFacts, frame_reference
from inspector.findings.judge import Analysis
from inspector.packets import reread as evidence
from inspector.text.times import SECOND_NS
from inspector.tracking.observed import connection_id
from inspector.wire.parsed_extent import ParsedExtent
from inspector.wire.segments import SegmentBatch

AFTER_NS = 2 * SECOND_NS
"""So long after an incident its packets are written."""

BEFORE_NS = 600 * SECOND_NS
BYTES = 16 << 20
A_MINUTE = 30
"""Incidents whose packets are written."""

COLUMN_BYTES = 48
"""What the columns of a frame take beside its bytes."""


def kept_lengths(batch: FrameBatch, segments: SegmentBatch, extent: ParsedExtent | None) -> tuple[I64, I64]:
    """How many bytes of each frame are worth keeping, and the rows of the frames that are worth holding: int64 arrays.

    Frames that carry no segment, or came through a tunnel, are kept whole.
    """
    keep = batch.captured.copy()
    is_useful = np.ones(len(batch), np.bool_)
    if extent is None or segments.data is not batch.data or not len(segments):
        return keep, np.flatnonzero(is_useful)
    first = int(batch.number[0])
    rows = segments.number - first
    keep[rows] = segments.start - batch.offset[rows]
    looked = extent.bytes()
    rows = extent.number - first
    keep[rows] += looked
    is_useful[rows] = ~extent.busy | extent.control | (looked > 0)
    return np.minimum(keep, batch.captured), np.flatnonzero(is_useful)


def compact(batch: FrameBatch, keep: I64, rows: I64) -> FrameBatch:
    """Some frames, cut, in a buffer of their own."""
    data = batch.data.data
    buffer, offset, captured = packed(
        [data[at : at + count] for at, count in zip(batch.offset[rows].tolist(), keep[rows].tolist(), strict=True)]
    )
    return FrameBatch(
        data=buffer,
        time_ns=batch.time_ns[rows],
        offset=offset,
        captured=captured,
        original=batch.original[rows],
        link_type=batch.link_type[rows],
        number=batch.number[rows],
        capture=batch.capture,
    )


class EvidenceRequest(NamedTuple):
    """An incident whose packets are to be written. ``flows`` gives them as they are known by then. ``comments``: by
    frame reference.
    """

    id: str
    due_ns: int
    comment: str
    comments: dict[int, str]
    flows: Callable[[], list[evidence.FlowFrames]]


def said_on_frames(finding: Finding) -> dict[int, str]:
    """What the evidence of a finding says on which frame, by reference."""
    texts: dict[int, list[str]] = {}
    for item in finding.evidence:
        for capture, number in item.frames:
            texts.setdefault(frame_reference(capture, number), []).append(f"{finding.rule}, {item.role}: {item.text}")
    return {reference: "; ".join(dict.fromkeys(parts)) for reference, parts in texts.items()}


def wanted_of(
    analysis: Analysis,
    finding: Finding,
    incident: Incident,
    due_ns: int,
    known: Callable[[Iterable[str]], list[ConnectionFacts]],
) -> EvidenceRequest:
    """The packets of an incident's story, with comments that name rule and role. ``known``: connections by id, as they
    are known by then.
    """
    by_id = {o.id: o for o in analysis.case.observed}
    story = [by_id[name] for name in incident.connections if name in by_id]
    names = [connection_id(leg) for connection in story for leg in (connection.client_leg, *connection.legs)]
    comments = {reference: f"inspector: {text}" for reference, text in said_on_frames(finding).items()}
    comment = (
        f"inspector: incident {incident.id} at {incident.at}: {finding.title}. Rule {finding.rule}, {finding.verdict},"
        f" {finding.grade}."
    )
    return EvidenceRequest(
        incident.id, due_ns, comment, comments, lambda: [evidence.flow_of(connection) for connection in known(names)]
    )


class WrittenEvidence(NamedTuple):
    """What became of it. ``path``: empty where nothing was written, and then ``problem`` says why. ``missing``: flows
    of which nothing was held any more.
    """

    id: str
    path: str
    frames: int
    missing: int
    problem: str


class HeldEvidence:
    """``held_bytes``: of memory; ``skipped``: incidents whose packets were not written, because there were too many."""

    def __init__(self, before_ns: int = BEFORE_NS, most_bytes: int = BYTES) -> None:
        self.held_bytes = 0
        self.skipped = 0
        self.written = 0
        self._before_ns = before_ns
        self._most_bytes = most_bytes
        self._buffered: deque[FrameBatch] = deque()
        self._wanted: deque[EvidenceRequest] = deque()
        self._minute = (0, 0)

    @property
    def is_waiting(self) -> bool:
        """Whether packets are still to be written."""
        return bool(self._wanted)

    def hold(self, batch: FrameBatch, keep: I64, rows: I64) -> None:
        """Frames that may be wanted later."""
        if not len(rows):
            return
        piece = compact(batch, keep, rows)
        self._buffered.append(piece)
        self.held_bytes += self._size(piece)
        newest = int(piece.time_ns[-1])
        while len(self._buffered) > 1 and (
            self.held_bytes > self._most_bytes or newest - int(self._buffered[0].time_ns[-1]) > self._before_ns
        ):
            self.held_bytes -= self._size(self._buffered.popleft())

    @staticmethod
    def _size(batch: FrameBatch) -> int:
        return len(batch.data) + COLUMN_BYTES * len(batch)

    def want(self, wanted: EvidenceRequest) -> WrittenEvidence | None:
        """Write the packets of an incident when they are due; an answer at once where they will not be written."""
        minute, count = self._minute
        now = wanted.due_ns // (60 * SECOND_NS)
        count = count + 1 if minute == now else 1
        self._minute = (now, count)
        why = f"more than {A_MINUTE} incidents in a minute" if count > A_MINUTE else self._obstacle()
        if why:
            self.skipped += 1
            return WrittenEvidence(wanted.id, "", 0, 0, f"{why}: the packets of this one are not written")
        self._wanted.append(wanted)
        return None

    def due(self, now_ns: int, at_once: bool = False) -> list[WrittenEvidence]:
        """Write what is due; at the end, all."""
        done: list[WrittenEvidence] = []
        while self._wanted and (
            at_once or self._wanted[0].due_ns <= now_ns or now_ns < self._wanted[0].due_ns - 2 * AFTER_NS
        ):
            done.append(self._write(self._wanted.popleft()))
        return done

    def _frames_of(self, flows: list[evidence.FlowFrames]) -> Iterator[tuple[FrameBatch, SegmentBatch]]:
        """Those that are held, in the order of time."""
        return evidence.frames_of(self._buffered, flows)

    def _obstacle(self) -> str:
        """Why no more may be written, empty where nothing speaks against it."""
        raise NotImplementedError

    def _write(self, wanted: EvidenceRequest) -> WrittenEvidence:
        raise NotImplementedError
