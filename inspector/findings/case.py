"""Everything that is known while findings are made: facts joined, grouped and judged by Java's rule, before any of it is worded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from msgspec import Struct

from inspector.document import FrameRef, Jsse
from inspector.facts import FRAME_BITS, ConnectionFacts, Facts
from inspector.findings import logged
from inspector.findings.jsse import Decision, Generation, Offer, Step, decide, equivalence
from inspector.findings.machine import Machine
from inspector.tracking.backends import Backend, find_backends
from inspector.tracking.balancer import Balanced, balanced
from inspector.tracking.certificates import Certificate, parse
from inspector.tracking.observed import BAD_CERTIFICATE, Observed, observe
from inspector.tracking.services import Client, Service, find_clients, find_services, ip_text, mark_health_checks
from inspector.tracking.sessions import Ledger, Session
from inspector.tracking.sightings import told_once

NOT_JAVA = ("openssl", "go", "nss", "gnutls", "schannel", "boringssl")
NOT_APPLICABLE = Decision("not_applicable", None, "no ServerHello was captured")


@dataclass(frozen=True, slots=True)
class Options:
    """``vips``: (host, port) that alone are looked at; empty for all. ``machine``: what is known of a client from elsewhere. ``logs``: paths of those that
    whoever extracts reads beside the captures.
    """

    generation: Generation = "current"
    vips: tuple[tuple[str, int], ...] = ()
    machine: Machine | None = None
    logs: tuple[str, ...] = ()


class Judgement(Struct, gc=False):
    """Java's rule on one connection's first handshake. ``told``: the same as the document writes it."""

    decision: Decision
    cached_leaf: bytes | None
    identity: Step | None
    told: Jsse


@dataclass(slots=True)
class Signs:
    """How one client fared with one certificate in full handshakes: what tells Java's rule from a certificate that is unacceptable."""

    accepted: int = 0
    gave_up_unmarked: int = 0
    unmarked_alerts: set[int | None] = field(default_factory=set)


@dataclass(slots=True)
class Case:
    """``judgements`` are parallel to ``observed``."""

    facts: Facts
    options: Options
    observed: list[Observed]
    services: list[Service]
    clients: list[Client]
    backends: list[Backend]
    sessions: list[Session]
    certificates: dict[bytes, Certificate]
    judgements: list[Judgement]
    signs: dict[tuple[int, bytes], Signs]
    balancer: Balanced
    logged: logged.Joined = field(default_factory=logged.Joined)
    ticket_keys: dict[bytes, list[Session]] = field(default_factory=dict)
    """Names of ticket keys that several TLS 1.3 identities begin with, and their sessions."""
    identities: dict[tuple[bytes, bytes], Step] = field(default_factory=dict)

    def step(self, old: bytes, new: bytes) -> Step:
        """The identity rule on two certificates by digest."""
        return _step(self, old, new)

    def machine_of(self, seen: Observed) -> Machine | None:
        """What is known of the client's machine from elsewhere, where it is that one."""
        machine = self.options.machine
        return machine if machine is not None and ip_text(seen.client_address) in machine.addresses else None

    def may_change(self, seen: Observed) -> bool:
        """Whether the client gave up as Java does, where Java's rule may have spoken, in the first handshake or in a renegotiation."""
        if any(attempt.broken_off_by == "client" for attempt in seen.renegotiations):
            return True
        if not seen.gave_up or seen.health_check or seen.stack.name in NOT_JAVA:
            return False
        alert = seen.fatal_alert
        if alert is not None and alert.from_client and alert.code != BAD_CERTIFICATE:
            return False
        return self.judgements[seen.index].decision.verdict in ("aborts", "possible")

    def log_place(self, log: int, line: int) -> str:
        """``line 16 of puppetserver.log``."""
        return f"line {line} of {self.facts.logs[log].path.rsplit('/', 1)[-1]}"

    def members(self, service: Service) -> list[Observed]:
        """A service's connections without health checks."""
        return [self.observed[i] for i in service.connections if not self.observed[i].health_check]

    def label(self, seen: Observed) -> str:
        """The letter of the back end that answered, or ``?``."""
        return self.backends[seen.backend].label if seen.backend >= 0 else "?"


