"""``judge(facts) → Analysis``: the second pure half. Findings first, then the assessment of each service, then
incidents.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from itertools import islice

from inspector import document as doc
from inspector.facts import Facts
from inspector.findings import from_logs, limits, rules, unseen
from inspector.findings.assessment import assess
from inspector.findings.attributes import attributes, by_service
from inspector.findings.case import Case, Options
from inspector.findings.compared import compared_pools
from inspector.findings.gate import NOT_ASSESSED
from inspector.findings.headline import headed
from inspector.findings.incidents import incidents
from inspector.findings.into_document import pool as pool_of_document
from inspector.findings.into_document.connection import connection, result
from inspector.findings.into_document.probed import probed
from inspector.findings.prediction import NOBODY, extended
from inspector.findings.requested_authorities import authorities
from inspector.findings.scene import NOTHING
from inspector.findings.sifting import sifted
from inspector.findings.what_if import what_if
from inspector.text.version import VERSION
from inspector.tracking.certificate_reader import READER, CertificateReader
from inspector.tracking.observed import Observed
from inspector.tracking.selection import ObservedSelection
from inspector.tracking.services import CHECKS_AT_LEAST, ServiceGroup, ip_text

Wanted = Callable[[Observed], bool] | None
"""Which connections are described; None for all."""

MOST_CHECKERS = 100
"""Clients that do health checks of a service and are named, at most."""


class Analysis:
    """A judged story. Findings are made when the document is first asked for, connections and sessions, most of its
    size, one by one.
    """

    def __init__(self, case: Case, extra_limits: Sequence[doc.Limit] = (), *, has_inventory: bool = True) -> None:
        """``has_inventory``: the document lists all certificates."""
        self.case = case
        self._extra_limits = list(extra_limits)
        self._has_inventory = has_inventory

    @cached_property
    def document(self) -> doc.Document:
        """Everything but the connections and sessions."""
        return _document(self.case, self._extra_limits, has_inventory=self._has_inventory)

    @property
    def count(self) -> int:
        """How many connections there are."""
        return len(self.case.observed)

    def observed(self, wanted: Wanted = None) -> Sequence[Observed]:
        """What the connections are described from, in the order of their ClientHellos. ``wanted``: which ones."""
        everybody = self.case.observed
        return everybody if wanted is None else ObservedSelection.of(everybody, filter(wanted, everybody))

    def connections(self, start: int = 0, stop: int | None = None, wanted: Wanted = None) -> Iterator[doc.Connection]:
        """Connections one by one, in the order of their ClientHellos; all by default. ``wanted``: which ones."""
        for observed in islice(self.case.observed, start, stop):
            if wanted is None or wanted(observed):
                yield connection(self.case, observed)

    def connection(self, index: int) -> doc.Connection:
        """One connection by its place in the order of ClientHellos. Raises IndexError."""
        return connection(self.case, self.case.observed[index])

    def sessions(self) -> Iterator[doc.Session]:
        """All sessions, in the order of their issue."""
        for session in self.case.sessions:
            yield pool_of_document.session(self.case, session)

    def complete(self) -> doc.Document:
        """The document with everything in it."""
        self.document.connections = list(self.connections())
        self.document.sessions = list(self.sessions())
        return self.document


def judge(
    facts: Facts,
    options: Options | None = None,
    extra_limits: Sequence[doc.Limit] = (),
    *,
    reader: CertificateReader = READER,
    has_inventory: bool = True,
    advance: Callable[[int], None] | None = None,
) -> Analysis:
    """What the facts mean. ``reader``: of their certificates; ``has_inventory``: the document lists all of them.
    ``advance``: as in ``observe``.
    """
    case = sifted(facts, options or Options(), reader, advance)
    return Analysis(case, extra_limits, has_inventory=has_inventory)


def _document(case: Case, extra_limits: list[doc.Limit], *, has_inventory: bool) -> doc.Document:
    """A rule that stumbles costs what it would have found (``Case.border``). What went wrong before a service is
    assessed weakens its assessment; all of it stands among the limits.
    """
    kept = case.border.kept
    ems = [kept(partial(extended, case, service)) or NOBODY for service in case.services]
    compared = compared_pools(case)
    happened = rules.occurrences(case, ems, compared)
    theirs = happened.by_service()
    known_limits = kept(lambda: limits.limits(case, [*from_logs.limits(case), *extra_limits])) or []
    hidden = unseen.of_captures([*known_limits, *limits.mistakes(case)])
    assessments = [
        kept(partial(assess, case, service, theirs.get(service.id, NOTHING), hidden, extensions)) or NOT_ASSESSED
        for service, extensions in zip(case.services, ems, strict=True)
    ]
    findings = list(rules.findings(case, happened, assessments, ems, compared))
    of_services = by_service(findings)
    backends = [pool_of_document.backend(case, backend) for backend in case.backends]
    by_id = {backend.id: backend for backend in backends}
    services = [
        _service(
            case,
            pool.service,
            kept(partial(headed, pool, assessment, of_services.get(pool.service.id, ()))) or assessment,
            kept(partial(what_if, case, pool.service, assessment, theirs.get(pool.service.id, NOTHING), extensions))
            or [],
            kept(partial(attributes, pool, of_services.get(pool.service.id, ()), by_id)) or [],
            kept(partial(probed, case, pool.service, hidden)),
        )
        for pool, assessment, extensions in zip(compared, assessments, ems, strict=True)
    ]
    their_incidents = kept(partial(incidents, case, happened.aborts)) or []
    their_authorities = kept(partial(authorities, case)) or []
    all_limits = [*known_limits, *limits.mistakes(case)]
    findings.extend(limits.incomplete(case, all_limits))
    findings.sort(key=lambda f: (doc.SEVERITIES.index(f.severity), f.rule, f.first or "", f.id))
    return doc.Document(
        generator=doc.Generator("inspector", VERSION),
        captures=pool_of_document.captures(case),
        services=services,
        clients=[_client(case, index) for index in range(len(case.clients))],
        backends=backends,
        certificates=pool_of_document.certificates(case) if has_inventory else [],
        authorities=their_authorities,
        sessions=[],
        connections=[],
        findings=findings,
        incidents=their_incidents,
        limits=all_limits,
        logs=from_logs.logs(case),
    )


def _service(
    case: Case,
    service: ServiceGroup,
    assessment: doc.Assessment,
    weighed: list[doc.Counterfactual],
    attributes_of_pool: list[doc.MemberAttribute],
    met_by_probe: doc.Probed | None,
) -> doc.Service:
    members = case.members(service)
    checks = len(service.connections) - len(members)
    results: Counter[str] = Counter()
    for tally in case.member_tallies(service):
        results[result(tally.shape.traits)] += tally.count
    cells, nothing, offer_unseen = pool_of_document.matrix(case, members)
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
        health_checks=checks,
        full=results["full"],
        resumed=results["resumed"],
        aborted=results["aborted"],
        other=results["other"],
        offered_nothing=nothing,
        matrix=cells,
        impact=from_logs.impact(case, service),
        offer_unseen=offer_unseen,
        checkers=_checkers(case, service) if checks or service.silent else [],
        what_if=weighed,
        attributes=attributes_of_pool,
        probed=met_by_probe,
    )


def _checkers(case: Case, service: ServiceGroup) -> list[doc.Checker]:
    """Who does health checks of a service, by hellos or only by connecting."""
    checks, clients = case.columns.health_check, case.columns.client
    hellos = Counter(case.clients[clients[index]].ip for index in service.connections if checks[index])
    checkers = [doc.Checker(ip, "tls", count) for ip, count in hellos.items()]
    checkers += [
        doc.Checker(ip_text(address), "tcp", count)
        for address, count in service.silent.items()
        if address and count >= CHECKS_AT_LEAST
    ]
    return sorted(checkers, key=lambda checker: (-checker.connections, checker.ip, checker.kind))[:MOST_CHECKERS]


def _client(case: Case, index: int) -> doc.Client:
    client = case.clients[index]
    return doc.Client(
        id=client.id,
        ip=client.ip,
        stack=client.stack.name,
        basis=list(client.stack.basis),
        grade=client.stack.grade,
        connections=len(client.connections),
        aborted=case.aborted_by.get(index, 0),
        probed_as=client.stack.stands_for or None,
    )
