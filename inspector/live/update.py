"""What the loop of a live capture tells, whom, and what it keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from inspector.document import Finding, Incident
from inspector.extract.journal import Journal
from inspector.findings.judge import Analysis
from inspector.live.outputs.held_evidence import HeldEvidence, WrittenEvidence
from inspector.live.outputs.packet_stream import PacketStream
from inspector.live.outputs.recording import Conditions, Recording
from inspector.live.sources.growing import GrowingLogs
from inspector.tracking.observed import Observed

if TYPE_CHECKING:
    from inspector.live.sources.growing_keys import GrowingKeys


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


@dataclass(slots=True)
class Keeping:
    """What is kept where. ``stop``: conditions at which the capture ends. ``logs``, ``keys``: what is
    read beside it.
    """

    journal: Journal | None = None
    recording: Recording | None = None
    trigger: HeldEvidence | None = None
    stream: PacketStream | None = None
    logs: GrowingLogs | None = None
    keys: GrowingKeys | None = None
    stop: Conditions = field(default_factory=Conditions)

    def flush(self) -> None:
        """What was recorded is on the disk."""
        if self.recording is not None:
            self.recording.flush()

    def settle(self) -> None:
        """What was written is whole on the disk, and the recording at its end."""
        if self.recording is not None:
            self.recording.close()
        if self.journal is not None:
            self.journal.settle()

    def close(self) -> None:
        """Nothing more is written or read."""
        for kept in (self.recording, self.journal, self.logs, self.keys):
            if kept is not None:
                kept.close()

    def is_over(self, seconds: float, packets: int, incidents: int) -> bool:
        """Whether a capture that took so long and saw so much meets a condition to stop."""
        stop, recording = self.stop, self.recording
        if stop.duration is not None and seconds >= stop.duration:
            return True
        if stop.packets is not None and packets >= stop.packets:
            return True
        if stop.incidents is not None and incidents >= stop.incidents:
            return not (self.trigger is not None and self.trigger.is_waiting)
        if recording is None:
            return False
        return bool(
            (stop.filesize is not None and recording.bytes >= stop.filesize * 1000)
            or (stop.files is not None and recording.files > stop.files)
        )
