"""What leads: an assessment speaks first of what is wrong, the worst before all, and where it happens; what Java's rule
says of the service stands below.

Connections that failed lead (``troubles``, ``sentence``). Where none did, a member of the pool leads that makes its
clients pay, by time or by weaker protection: what is more than information. In what else the pool differs is told
behind Java's rule (``headed``).
The state of the assessment, and how sure it is, stay those of Java's rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from inspector.document import About, Assessment, Finding
from inspector.document.rules import Rule
from inspector.findings.case import Case
from inspector.findings.compared import ComparedPool
from inspector.findings.differing import called
from inspector.findings.finding import Matter, Raised
from inspector.findings.gate import CERTIFICATE_CHANGE, is_definite, missing
from inspector.findings.odd_member import member_called
from inspector.findings.scene import Occurrences
from inspector.pool.attributes import PoolAttribute
from inspector.tracking.backends import BackendGroup


class Trouble(NamedTuple):
    """Connections that failed for one reason. ``text``: it completes "failed: …"."""

    finding: Finding
    connections: tuple[int, ...]
    text: str


def troubles(happened: Occurrences) -> list[Trouble]:
    """All that is wrong, what hit most connections first."""
    listed = [
        *(_trouble(raised, raised.matter.text) for raised in happened.failures),
        *(_trouble(raised, raised.matter.text) for raised in happened.stale),
    ]
    return sorted(listed, key=lambda trouble: -len(trouble.connections))


def _trouble(raised: Raised[Matter], text: str) -> Trouble:
    return Trouble(raised.finding, tuple(observed.index for observed in raised.on), text)


def sentence(case: Case, listed: Sequence[Trouble], total: str) -> str:
    """``6 of 18 connections failed, all at back end B (db2.example.com): …``. ``total``: ``18 connections``."""
    hit = {index for trouble in listed for index in trouble.connections}
    worst = listed[0]
    alike = {index for trouble in listed if trouble.text == worst.text for index in trouble.connections}
    where = _where(case, worst) if alike == set(worst.connections) else ""
    if alike == hit:
        return f"{len(hit)} of {total} failed{where}: {worst.text}."
    most = f"{len(alike)} of them{where}: {worst.text}"
    return f"{len(hit)} of {total} failed, {most}."


def _where(case: Case, worst: Trouble) -> str:
    """At which member of the pool, where that is known, and since when, where it was not so before."""
    about = worst.finding.about
    if about is None or about.affected != len(worst.connections):
        return ""
    backend = _backend(case, about)
    if backend is not None:
        return f", all at {member_called(case, backend)}{_since(about)}"
    at = sorted({case.observed[index].backend for index in worst.connections})
    if len(at) < 2 or at[0] < 0 or about.affected != about.reached or not about.elsewhere or len(at) > MOST_NAMED:
        return ""
    return f", all at back ends {', '.join(case.backends[index].label for index in at)}"


def _backend(case: Case, about: About | None) -> BackendGroup | None:
    if about is None or about.backend is None:
        return None
    return next((backend for backend in case.backends if backend.id == about.backend), None)


def _since(about: About) -> str:
    """`` since 17:10:17 UTC``, where it changed."""
    return f" since {about.since[11:19]} UTC" if about.changed and about.since is not None else ""


def java_rule(assessment: Assessment) -> str:
    """What Java's rule says of a service, where something else leads."""
    if assessment.state != "protected" or not assessment.because:
        return in_a_line(assessment.sentence)
    stands = "" if is_definite(assessment) else " as things stand"
    return f"{CERTIFICATE_CHANGE}: protected{stands}, because {assessment.because[0]}"


OF_POOLS = frozenset((Rule.POOL_DRIFT, Rule.RESUMPTION_LOST, Rule.CERTIFICATE_EXPIRED))
"""Rules that speak of a pool at which nothing failed because of that."""

WORST_FIRST = (
    PoolAttribute.VALIDITY,
    PoolAttribute.LATENCY,
    PoolAttribute.VERSIONS,
    PoolAttribute.CIPHER,
    PoolAttribute.RESUMPTION,
)
"""In what a difference costs clients something; all else comes behind."""

MOST_TOLD = 2
"""Sentences behind the first."""


