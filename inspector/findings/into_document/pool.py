"""What is told of a pool beside its connections: captures, certificates, sessions, back ends, and the matrix of who
resumed where.
"""

from __future__ import annotations

from collections import Counter

from inspector import document as doc, facts
from inspector.findings.case import Case
from inspector.findings.into_document.connection import result
from inspector.findings.pool import ems_of, versions_of
from inspector.findings.problems import problem_text
from inspector.findings.vantages import clocks
from inspector.text.times import rfc3339, rfc3339_signed
from inspector.tls.types import TLS13
from inspector.tracking.backends import BackendGroup
from inspector.tracking.ledger_session import LedgerSession
from inspector.tracking.observed import Observed
from inspector.tracking.selection import ObservedSelection, ShapeAnswers


def captures(case: Case) -> list[doc.Capture]:
    """What was read."""
    described, at_balancers = [], _at_balancers(case)
    for index, c in enumerate(case.facts.captures):
        first = rfc3339(c.first_ns) if c.first_ns is not None else None
        last = rfc3339(c.last_ns) if c.last_ns is not None else None
        link_types, tick = list(c.link_types), c.tick_ns or None
        described.append(
            doc.Capture(
                path=c.path,
                packets=c.packets,
                bytes=c.bytes,
                first=first,
                last=last,
                link_types=link_types,
                truncated=c.truncated,
                undecoded=c.undecoded,
                drops=c.drops,
                vantage="balancer" if index in at_balancers else None,
                tick=tick,
                clocks=clocks(c),
                host=c.host or None,
                source="probe" if c.is_probe else None,
            )
        )
    return described


def _at_balancers(case: Case) -> set[int]:
    """The captures that were taken at a balancer: both legs of a handshake show there."""
    captured: set[int] = set()
    for index in range(len(case.columns)):
        if len(captured) == len(case.facts.captures):
            break
        if case.columns.second_leg[index] >= 0:
            observed = case.observed[index]
            of_legs = {leg.first_frame >> facts.FRAME_BITS for leg in (observed.client_leg, *observed.legs)}
            if len(of_legs) == 1:
                captured |= of_legs
    return captured


def certificates(case: Case) -> list[doc.Certificate]:
    """The inventory, by subject."""
    described = []
    for digest, c in case.certificates.items():
        described.append(
            doc.Certificate(
                sha256=digest.hex(),
                subject=c.subject,
                issuer=c.issuer,
                serial=c.serial,
                not_before=rfc3339_signed(c.not_before) if c.not_before is not None else None,
                not_after=rfc3339_signed(c.not_after) if c.not_after is not None else None,
                dns_names=list(c.identity.dns_names),
                ip_addresses=list(c.identity.ip_addresses),
                key=c.key,
                signature=c.signature,
                self_issued=c.self_issued,
                problem=problem_text(c.problem) if c.problem is not None else None,
            )
        )
    return sorted(described, key=lambda certificate: (certificate.subject, certificate.sha256))


def session(case: Case, entry: LedgerSession) -> doc.Session:
    """A session and what became of it."""
    uses = []
    for use in entry.uses:
        observed = case.observed[use >> 1]
        backend = case.backends[observed.backend].id if observed.backend >= 0 else None
        uses.append(doc.Use(observed.id, rfc3339(observed.hello_ns), backend, "resumed" if use & 1 else "declined"))
    return doc.Session(
        id=entry.key.hex(),
        method=entry.method,
        issued_by=case.observed[entry.issuer].id if entry.issuer is not None else None,
        leaf=entry.leaf.hex() if entry.leaf else None,
        ems=entry.ems,
        issued_at=rfc3339(entry.issued_ns) if entry.issued_ns is not None else None,
        usable=entry.usable,
        uses=uses,
        ticket_key=entry.name.hex() if entry.name in case.ticket_keys else None,
    )


def backend(case: Case, group: BackendGroup) -> doc.Backend:
    """One row of the pool; health checks are left out of it."""
    tallies = [tally for tally in case.tallies_at(group) if not tally.health_check]
    results = Counter[str]()
    for tally in tallies:
        results[result(tally.shape.traits)] += tally.count
    ems = ems_of(case, group)
    return doc.Backend(
        id=group.id,
        service=case.services[group.service].id,
        label=group.label,
        basis=group.basis,
        leaf=group.leaf.hex() if group.leaf else None,
        connections=results.total(),
        full=results["full"],
        resumed=results["resumed"],
        declined=sum(tally.count for tally in tallies if tally.declined),
        aborted=results["aborted"],
        other=results["other"],
        ems=ems if isinstance(ems, bool) or ems is None else "mixed",
        versions=versions_of(case, group),
        addresses=group.addresses,
        server=group.server or None,
    )


def _offers(observed: Observed) -> bool:
    """Whether the ClientHello offers what may be a session: an id beside TLS 1.3 may be random (RFC 8446, section
    4.1.2).
    """
    handshake = observed.client_leg.handshake
    offer = handshake.offer
    return bool(
        handshake.offered_ticket
        or handshake.offered_psks
        or (handshake.offered_id and offer is not None and TLS13 not in offer.versions)
    )


def matrix(case: Case, members: ObservedSelection) -> tuple[list[doc.MatrixCell], int, int]:
    """Sessions by who issued them and to whom they were offered; how many connections offered nothing that is known to
    be a session; and of how many the ClientHello was not captured.
    """
    cells: dict[tuple[str | None, str | None], list[int]] = {}
    backend_of = case.columns.backend
    nothing = unseen = 0
    resuming = ShapeAnswers(lambda shape: shape.traits.resumes, case.columns.shapes)
    unread = ShapeAnswers(lambda shape: shape.offer is None, case.columns.shapes)
    doubtful = ShapeAnswers(lambda shape: shape.traits.kind is None, case.columns.shapes)
    shape_of, declined_of = case.columns.shape, case.columns.declined
    for index in members.indices:
        declined, shape = declined_of[index], shape_of[index]
        if not (declined or resuming[shape]):
            is_unseen = unread[shape] or (doubtful[shape] and _offers(case.observed[index]))
            nothing += not is_unseen
            unseen += is_unseen
            continue
        issued_in = case.columns.issuer[index]
        issuer = backend_of[issued_in] if issued_in >= 0 else -1
        answerer = backend_of[index]
        key = (
            case.backends[issuer].id if issuer >= 0 else None,
            case.backends[answerer].id if answerer >= 0 else None,
        )
        cell = cells.setdefault(key, [0, 0, 0])
        if declined:
            cell[1] += 1
            cell[2] += case.columns.shapes[shape].traits.outcome == "aborted"
        else:
            cell[0] += 1
    return [doc.MatrixCell(issuer, to, *counts) for (issuer, to), counts in cells.items()], nothing, unseen
