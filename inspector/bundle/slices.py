"""Which connections prove some findings: the fewest that give the same findings when they are judged alone. What was
chosen is tried before it is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Struct, structs

from inspector.bundle.scope import Scope
from inspector.document import Finding
from inspector.document.rules import Rule
from inspector.facts import Facts
from inspector.findings.case import Case, Options
from inspector.findings.change import ABORT
from inspector.findings.giving_up import client_code, slow_close
from inspector.findings.judge import Analysis, judge
from inspector.findings.judgement import goes_on
from inspector.logs.entries import LogFacts
from inspector.tracking.observed import Observed

MOST_INCIDENTS = 200
"""Stories that go into the packets; one of each kind is among them."""

MOST_OF_A_FINDING = 20
MOST_CONNECTIONS = 5_000
"""Where the few do not give the same findings, all connections of the services, up to so many."""


class Slice(NamedTuple):
    """``members``: indexes of connections. ``incidents``: ids of those whose story is in it. ``findings``: ids of those
    that it is to prove.
    """

    members: list[int]
    incidents: list[str]
    findings: list[str]


class Signature(Struct, frozen=True):
    """What makes two findings the same, whatever else was captured."""

    id: str
    rule: str
    severity: str
    verdict: str
    grade: str


def signature(finding: Finding) -> Signature:
    """A finding without its wording and its counts."""
    return Signature(finding.id, finding.rule, finding.severity, finding.verdict, finding.grade)


def slice_of(analysis: Analysis, scope: Scope) -> Slice:
    """The connections that prove what is in scope."""
    case = analysis.case
    by_id = case.columns.by_id()
    incidents = _kinds_first(case, scope, by_id)
    provable = _provable(scope, incidents)
    chosen: set[int] = set()
    for finding in provable:
        names = finding.connections if finding.rule == ABORT else finding.connections[:MOST_OF_A_FINDING]
        chosen.update(
            by_id[name] for name in (*names, *(e.connection for e in finding.evidence if e.connection)) if name in by_id
        )
    chosen |= _pool(case, scope.services) | _signs(case, chosen)
    chosen |= _origins(case, chosen)
    lacking = _lacking(analysis, chosen, provable)
    if lacking:
        services = {s.index for s in case.services if s.id in scope.services}
        more = chosen | set([s.index for s in case.observed if s.service in services][:MOST_CONNECTIONS])
        chosen = more if _lacking(analysis, more, provable) < lacking else chosen
    return sliced(scope, chosen, incidents)


def sliced(scope: Scope, members: Iterable[int], incidents: Iterable[str]) -> Slice:
    """Some connections, and what of the scope they are to prove."""
    kept_incidents = set(incidents)
    return Slice(sorted(members), sorted(kept_incidents), [f.id for f in _provable(scope, kept_incidents)])


def _lacking(analysis: Analysis, members: set[int], expected: list[Finding]) -> int:
    """How many findings do not come out the same where some connections are judged alone."""
    options = analysis.case.options
    alone = judge(facts_of(analysis, members), Options(options.generation, options.vips)).document
    return len({signature(f) for f in expected} - {signature(f) for f in alone.findings})


def _provable(scope: Scope, incidents: set[str]) -> list[Finding]:
    """The findings that packets can prove: of incidents, those whose story is among them."""
    named = {name for i in scope.incidents if i.id in incidents for name in i.findings}
    return [f for f in scope.findings if f.rule != Rule.CAPTURE_INCOMPLETE and (f.rule != ABORT or f.id in named)]


def _kinds_first(case: Case, scope: Scope, by_id: dict[str, int]) -> set[str]:
    """The incidents whose packets are kept: the first of each client and pair of certificates, then the first ones."""
    kinds: dict[object, str] = {}
    for incident in scope.incidents:
        observed = case.observed[by_id[incident.connections[-1]]]
        kinds.setdefault((observed.client, case.judgements[observed.index].cached_leaf, observed.leaf), incident.id)
    ordered = [*kinds.values(), *(i.id for i in scope.incidents)]
    return set(list(dict.fromkeys(ordered))[:MOST_INCIDENTS])


def _pool(case: Case, services: Iterable[str]) -> set[int]:
    """The first handshakes of each back end, one of them full, so that the pool looks the same."""
    names = set(services)
    members: set[int] = set()
    for backend in case.backends:
        if case.services[backend.service].id in names and backend.connections:
            members.add(backend.connections[0])
            members.update([i for i in backend.connections if case.observed[i].leaf][:1])
            members.update([i for i in backend.connections if case.observed[i].is_resumed][:1])
    for service in case.services:
        if service.id in names:
            members.update(service.connections[:2])
    return {i for i in members if not case.observed[i].health_check}


def _signs(case: Case, chosen: set[int]) -> set[int]:
    """How the same clients took the same certificates elsewhere: what confirms an abort, or casts doubt on it."""
    given_up = [case.observed[i] for i in chosen if case.observed[i].gave_up]
    pairs = {(case.program_of(s), s.leaf) for s in given_up}
    slow = {case.program_of(s) for s in given_up if slow_close(s) is not None}
    by_sign: dict[object, int] = {}
    for observed in case.observed:
        program = case.program_of(observed)
        key = (program, observed.leaf)
        if observed.leaf is None or observed.health_check or (key not in pairs and program not in slow):
            continue
        judgement = case.judgements[observed.index]
        if program in slow and (
            goes_on(observed, judgement)
            or (judgement.decision.verdict == "accepts" and slow_close(observed) is not None)
        ):
            by_sign.setdefault((program, observed.gave_up), observed.index)
        if key not in pairs:
            continue
        if observed.gave_up and judgement.decision.verdict == "accepts":
            by_sign.setdefault((key, "gave up", client_code(observed)), observed.index)
        elif observed.outcome == "established":
            by_sign.setdefault((key, "accepted"), observed.index)
    return set(by_sign.values())


def _origins(case: Case, chosen: set[int]) -> set[int]:
    """Who issued and first resumed the sessions that are offered in it."""
    origins: set[int] = set()
    for index in chosen:
        observed = case.observed[index]
        origins |= {each for each in (observed.issuer, observed.entry.resumed_by) if each is not None}
    return origins


def facts_of(analysis: Analysis, members: Iterable[int]) -> Facts:
    """The facts of some connections, with the log lines that are theirs."""
    case = analysis.case
    whole = case.facts
    chosen = set(members)
    connections = [case.observed[i] for i in sorted(chosen)]
    packed = [p for s in connections for p in (s.packed, *s.packed_legs)]
    used = {digest for s in connections for leg in (s.client_leg, *s.legs) for digest in leg.certificates()}
    certificates = {digest: der for digest, der in whole.certificates.items() if digest in used}
    lists = {
        handshake.authorities for s in connections for leg in (s.client_leg, *s.legs) for handshake in leg.handshakes
    }
    authorities = {digest: listed for digest, listed in whole.authorities.items() if digest in lists}
    return Facts(
        whole.captures,
        packed,
        whole.offers,
        whole.answers,
        certificates,
        {},
        logs=logs_of(case, chosen),
        authorities=authorities,
    )


def logs_of(case: Case, members: set[int]) -> list[LogFacts]:
    """Of each log the lines of some connections."""
    excerpts = []
    for index, log in enumerate(case.facts.logs):
        failures = {
            line.failure.line: line.failure
            for i in members
            for line in case.logged.lines.get(i, ())
            if line.log == index
        }
        proxied = {
            c.entry.line: c.entry for i in members if (c := case.balancer.chosen.get(i)) is not None and c.log == index
        }
        excerpts.append(
            structs.replace(
                log, failures=[f for _, f in sorted(failures.items())], proxied=[p for _, p in sorted(proxied.items())]
            )
        )
    return excerpts


def observed_in(case: Case, cut: Slice) -> list[Observed]:
    """The connections of a slice."""
    return [case.observed[i] for i in cut.members]
