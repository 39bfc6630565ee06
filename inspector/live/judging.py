"""Connections judged together, with all that their verdicts need; where that fails, in halves, so that one connection
costs no other its verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from inspector.errors.internal import Border
from inspector.facts import Facts
from inspector.findings import change
from inspector.findings.building import build
from inspector.findings.case import Options
from inspector.findings.finding import Raised
from inspector.findings.judge import Analysis
from inspector.findings.prediction import extended
from inspector.findings.signs import Weighed
from inspector.tracking.certificate_reader import CertificateReader

TRIES = 32
"""So many judgements may fail where one did: halving finds one connection among thousands."""

Changed = dict[str, tuple[bool, bool]]
"""Connections that are to be judged, by id: whether each is new, and whether it is over."""


class JudgedPart(NamedTuple):
    """Some connections that were judged. ``aborts``: also those among what it took to judge them."""

    changed: Changed
    analysis: Analysis
    aborts: list[Raised[Weighed]]


def judged_in_parts(
    changed: Changed, around: Callable[[Changed], Facts], options: Options, reader: CertificateReader, border: Border
) -> Iterator[JudgedPart]:
    """All of them in one part, where nothing fails. ``around``: some with what their verdicts need."""
    todo = [changed]
    tries = TRIES
    while todo:
        part = todo.pop()
        judged = None
        with border:
            judged = _judged(part, around(part), options, reader)
        if judged is not None:
            yield judged
            continue
        tries -= 1
        if len(part) > 1 and tries > 0:
            names = list(part)
            middle = len(names) // 2
            todo += [{name: part[name] for name in half} for half in (names[middle:], names[:middle])]


def _judged(changed: Changed, facts: Facts, options: Options, reader: CertificateReader) -> JudgedPart:
    case = build(facts, options, reader)
    ems = [extended(case, service) for service in case.services]
    return JudgedPart(changed, Analysis(case), list(change.aborts(case, ems)))
