"""What the loop of a live capture tells, and whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from inspector.document import Finding, Incident
from inspector.findings.judge import Analysis
from inspector.live.outputs.held_evidence import WrittenEvidence
from inspector.tracking.observed import Observed

NewsKind = Literal["source", "drops", "clock", "disk", "journal", "log", "exec", "evidence", "output"]
"""What a person should know of: sources, packets that were dropped, a clock that was set, what could not be written,
logs that cannot be followed, commands on incidents, packets that were written, lines that were not read.
"""


@dataclass(frozen=True, slots=True)
class Update:
    """What one tick brought. ``analysis``: of the new connections and what their verdicts need. ``decided``: indexes of
    connections whose handshake was decided; ``ended``: of those that are over. ``findings`` with their ``incidents``:
    the aborts among them.
    """

    analysis: Analysis
    decided: list[int]
    ended: list[int]
    findings: list[Finding]
    incidents: list[Incident]

    def observed(self, indexes: list[int]) -> list[Observed]:
        """Connections by their indexes."""
        return [self.analysis.case.observed[index] for index in indexes]


class Listener(Protocol):
    """Who is told."""

    def update(self, update: Update) -> None:
        """Connections were decided or ended."""

    def news(self, at_ns: int, kind: NewsKind, text: str) -> None:
        """Something that a person should know."""

    def written(self, written: WrittenEvidence) -> None:
        """The packets of an incident lie on the disk, or do not."""

    def tick(self) -> None:
        """Some tenths of a second have passed."""

    def second(self) -> None:
        """A second has passed."""
