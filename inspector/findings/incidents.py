"""Incidents: the way of each session that ended with an abort, in a line."""

from __future__ import annotations

from inspector import document as doc
from inspector.findings.case import Case
from inspector.findings.change import ABORT
from inspector.text.times import moment
from inspector.tracking.observed import Observed


def incidents(case: Case, findings: list[doc.Finding]) -> list[doc.Incident]:
    """One for each connection that was aborted because of the change."""
    named = {c for f in findings if f.rule == ABORT for c in f.connections}
    by_id: dict[str, Observed] = {s.id: s for s in case.observed if s.id in named}
    listed: list[doc.Incident] = []
    for finding in findings:
        if finding.rule != ABORT or finding.service is None or finding.first is None:
            continue
        chain = [by_id[c] for c in finding.connections]
        words = (
            ["full", "resumed", "declined"]
            if len(chain) == 3
            else ["full", "declined"]
            if case.judgements[chain[-1].index].cached_leaf
            else ["resumed", "declined"]
        )
        path = " → ".join(f"{case.label(s)} {word}" for s, word in zip(chain, words[-len(chain) :], strict=True))
        session = chain[-1].entry.session
        key = session.key.hex()[:8] if session else ""
        certainty = "aborted" if finding.verdict == "confirmed" else "perhaps aborted"
        story = f"session {key}: {path}, {certainty}"
        listed.append(
            doc.Incident(
                id=finding.id,
                service=finding.service,
                at=finding.first,
                connections=finding.connections,
                findings=[finding.id],
                summary=f"{moment(chain[-1].hello_ns)} {story}",
                path=story,
            )
        )
    listed.sort(key=lambda i: (i.at, i.id))
    return listed
