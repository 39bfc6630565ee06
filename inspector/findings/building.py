"""How a case comes about: facts joined, grouped, and each connection judged by Java's rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from inspector import bounds
from inspector.facts import ConnectionFacts, Facts
from inspector.facts.spool import SpooledConnections
from inspector.findings import logged
from inspector.findings.case import Case, Options
from inspector.findings.giving_up import client_code, is_clear, may_be_abort, slow_close
from inspector.findings.judgement import JavaRule, goes_on
from inspector.findings.signs import Manner, Signs
from inspector.findings.unopened import carrier
from inspector.tracking.backends import find_backends
from inspector.tracking.balancer_log import balanced
from inspector.tracking.busiest import busiest
from inspector.tracking.certificate_reader import READER, CertificateReader, Certificates
from inspector.tracking.columns import ConnectionColumns
from inspector.tracking.connections import observe
from inspector.tracking.ledger_session import LedgerSession
from inspector.tracking.observed import Observed
from inspector.tracking.services import (
    ServiceGroup,
    find_clients,
    find_services,
    ip_text,
    mark_health_checks,
    server_name,
)
from inspector.tracking.sessions import Ledger
from inspector.tracking.sightings import merge_sightings
from inspector.tracking.unnamed import is_name_unread, unnamed


def build(
    facts: Facts,
    options: Options,
    reader: CertificateReader = READER,
    advance: Callable[[int], None] | None = None,
) -> Case:
    """Join, group and judge the facts. ``reader``: of their certificates. ``advance``: as in ``observe``."""
    facts = merge_sightings(facts)
    columns, observed, services = _grouped(facts, options, advance)
    most = options.most_services or bounds.SERVICES
    if len(services) > most:
        facts = busiest(facts, observed, services, most)
        columns, observed, services = _grouped(facts, options, advance)
    certificates = Certificates(facts.certificates, reader)
    clients = find_clients(observed)
    mark_health_checks(observed, services)
    balancer = balanced(observed, facts.logs)
    servers = {index: chosen.entry.server for index, chosen in balancer.chosen.items() if chosen.entry.server}
    backends = find_backends(observed, services, certificates, servers)
    case = Case(
        facts=facts,
        options=options,
        observed=observed,
        services=services,
        clients=clients,
        backends=backends,
        columns=columns,
        going_on=columns.column("B"),
        sessions=columns.sessions,
        certificates=certificates,
        judgements=[],
        signs={},
        balancer=balancer,
    )
    case.carriers = [carrier(capture) for capture in facts.captures]
    case.has_refused = certificates.first_refused(certificates) is not None
    case.ticket_keys = _ticket_keys(case.sessions)
    case.pools = [[] for _ in services]
    for backend in backends:
        case.pools[backend.service].append(backend)
    case.unnamed = unnamed(observed, services, case.pools, certificates)
    case.service_clients = [
        [clients[c] for c in sorted({columns.client[i] for i in service.connections})] for service in services
    ]
    _judge_each(case)
    has_losses = bool(facts.logs) and (
        any(c.drops or c.damage for c in facts.captures) or any(shape.traits.lost for shape in columns.shapes)
    )
    case.logged = logged.joined(observed, services, facts.logs, case.may_change, has_losses=has_losses)
    return case


def _grouped(
    facts: Facts, options: Options, advance: Callable[[int], None] | None
) -> tuple[ConnectionColumns, Sequence[Observed], list[ServiceGroup]]:
    """The connections in their order, their numbers, and the services by which they are grouped."""
    tick_ns = max((capture.tick_ns for capture in facts.captures), default=0)
    ledger = Ledger(tick_ns, is_spooled=isinstance(facts.connections, SpooledConnections))
    columns, observed = observe(facts, ledger, _wanted(facts, options), advance)
    return columns, observed, find_services(observed, facts.other_flows)


def _ticket_keys(sessions: Sequence[LedgerSession]) -> dict[bytes, bool]:
    """What two tickets have in common at their start is no chance: it is the name of the key that both were sealed
    with.
    """
    first: dict[bytes, bool] = {}
    shared: dict[bytes, bool] = {}
    for session in sessions:
        name, is_resumed = session.name, session.resumed_by is not None
        if not name:
            continue
        if name in first:
            shared[name] = shared.get(name, False) or is_resumed or first[name]
        else:
            first[name] = is_resumed
    return shared


def _wanted(facts: Facts, options: Options) -> Callable[[ConnectionFacts], bool] | None:
    """Which connections ``--vip`` leaves: addresses are compared with addresses, names with server names. One whose
    name was not captured may be to what answers by a wanted one at its address.
    """
    if not options.vips:
        return None

    def is_asked_for(connection: ConnectionFacts) -> bool:
        names = {ip_text(connection.server.address), server_name(connection.handshake.offer)}
        return any(port == connection.server.port and host in names for host, port in options.vips)

    answering = {connection.server for connection in facts.unpack_all(facts.connections) if is_asked_for(connection)}

    def is_wanted(connection: ConnectionFacts) -> bool:
        is_unread = is_name_unread(connection.handshake.offer)
        return is_asked_for(connection) or (is_unread and connection.server in answering)

    return is_wanted


def _judge_each(case: Case) -> None:
    """Hold Java's rule against each connection, and count how each client took each certificate where the rule could
    not have spoken, and where it should have.
    """
    rule, judgements, signs_of = JavaRule(case.step), case.judgements, case.signs
    for observed in case.observed:
        judgement = rule.judged(observed, is_refused=case.has_refused and case.refused(observed) is not None)
        judgements.append(judgement)
        if observed.health_check:
            continue
        is_going_on = goes_on(observed, judgement)
        if is_going_on:
            case.going_on[observed.index] = True
        outcome, leaf = observed.outcome, observed.leaf
        if outcome != "established" and not is_clear(observed) and may_be_abort(observed):
            case.unclear[observed.client_address] = case.unclear.get(observed.client_address, 0) + 1
        if leaf is None:
            continue
        key = observed.client, observed.program
        signs = signs_of.get((key, leaf))
        if signs is None:
            signs = signs_of[key, leaf] = Signs()
        if observed.gave_up:
            if judgement.decision.verdict == "accepts":
                signs.gave_up_unmarked += 1
                signs.unmarked_alerts |= {client_code(observed)}
                if slow_close(observed) is not None:
                    case.manners.setdefault(key, Manner()).slow_unmarked += 1
        elif outcome == "established":
            signs.accepted += 1
            if is_going_on:
                case.manners.setdefault(key, Manner()).went_on += 1
                case.went_on.setdefault(case.caches[observed.index], observed.index)