def build(facts: Facts, options: Options) -> Case:
    """Join, group and judge the facts."""
    ledger = Ledger(max((capture.tick_ns for capture in facts.captures), default=0))
    facts = told_once(facts)
    observed = observe(facts, ledger, _wanted(options))
    certificates = {digest: parse(der) for digest, der in facts.certificates.items()}
    services = find_services(observed, facts.other_flows)
    clients = find_clients(observed)
    mark_health_checks(observed, services)
    balancer = balanced(observed, facts.logs)
    servers = {index: chosen.entry.server for index, chosen in balancer.chosen.items() if chosen.entry.server}
    backends = find_backends(observed, services, certificates, servers)
    case = Case(facts, options, observed, services, clients, backends, ledger.sessions, certificates, [], {}, balancer)
    case.ticket_keys = _ticket_keys(ledger.sessions)
    case.judgements = [_judge(case, seen) for seen in observed]
    _read_signs(case)
    has_losses = bool(facts.logs) and (any(c.drops or c.damage for c in facts.captures) or any(s.lost for s in observed))
    case.logged = logged.joined(observed, services, facts.logs, case.may_change, has_losses=has_losses)
    return case


def _ticket_keys(sessions: list[Session]) -> dict[bytes, list[Session]]:
    """What two tickets have in common at their start is no chance: it is the name of the key that both were sealed with."""
    named: dict[bytes, list[Session]] = {}
    for session in sessions:
        if session.name:
            named.setdefault(session.name, []).append(session)
    return {name: found for name, found in named.items() if len(found) > 1}


def _wanted(options: Options) -> Callable[[ConnectionFacts], bool] | None:
    """Which connections ``--vip`` leaves: addresses are compared with addresses, names with server names."""
    if not options.vips:
        return None

    def is_wanted(connection: ConnectionFacts) -> bool:
        offer = connection.handshake.offer
        names = {ip_text(connection.server.address)}
        if offer is not None and offer.server_name:
            names.add(offer.server_name.decode("ascii", "backslashreplace").lower())
        return any(port == connection.server.port and host in names for host, port in options.vips)

    return is_wanted


def _step(case: Case, old: bytes, new: bytes) -> Step:
    known = case.identities.get((old, new))
    if known is None:
        if old == new:
            known = "same_der"
        else:
            first, second = case.certificates.get(old), case.certificates.get(new)
            known = equivalence(first.identity, second.identity, case.options.generation) if first and second else "none"
        case.identities[old, new] = known
    return known


def _told(decision: Decision, cached: bytes | None = None, identity: Step | None = None) -> Judgement:
    return Judgement(decision, cached, identity, Jsse(decision.verdict, decision.row, decision.reason, cached.hex() if cached else None, identity))


_NOT_APPLICABLE = _told(NOT_APPLICABLE)
_MODERN = _told(decide(Offer(True, False, False, False, False, None, None, False)))
_NOTHING_OFFERED = _told(decide(Offer(False, False, False, False, False, None, None, False)))


def _judge(case: Case, seen: Observed) -> Judgement:
    """The decision table on one connection."""
    if seen.kind is None:
        return _NOT_APPLICABLE
    if seen.modern:
        return _MODERN
    entry = seen.entry
    session = entry.session
    if session is None:
        return _NOTHING_OFFERED
    answer = seen.answer
    if answer is None:
        return _NOT_APPLICABLE
    cached, leaf = session.leaf, seen.leaf
    identity = case.step(cached, leaf) if cached is not None and leaf is not None else None
    offer = Offer(
        modern=False,
        offered=True,
        resumed=seen.kind != "full",
        extended_master_secret=answer.extended_master_secret,
        issued=entry.known,
        resumed_before=entry.resumed_before,
        equivalent=None if identity is None else identity != "none",
        gave_up=seen.gave_up,
    )
    return _judgement(offer, cached, identity)


@lru_cache(maxsize=4096)
def _judgement(offer: Offer, cached: bytes | None, identity: Step | None) -> Judgement:
    return _told(decide(offer), cached, identity)


def _read_signs(case: Case) -> None:
    """Count how each client took each certificate where Java's rule could not have spoken."""
    for seen, judgement in zip(case.observed, case.judgements, strict=True):
        leaf = seen.leaf
        if leaf is None or seen.health_check:
            continue
        signs = case.signs.get((seen.client, leaf))
        if signs is None:
            signs = case.signs[seen.client, leaf] = Signs()
        if seen.gave_up:
            if judgement.decision.verdict == "accepts":
                signs.gave_up_unmarked += 1
                alert = seen.fatal_alert
                signs.unmarked_alerts.add(alert.code if alert else None)
        elif seen.outcome == "established":
            signs.accepted += 1


def frame(reference: int) -> FrameRef | None:
    """A frame reference as the document writes it."""
    return (reference >> FRAME_BITS, reference & (1 << FRAME_BITS) - 1) if reference else None


def frames(*references: int) -> list[FrameRef]:
    """Those that are known, each once, in order."""
    return [(r >> FRAME_BITS, r & (1 << FRAME_BITS) - 1) for r in sorted({r for r in references if r})]
