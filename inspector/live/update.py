"""What the loop of a live capture tells, whom, and what it keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from inspector.document import Finding, Incident
from inspector.extract.journal import Journal
from inspector.findings.judge import Analysis
from inspector.live.outputs.recording import Limits, Recording
from inspector.live.outputs.trigger import Trigger, Written
from inspector.live.sources.growing import GrowingLogs
from inspector.tracking.observed import Observed

if TYPE_CHECKING:
    from inspector.live.sources.growing_keys import GrowingKeys


NewsKind = Literal["source", "drops", "clock", "disk", "journal", "log", "exec", "evidence"]
"""What a person should know of: sources, packets that were dropped, a clock that was set, what could not be written,
logs that cannot be followed, commands on incidents, packets that were written.
"""


class Update:
    """What one tick brought. ``analysis``: of the new connections and what their verdicts need. ``decided``: places of
    connections whose handshake was decided; ``ended``: of those that are over. ``findings`` with their ``incidents``:
    the aborts among them.
    """

    def __init__(
        self, analysis: Analysis, decided: list[int], ended: list[int], findings: list[Finding], found: list[Incident]
    ) -> None:
        self.analysis = analysis
        self.decided = decided
        self.ended = ended
        self.findings = findings
        self.incidents = found

    def seen(self, places: list[int]) -> list[Observed]:
        """Connections by their places."""
        return [self.analysis.case.observed[place] for place in places]


class Listener(Protocol):
    """Who is told."""

    def update(self, update: Update) -> None:
        """Connections were decided or ended."""

    def news(self, at_ns: int, kind: NewsKind, text: str) -> None:
        """Something that a person should know."""

    def written(self, written: Written) -> None:
        """The packets of an incident lie on the disk, or do not."""

    def tick(self) -> None:
        """Some tenths of a second have passed."""

    def second(self) -> None:
        """A second has passed."""


@dataclass(slots=True)
class Keeping:
    """What is kept where. ``stop``: conditions at which the capture ends. ``logs``, ``keys``: what is
    read beside it.
    """

    journal: Journal | None = None
    recording: Recording | None = None
    trigger: Trigger | None = None
    logs: GrowingLogs | None = None
    keys: GrowingKeys | None = None
    stop: Limits = field(default_factory=Limits)
