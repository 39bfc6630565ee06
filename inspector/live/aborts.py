"""The aborts that a live capture knows: each is told once as its verdict stands, and its incident counts once. One that
is only possible is judged again with what comes.
"""

from __future__ import annotations

from collections.abc import Iterable

from inspector.document import Finding, Incident
from inspector.findings.incidents import incidents
from inspector.live.judging import JudgedPart
from inspector.live.latest_states import LatestStates
from inspector.live.update import Update

DOUBTFUL = 50
KNOWN = 10_000
"""Findings that are known to have been announced, and incidents."""


class KnownAborts:
    """``incidents``: how many there were."""

    def __init__(self) -> None:
        self.incidents = 0
        self._announced: LatestStates[str] = LatestStates(KNOWN)
        self._incidents: LatestStates[None] = LatestStates(KNOWN)
        self._doubtful: LatestStates[None] = LatestStates(DOUBTFUL)

    @property
    def doubtful(self) -> Iterable[str]:
        """Connections that are to be judged again."""
        return self._doubtful

    def update(self, part: JudgedPart) -> Update:
        """What is new of connections that were judged."""
        changed, analysis, aborts = part
        case = analysis.case
        indexes = {o.id: o.index for o in case.observed if o.id in changed}
        decided = sorted(index for name, index in indexes.items() if changed[name][0])
        ended = sorted(index for name, index in indexes.items() if changed[name][1])
        announced = []
        wanted = set(indexes.values())
        for raised in aborts:
            finding, connection = raised.finding, raised.on[-1]
            if connection.index in wanted:
                self._doubt(connection.id, finding)
                if self._announced.note(finding.id, finding.verdict):
                    announced.append(raised)
        their_incidents = incidents(case, announced)
        self.incidents += sum(incident.id not in self._incidents for incident in their_incidents)
        return Update(analysis, decided, ended, [raised.finding for raised in announced], their_incidents)

    def _doubt(self, name: str, finding: Finding) -> None:
        """How its client takes the same certificate later may settle what is only possible."""
        if finding.verdict == "confirmed":
            self._doubtful.drop(name)
        else:
            self._doubtful.note(name, None)

    def is_new(self, incident: Incident) -> bool:
        """Whether nobody has asked for this one before."""
        return self._incidents.note(incident.id, None)
