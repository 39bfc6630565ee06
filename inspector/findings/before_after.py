"""Two analyses side by side: what was fixed, what remains, what is new. Pure: documents in, a comparison out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from inspector.document import SEVERITIES, Backend, Document, Finding, Service, Severity
from inspector.document.rules import NOT_COMPARED, OF_CERTIFICATES, OF_CONNECTIONS, OF_STATE
from inspector.findings.change import ABORT
from inspector.findings.gate import CERTIFICATE_CHANGE, is_definite, missing
from inspector.text.hostport import joined

Status = Literal["fixed", "remaining", "new", "not visible any more"]
"""``fixed`` only where the same thing would be visible now; ``not visible any more``: it did not happen again, but that
proves nothing.
"""

ORDER: tuple[Status, ...] = ("new", "remaining", "not visible any more", "fixed")
LIKELY = 3.0
"""So many cases would have to be expected before their absence says something."""


@dataclass(frozen=True, slots=True)
class ProblemChange:
    """Findings of one rule about one service and matter. ``before``, ``after``: how often. ``attributes``: of the pool
    that they are about.
    """

    rule: str
    severity: Severity
    service: str
    what: str
    before: int
    after: int
    status: Status
    attributes: list[str]


@dataclass(frozen=True, slots=True)
class ServicePair:
    """A service in both; None where it is in one only. ``notes``: what to know of the comparison. ``asked_as``: as
    which JVMs a probe asked before and after, none where there was no probe; None where it is the same, so that nothing
    differs for that alone.
    """

    name: str
    before: Service | None
    after: Service | None
    backends_before: list[Backend]
    backends_after: list[Backend]
    notes: list[str]
    asked_as: tuple[list[str], list[str]] | None = None


@dataclass(frozen=True, slots=True)
class BeforeAfter:
    """``sentence``: the result in a line."""

    sentence: str
    pairs: list[ServicePair]
    problems: list[ProblemChange]

    def left(self) -> list[ProblemChange]:
        """What remains or is new."""
        return [problem for problem in self.problems if problem.after]


def before_after(before: Document, after: Document) -> BeforeAfter:
    """Compare two analyses. Services are the same where name and port are."""
    names = list(dict.fromkeys([_name(s) for s in (*before.services, *after.services)]))
    sides = (_Side(before), _Side(after))
    pairs = [_pair(name, *sides) for name in names]
    problems = _problems(before, after, {p.name: p for p in pairs}, sides)
    return BeforeAfter(_sentence(problems, pairs), pairs, problems)


def _name(service: Service) -> str:
    return joined(service.name, service.port)


class _Side:
    """One of the two documents: services by name, back ends by service, clients by id."""

    def __init__(self, document: Document) -> None:
        self.services: dict[str, Service] = {}
        for service in document.services:
            self.services.setdefault(_name(service), service)
        self.pools: dict[str, list[Backend]] = {}
        for backend in document.backends:
            self.pools.setdefault(backend.service, []).append(backend)
        self.clients = {c.id: (c.ip, c.stack) for c in document.clients}


def _pair(name: str, before: _Side, after: _Side) -> ServicePair:
    old, new = before.services.get(name), after.services.get(name)
    pools = [
        side.pools.get(service.id, []) if service is not None else [] for side, service in ((before, old), (after, new))
    ]
    notes = _notes(old, new, pools[0], pools[1])
    return ServicePair(name, old, new, pools[0], pools[1], notes, asked_as=_asked_as(old, new))


def _asked_as(old: Service | None, new: Service | None) -> tuple[list[str], list[str]] | None:
    if old is None or new is None:
        return None
    before, after = (
        sorted(met.model or "?" for met in service.probed.models) if service.probed is not None else []
        for service in (old, new)
    )
    return None if before == after else (before, after)


def _notes(old: Service | None, new: Service | None, before: list[Backend], after: list[Backend]) -> list[str]:
    if old is None or new is None:
        return [f"only in {'the second' if old is None else 'the first'} analysis"]
    notes = []
    if (
        not new.assessment.unseen
        and len(before) > 1
        and len(after) == 1
        and after[0].basis
        and set(after[0].basis) <= {"certificate", "session"}
    ):
        notes.append(
            f"All connections now show one certificate: the {len(before)} back ends of before can no longer be told"
            f" apart by it. Between back ends with the same certificate {CERTIFICATE_CHANGE} cannot happen;"
            " give the balancer's log with --log to see who answered."
        )
    leaves = {b.leaf for b in before} & {b.leaf for b in after} - {None}
    if before and after and not leaves and any(b.leaf for b in before) and any(b.leaf for b in after):
        notes.append("No certificate is the same as before.")
    aborted, total, compared = old.aborted, _total(old), _total(new)
    if aborted and not new.aborted and total:
        expected = _expected(aborted, old, new)
        note = f"{aborted} of {total} connections were aborted before, none of {compared} now"
        if new.assessment.unseen:
            notes.append(f"{note}; but not all was seen: {missing(new.assessment.unseen)}.")
        elif new.assessment.state == "protected":
            notes.append(f"{note}; {'; '.join(new.assessment.because)}.")
        elif expected < LIKELY:
            notes.append(
                f"{note}: too few to say anything, about {expected:.1f} would have been expected if nothing had"
                " changed."
            )
        else:
            notes.append(f"{note}; about {expected:.0f} would have been expected if nothing had changed.")
    return notes


def _total(service: Service) -> int:
    return service.connections - service.health_checks


def _expected(count: int, before: Service, after: Service) -> float:
    """How often it would have happened again if nothing had changed."""
    return count / _total(before) * _total(after) if _total(before) else 0.0


Key = tuple[str, str, str]


def _problems(
    before: Document, after: Document, pairs: dict[str, ServicePair], sides: tuple[_Side, _Side]
) -> list[ProblemChange]:
    old, new = _counted(before), _counted(after)
    problems = []
    for key in dict.fromkeys([*old, *new]):
        first, second = old.get(key), new.get(key)
        rule, service, _ = key
        sample = (second or first or [])[0]
        counts = [_times(rule, findings) for findings in (first, second)]
        status: Status = "new" if not counts[0] else "remaining"
        if not counts[1]:
            pair = pairs.get(service)
            status = (
                "fixed" if pair is not None and _would_show(rule, first or [], pair, *sides) else "not visible any more"
            )
        problems.append(
            ProblemChange(
                rule=rule,
                severity=sample.severity,
                service=service,
                what=sample.what or sample.title,  # analyses of earlier versions have the title alone
                before=counts[0],
                after=counts[1],
                status=status,
                attributes=sorted({f.about.attribute for f in second or first or [] if f.about is not None}),
            )
        )
    return sorted(
        problems, key=lambda p: (ORDER.index(p.status), SEVERITIES.index(p.severity), p.rule, p.service, p.what)
    )


def _would_show(rule: str, findings: Sequence[Finding], pair: ServicePair, before: _Side, after: _Side) -> bool:
    """Whether what was found before would be found now, were it still there: all was seen, the same clients came, and
    often enough, or to as many back ends.
    """
    old, new = pair.before, pair.after
    if old is None or new is None or new.assessment.unseen:
        return False
    if not {before.clients.get(c, (c, "")) for f in findings for c in f.clients} <= {
        after.clients.get(c, (c, "")) for c in new.clients
    }:
        return False
    is_likely = _expected(_times(rule, findings), old, new) >= LIKELY
    shows_pool = _shown(pair.backends_after) >= max(_shown(pair.backends_before), 1)
    if rule in OF_STATE:
        is_safe = new.assessment.state == "protected" and is_definite(new.assessment)
        return (is_safe and (is_likely or shows_pool)) or (
            rule == ABORT and new.assessment.state == "not_this" and is_likely
        )
    if rule in OF_CERTIFICATES and not any(f.matter in OF_CONNECTIONS for f in findings):
        return shows_pool
    return is_likely


def _shown(pool: Sequence[Backend]) -> int:
    """Back ends that showed a certificate."""
    return sum(b.leaf is not None for b in pool)


def _times(rule: str, findings: Sequence[Finding] | None) -> int:
    return (len(findings) if rule == ABORT else sum(f.count for f in findings)) if findings else 0


def _counted(document: Document) -> dict[Key, list[Finding]]:
    """Findings by rule, service and matter."""
    names = {s.id: _name(s) for s in document.services}
    by_key: dict[Key, list[Finding]] = {}
    for finding in document.findings:
        if finding.rule not in NOT_COMPARED:
            by_key.setdefault((finding.rule, names.get(finding.service or "", ""), finding.matter), []).append(finding)
    return by_key


def _sentence(problems: Sequence[ProblemChange], pairs: Sequence[ServicePair]) -> str:
    counts = {status: sum(p.status == status for p in problems) for status in ORDER}
    aborts = [p for p in problems if p.rule == ABORT]
    clauses = []
    if aborts:
        before, after = sum(p.before for p in aborts), sum(p.after for p in aborts)
        clauses.append(
            f"{before} {'abort' if before == 1 else 'aborts'} because of a changed certificate before, {after} after"
        )
    clauses += [f"{counts[status]} {status}" for status in ORDER if counts[status]]
    if not problems:
        clauses.append("no findings in either")
    if not any(p.before is not None and p.after is not None for p in pairs):
        clauses.append("no service is in both")
    return "; ".join(clauses) + "."
