"""``judge(facts) → Analysis``: the second pure half. Findings first, then the assessment of each service, then
incidents.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import islice

from inspector import document as doc
from inspector.document.rules import Rule
from inspector.facts import Facts
from inspector.findings import change, describe, describe_pool, failures, from_logs, limits, pool, renegotiation, unseen
from inspector.findings.assessment import assess
from inspector.findings.case import Case, Options, build, frames
from inspector.findings.prediction import Extended, extended
from inspector.findings.remedies import CHANGE_REFERENCES
from inspector.findings.requested_authorities import authorities
from inspector.text.times import moment, rfc3339
from inspector.text.version import VERSION
from inspector.tracking.observed import Observed
from inspector.tracking.services import CHECKS_AT_LEAST, ServiceGroup, ip_text, short_id

MOST_CHECKERS = 100
"""Clients that do health checks of a service and are named, at most."""


class Analysis:
    """A judged story. Findings are made when the document is first asked for, connections and sessions, most of its
    size, one by one.
    """

    def __init__(self, case: Case, extra_limits: Sequence[doc.Limit] = ()) -> None:
        self.case = case
        self._extra_limits = list(extra_limits)

    @cached_property
    def document(self) -> doc.Document:
        """Everything but the connections and sessions."""
        return _document(self.case, self._extra_limits)

    @property
    def count(self) -> int:
        """How many connections there are."""
        return len(self.case.observed)

    def connections(
        self, start: int = 0, stop: int | None = None, wanted: Callable[[Observed], bool] | None = None
    ) -> Iterator[doc.Connection]:
        """Connections one by one, in the order of their ClientHellos; all by default. ``wanted``: which ones."""
        for observed in islice(self.case.observed, start, stop):
            if wanted is None or wanted(observed):
                yield describe.connection(self.case, observed)

    def connection(self, index: int) -> doc.Connection:
        """One connection by its place in the order of ClientHellos. Raises IndexError."""
        return describe.connection(self.case, self.case.observed[index])

    def sessions(self) -> Iterator[doc.Session]:
        """All sessions, in the order of their issue."""
        for session in self.case.sessions:
            yield describe_pool.session(self.case, session)

    def complete(self) -> doc.Document:
        """The document with everything in it."""
        self.document.connections = list(self.connections())
        self.document.sessions = list(self.sessions())
        return self.document


def judge(facts: Facts, options: Options | None = None, extra_limits: Sequence[doc.Limit] = ()) -> Analysis:
    """What the facts mean."""
    return Analysis(build(facts, options or Options()), extra_limits)


def _document(case: Case, extra_limits: list[doc.Limit]) -> doc.Document:
    found_limits = limits.limits(case, [*from_logs.limits(case), *extra_limits])
    ems = [extended(case, service) for service in case.services]
    aborts = list(change.aborts(case, ems))
    findings = [finding for _, finding in aborts]
    explained = {observed.index for observed, _ in aborts} | {s.index for s in case.observed if s.renegotiations}
    findings += change.tolerated(case, [observed for observed, finding in aborts if finding.verdict == "confirmed"])
    findings += renegotiation.renegotiations(case)
    findings += failures.failures(case, explained)
    findings += pool.rotations(case)
    findings += pool.expiry(case)
    by_service: dict[str | None, list[doc.Finding]] = {}
    for finding in findings:
        by_service.setdefault(finding.service, []).append(finding)
    hidden = unseen.of_captures(found_limits)
    assessments = [
        assess(case, service, by_service.get(service.id, []), hidden, ems[service.index]) for service in case.services
    ]
    at_risk = {s.index for s, a in zip(case.services, assessments, strict=True) if a.state in ("exposed", "confirmed")}
    findings += [
        _exposed(case, s, a, ems[s.index])
        for s, a in zip(case.services, assessments, strict=True)
        if a.state == "exposed"
    ]
    findings += pool.drift(case, at_risk, ems)
    findings += limits.incomplete(case, found_limits)
    findings.sort(key=lambda f: (doc.SEVERITIES.index(f.severity), f.rule, f.first or "", f.id))
    return doc.Document(
        generator=doc.Generator("inspector", VERSION),
        captures=describe_pool.captures(case),
        services=[_service(case, s, a) for s, a in zip(case.services, assessments, strict=True)],
        clients=[_client(case, index) for index in range(len(case.clients))],
        backends=[describe_pool.backend(case, b) for b in case.backends],
        certificates=describe_pool.certificates(case),
        authorities=authorities(case),
        sessions=[],
        connections=[],
        findings=findings,
        incidents=incidents(case, findings),
        limits=found_limits,
        logs=from_logs.logs(case),
    )


def _exposed(case: Case, service: ServiceGroup, assessment: doc.Assessment, ems: Extended) -> doc.Finding:
    java = [c for c in case.service_clients[service.index] if c.stack.name == "jsse"]
    members = case.members(service)
    sample = next((s for s in members if s.declined and s.kind == "full"), members[0])
    h = sample.client_leg.handshake

    return doc.Finding(
        id=short_id(Rule.CERTIFICATE_CHANGE_EXPOSED, service.id),
        rule=Rule.CERTIFICATE_CHANGE_EXPOSED,
        severity="medium",
        verdict="predicted",
        grade="inferred",
        title=f"A Java client of {service.name}:{service.port} can be hit by the certificate change",
        explanation="; ".join(assessment.because) + ".",
        remedies=pool.pool_remedies(case, service, ems),
        references=CHANGE_REFERENCES,
        service=service.id,
        backends=[b.id for b in case.pools[service.index]],
        clients=[c.id for c in java],
        connections=[sample.id],
        first=rfc3339(members[0].first_ns),
        last=rfc3339(members[-1].first_ns),
        count=1,
        evidence=[
            doc.Evidence(
                "declined" if sample.declined else "shown",
                sample.id,
                frames(h.hello_frame, h.answer_frame, h.certificate_frame),
                "a handshake of the pool",
            )
        ],
    )


def _service(case: Case, service: ServiceGroup, assessment: doc.Assessment) -> doc.Service:
    members = case.members(service)
    results = [describe.result(s) for s in members]
    cells, nothing, offer_unseen = describe_pool.matrix(case, members)
    return doc.Service(
        id=service.id,
        name=service.name,
        port=service.port,
        addresses=service.addresses,
        connections=len(service.connections),
        other_flows=service.others,
        clients=[c.id for c in case.service_clients[service.index]],
        backends=[b.id for b in case.pools[service.index]],
        assessment=assessment,
        health_checks=len(service.connections) - len(members),
        full=results.count("full"),
        resumed=results.count("resumed"),
        aborted=results.count("aborted"),
        other=results.count("other"),
        offered_nothing=nothing,
        matrix=cells,
        impact=from_logs.impact(case, service),
        offer_unseen=offer_unseen,
        checkers=_checkers(case, service),
    )


def _checkers(case: Case, service: ServiceGroup) -> list[doc.Checker]:
    """Who does health checks of a service, by hellos or only by connecting."""
    hellos = Counter(
        case.clients[observed.client].ip
        for index in service.connections
        if (observed := case.observed[index]).health_check
    )
    checkers = [doc.Checker(ip, "tls", count) for ip, count in hellos.items()]
    checkers += [
        doc.Checker(ip_text(address), "tcp", count)
        for address, count in service.silent.items()
        if address and count >= CHECKS_AT_LEAST
    ]
    return sorted(checkers, key=lambda checker: (-checker.connections, checker.ip, checker.kind))[:MOST_CHECKERS]


def _client(case: Case, index: int) -> doc.Client:
    client = case.clients[index]
    members = [case.observed[i] for i in client.connections]
    return doc.Client(
        id=client.id,
        ip=client.ip,
        stack=client.stack.name,
        basis=list(client.stack.basis),
        grade=client.stack.grade,
        connections=len(members),
        aborted=sum(s.outcome == "aborted" and not s.health_check for s in members),
    )


def incidents(case: Case, findings: list[doc.Finding]) -> list[doc.Incident]:
    """One for each connection that was aborted because of the change."""
    named = {c for f in findings if f.rule == change.ABORT for c in f.connections}
    by_id: dict[str, Observed] = {s.id: s for s in case.observed if s.id in named}
    listed: list[doc.Incident] = []
    for finding in findings:
        if finding.rule != change.ABORT or finding.service is None or finding.first is None:
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
