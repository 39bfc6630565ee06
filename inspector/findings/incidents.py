"""Incidents: the way of each session that ended with an abort, in a line."""

from __future__ import annotations

from collections.abc import Sequence

from inspector import document as doc
from inspector.findings.case import Case
from inspector.findings.finding import Raised
from inspector.findings.signs import Weighed
from inspector.text.zones import UTC


def incidents(case: Case, aborts: Sequence[Raised[Weighed]]) -> list[doc.Incident]:
    """One for each connection that was aborted because of the change."""
    listed: list[doc.Incident] = []
    for raised in aborts:
        finding, chain = raised.finding, raised.on
        if finding.service is None or finding.first is None:
            continue
        words = (
            ["full", "resumed", "declined"]
            if len(chain) == 3
            else ["full", "declined"]
            if case.judgements[chain[-1].index].cached_leaf
            else ["resumed", "declined"]
        )
        path = " → ".join(f"{case.label(s)} {word}" for s, word in zip(chain, words[-len(chain) :], strict=True))
        session = chain[-1].session
        key = session.key.hex()[:8] if session else ""
        certainty = "aborted" if raised.is_confirmed else "perhaps aborted"
        story = f"session {key}: {path}, {certainty}"
        listed.append(
            doc.Incident(
                id=finding.id,
                service=finding.service,
                at=finding.first,
                connections=finding.connections,
                findings=[finding.id],
                summary=f"{UTC.stamp(chain[-1].hello_ns)} {story}",
                path=story,
            )
        )
    listed.sort(key=lambda i: (i.at, i.id))
    return listed