def headed(pool: ComparedPool, assessment: Assessment, findings: Sequence[Finding]) -> Assessment:
    """The assessment of a service with what leads where no connection failed. ``findings``: its own, the most severe
    first.
    """
    if assessment.state in ("confirmed", "exposed"):
        return assessment
    of_pool = [finding for finding in findings if finding.rule in OF_POOLS]
    costly = sorted((finding for finding in of_pool if finding.severity != "info"), key=_rank)
    if assessment.state == "not_this":
        of_members = [f for f in costly if f.about is not None and f.about.backend is not None]
        return _with_sentence(assessment, [assessment.sentence, *_differences(pool, of_members)][:MOST_TOLD])
    behind = [_sentence(pool, finding) for finding in costly]
    merely = list(_differences(pool, [finding for finding in of_pool if finding not in costly]))
    if not costly or assessment.state != "protected":
        return _with_sentence(assessment, [assessment.sentence, *[*behind, *merely][:MOST_TOLD]])
    first = _no_failure(pool, assessment) + behind[0]
    unseen = [f"That is as things stand, for not all was seen: {missing(assessment.unseen)}."] * bool(assessment.unseen)
    remedies = costly[0].remedies
    return msgspec.structs.replace(
        assessment,
        sentence=" ".join([_capital(first), *map(_capital, [*behind[1:], *merely][:MOST_TOLD]), *unseen]),
        because=[java_rule(assessment)],
        do=in_a_line(remedies[0].text) if remedies else assessment.do,
    )


def in_a_line(text: str) -> str:
    """A sentence behind another word: ``Do: …``, ``because …``."""
    return text[0].lower() + text[1:].rstrip(".")


def _with_sentence(assessment: Assessment, sentences: Sequence[str]) -> Assessment:
    return msgspec.structs.replace(assessment, sentence=" ".join(map(_capital, sentences)))


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _no_failure(pool: ComparedPool, assessment: Assessment) -> str:
    """That no connection failed, as far as that was seen; empty where some did."""
    if pool.total[1]:
        return ""
    was_seen = not assessment.unseen and all(observed.outcome == "established" for observed in pool.members)
    return "No connection failed; " if was_seen else "No connection was seen to fail; "


def _rank(finding: Finding) -> int:
    attribute = PoolAttribute(finding.about.attribute) if finding.about is not None else PoolAttribute.VALIDITY
    return WORST_FIRST.index(attribute) if attribute in WORST_FIRST else len(WORST_FIRST)


def _sentence(pool: ComparedPool, finding: Finding) -> str:
    """What clients pay for, at which member, and how it is elsewhere."""
    about, case = finding.about, pool.case
    backend = _backend(case, about)
    if about is None:
        return f"{finding.title[0].lower()}{finding.title[1:]}."
    elsewhere = f"elsewhere {about.others}."
    values = f"{about.value}, {elsewhere}"
    if backend is not None:
        share = f"{about.reached} of {about.reached + about.elsewhere} connections"
        where = f"{member_called(case, backend)}, which {share} reach,"
        return f"{where} is the odd one in {_named(about)}{_since(about)}: {values}"
    if about.attribute == PoolAttribute.LATENCY:
        slow = [member_called(case, b) for b in case.backends if b.id in finding.backends]
        return f"{', '.join(slow[:MOST_NAMED])}{' and others' * (len(slow) > MOST_NAMED)} are slow: {values}"
    difference = pool.difference(PoolAttribute(about.attribute))
    shown = sum(holder.connections for holder in difference.holders) if difference is not None else len(pool.members)
    return f"the pool is mixed in {_named(about)}: {about.value} in {about.reached} of {shown} connections, {elsewhere}"


MOST_NAMED = 3
"""Members of a pool that a sentence names."""


def _named(about: About) -> str:
    return called(PoolAttribute(about.attribute))


def _differences(pool: ComparedPool, findings: Sequence[Finding]) -> Iterator[str]:
    """In what the members of a pool merely differ: a sentence for each odd one, and for what is mixed."""
    of_odd: dict[str, list[str]] = {}
    abouts = [finding.about for finding in findings if finding.about is not None]
    for about in abouts:
        backend = _backend(pool.case, about)
        if about.attribute == PoolAttribute.SNI or (backend is None and about.attribute == PoolAttribute.RESUMPTION):
            continue
        who = f"{member_called(pool.case, backend)} is the odd one" if backend is not None else "the pool is mixed"
        of_odd.setdefault(who, []).append(_named(about))
    for who, named in of_odd.items():
        yield f"{who} in {' and '.join([', '.join(named[:-1]), named[-1]] if len(named) > 1 else named)}."
    for about in abouts:
        if about.attribute == PoolAttribute.SNI:
            yield f"{about.reached} of {about.reached + about.elsewhere} connections ask for no name (SNI)."
