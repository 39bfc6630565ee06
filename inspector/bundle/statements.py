"""Statements about packets, and where each stands: in the original, in the evidence, and as a line for Wireshark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inspector.document import Finding, FrameRef
from inspector.facts import FRAME_BITS, frame_reference
from inspector.findings.judge import Analysis
from inspector.reports import overview, why

EVIDENCE = 6
"""Of a finding, as many are told."""


@dataclass(frozen=True, slots=True)
class Location:
    """``original``: as people count. ``evidence``: frame numbers there, empty where it is not among the evidence.
    ``filter``: for Wireshark.
    """

    original: str
    evidence: str
    filter: str


class EvidenceFrames:
    """From the frames of the input to those of the evidence."""

    def __init__(self, analysis: Analysis, evidence: dict[int, int]) -> None:
        self.numbers = evidence
        self._analysis = analysis

    def location(self, references: Sequence[int]) -> Location | None:
        """None where no frame is known."""
        known = [r for r in dict.fromkeys(references) if r]
        if not known:
            return None
        numbers = [self.numbers[r] for r in known if r in self.numbers]
        named = " || ".join(f"frame.number == {n}" for n in (numbers or [r & (1 << FRAME_BITS) - 1 for r in known]))
        return Location(why.frame_text(self._analysis, *known), ", ".join(map(str, numbers)), named)

    def location_of(self, frames: Sequence[FrameRef]) -> Location | None:
        """The same for references as the document writes them."""
        return self.location([frame_reference(capture, number) for capture, number in frames])


@dataclass(frozen=True, slots=True)
class Statement:
    """One claim: its mark, what it says, how sure it is, where it stands."""

    mark: str
    text: str
    grade: str
    where: Location | None


def evidence_of(frames: EvidenceFrames, finding: Finding) -> list[Statement]:
    """What proves it."""
    return [
        Statement(e.role.replace("_", " "), e.text, overview.WORDS[finding.grade], frames.location_of(e.frames))
        for e in finding.evidence[:EVIDENCE]
    ]


def statements_of(steps: Sequence[why.ReasonStep], frames: EvidenceFrames) -> list[Statement]:
    """The steps of a reason."""
    return [
        Statement(why.MARKS[s.holds], s.text, overview.WORDS[s.grade], frames.location(s.references)) for s in steps
    ]
