"""Which rule is asked for what: all that is found of a case. What a rule is called, and how severe it is, stands in
``document.rules``; what it looks for, in the file of its subject.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

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

Occurrence = TypeVar("Occurrence")


def occurrences(case: Case, ems: Sequence[Extended], compared: Sequence[ComparedPool]) -> Occurrences:
    """What happened to the connections. ``ems``: who does it, ``compared``: the members of the pool, of each
    service.
    """
    aborts = _heard(case, lambda: change.aborts(case, ems))
    with case.border:
        attribute_aborts(compared, aborts)
    with case.border:
        tell_aftermath(case, aborts)
    explained = {raised.on[-1].index for raised in aborts} | case.columns.renegotiating
    return Occurrences(
        aborts,
        _heard(case, lambda: renegotiation.renegotiations(case)),
        _heard(case, lambda: failures.failures(case, explained, compared)),
        _heard(case, lambda: stale(case)),
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
    states = [assessment.state for assessment in assessments]
    at_risk = {index for index, state in enumerate(states) if state in ("exposed", "confirmed")}
    explained = {
        (raised.on[0].service, raised.finding.about.attribute) for raised in happened.failures if raised.finding.about
    }
    confirmed = [raised.on[-1] for raised in happened.aborts if raised.is_confirmed]
    exposed = [
        (case.services[index], assessment, ems[index])
        for index, assessment in enumerate(assessments)
        if assessment.state == "exposed"
    ]
    rules: tuple[Callable[[], Iterable[doc.Finding]], ...] = (
        lambda: change.tolerated(case, confirmed),
        lambda: pool.rotations(case),
        lambda: pool.expiry(case, compared, happened.failures),
        lambda: (change.exposed(case, *service) for service in exposed),
        lambda: pool.drift(compared, at_risk, ems, explained),
        lambda: drift_of_answers(compared, explained),
        lambda: resumption_lost(compared),
        lambda: conflicting_segments(case),
    )
    for rule in rules:
        yield from _heard(case, rule)


def _heard(case: Case, rule: Callable[[], Iterable[Occurrence]]) -> list[Occurrence]:
    """What a rule finds, up to where it stumbles."""
    heard: list[Occurrence] = []
    with case.border:
        heard.extend(rule())
    return heard
