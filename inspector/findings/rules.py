"""Which rule is asked for what: all that is found of a case. What a rule is called, and how severe it is, stands in
``document.rules``; what it looks for, in the file of its subject.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from inspector import document as doc
from inspector.findings import change, failures, pool, renegotiation
from inspector.findings.aftermath import tell_aftermath
from inspector.findings.case import Case
from inspector.findings.compared import ComparedPool
from inspector.findings.conflicting import conflicting_segments
from inspector.findings.drift import drift_of_answers
from inspector.findings.odd_member import attribute_aborts
from inspector.findings.prediction import Extended
from inspector.findings.resumption import resumption_lost
from inspector.findings.scene import Occurrences
from inspector.findings.stale import stale


def occurrences(case: Case, ems: Sequence[Extended], compared: Sequence[ComparedPool]) -> Occurrences:
    """What happened to the connections. ``ems``: who does it, ``compared``: the members of the pool, of each
    service.
    """
    aborts = list(change.aborts(case, ems))
    attribute_aborts(compared, aborts)
    tell_aftermath(case, aborts)
    explained = {raised.on[-1].index for raised in aborts} | {s.index for s in case.observed if s.renegotiations}
    return Occurrences(
        aborts,
        list(renegotiation.renegotiations(case)),
        list(failures.failures(case, explained, compared)),
        list(stale(case)),
    )


def findings(
    case: Case,
    happened: Occurrences,
    assessments: Sequence[doc.Assessment],
    ems: Sequence[Extended],
    compared: Sequence[ComparedPool],
) -> Iterator[doc.Finding]:
    """Of all rules but that of what the captures lack."""
    yield from (raised.finding for raised in happened.aborts)
    yield from (raised.finding for raised in happened.renegotiations)
    yield from (raised.finding for raised in happened.failures)
    yield from (raised.finding for raised in happened.stale)
    yield from change.tolerated(case, [raised.on[-1] for raised in happened.aborts if raised.is_confirmed])
    yield from pool.rotations(case)
    yield from pool.expiry(case, compared, happened.failures)
    for service, assessment in zip(case.services, assessments, strict=True):
        if assessment.state == "exposed":
            yield change.exposed(case, service, assessment, ems[service.index])
    at_risk = {s.index for s, a in zip(case.services, assessments, strict=True) if a.state in ("exposed", "confirmed")}
    explained = {
        (raised.on[0].service, raised.finding.about.attribute) for raised in happened.failures if raised.finding.about
    }
    yield from pool.drift(compared, at_risk, ems, explained)
    yield from drift_of_answers(compared, explained)
    yield from resumption_lost(compared)
    yield from conflicting_segments(case)
