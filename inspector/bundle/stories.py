"""Findings in full: each told by one connection, with its ladder, the reason step by step, and two certificates one
beside the other.
"""

from __future__ import annotations

from dataclasses import dataclass

from inspector.bundle.figures import LadderDrawing, ladder_drawing
from inspector.bundle.statements import EvidenceFrames, Statement, evidence_of, statements_of
from inspector.document import Finding, Incident
from inspector.findings.failures import RULE as FAILED
from inspector.findings.judge import Analysis
from inspector.findings.renegotiation import CHANGED
from inspector.reports import why, why_failed
from inspector.reports.lines import plain
from inspector.reports.renegotiation import renegotiation_lines
from inspector.reports.story import Ladder, chapters, ladder, lane_names
from inspector.reports.text import ladder_lines
from inspector.text.zones import TimeZone

SENTENCE_WIDTH = 110


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldStory:
    """A finding in full, told by one connection. ``lines``: the ladder as text. ``rows``: two certificates, one beside
    the other.
    """

    finding: Finding
    drawing: LadderDrawing
    lines: list[str]
    steps: list[Statement]
    evidence: list[Statement]
    rows: list[why.ReasonRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentStory(ToldStory):
    """An incident. ``rows``: both certificates; ``decided``: by which step. ``line``: it in a line."""

    incident: Incident
    line: str
    decided: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureStory(ToldStory):
    """Failed handshakes, told by the first of them. ``rows``: the certificate that was accepted elsewhere beside the
    one that was not, below what they are ``called``.
    """

    called: tuple[str, str]


def incident_story(
    analysis: Analysis, incident: Incident, finding: Finding, frames: EvidenceFrames, zone: TimeZone
) -> IncidentStory:
    """Of an incident."""
    ladder_of: Ladder = ladder(analysis, incident, zone)
    steps = statements_of(why.steps(analysis, incident), frames)
    rows, decided = why.certificates(analysis, incident)
    return IncidentStory(
        incident=incident,
        line=ladder_of.title,
        finding=finding,
        drawing=ladder_drawing(ladder_of, lane_names(analysis.document, ladder_of), frames.numbers),
        lines=ladder_lines(ladder_of),
        steps=steps,
        evidence=evidence_of(frames, finding),
        rows=rows,
        decided=decided,
    )


def failure_story(analysis: Analysis, finding: Finding, frames: EvidenceFrames, zone: TimeZone) -> FailureStory:
    """Of failed handshakes."""
    observed = analysis.case.by_id(finding.connections[0])
    ladder_of = Ladder(finding.title, chapters(analysis, observed, zone))
    rows, works, fails = why_failed.certificates(analysis, finding)
    return FailureStory(
        finding=finding,
        drawing=ladder_drawing(ladder_of, lane_names(analysis.document, ladder_of), frames.numbers),
        lines=ladder_lines(ladder_of),
        steps=statements_of(why_failed.steps(analysis, finding, zone), frames),
        evidence=evidence_of(frames, finding),
        rows=rows,
        called=(works, fails),
    )


def ladder_text(analysis: Analysis, finding: Finding, zone: TimeZone) -> list[str]:
    """The connection of a renegotiation that matters, or the first one of those that failed."""
    if finding.rule not in (CHANGED, FAILED):
        return []
    observed = analysis.case.by_id(finding.connections[0])
    if finding.rule == FAILED:
        return ladder_lines(Ladder("", chapters(analysis, observed, zone)))
    sentences = [
        line
        for number in range(len(observed.renegotiations))
        for line in ["", *map(plain, renegotiation_lines(analysis, observed, number, SENTENCE_WIDTH))]
    ]
    return [*ladder_lines(Ladder("", chapters(analysis, observed, zone))), *sentences]
