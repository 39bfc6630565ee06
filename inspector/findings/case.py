"""Everything that is known while findings are made: facts joined, grouped and judged by Java's rule, before any of it
is worded.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from inspector.document import FrameRef
from inspector.errors.internal import Border
from inspector.facts import FRAME_BITS, FRAME_NUMBER, Facts
from inspector.facts.mapped import IntegerColumn
from inspector.findings import logged
from inspector.findings.giving_up import HAS_NO_RULE, client_code, slow_close
from inspector.findings.jsse import Generation, Step, equivalence
from inspector.findings.judgement import Judgement
from inspector.findings.machine import Machine
from inspector.findings.problems import itself
from inspector.findings.signs import Abort, Manner, Signs, Weighed, weigh
from inspector.findings.unopened import Carrier
from inspector.tracking.backends import BackendGroup
from inspector.tracking.balancer_log import Balanced
from inspector.tracking.certificate_reader import Certificates
from inspector.tracking.certificates import ParsedCertificate
from inspector.tracking.columns import ConnectionColumns
from inspector.tracking.ledger_session import LedgerSession
from inspector.tracking.observed import BAD_CERTIFICATE, Observed
from inspector.tracking.selection import ObservedSelection
from inspector.tracking.services import (
    ClientGroup,
    ServiceGroup,
    ip_text,
)
from inspector.tracking.session_caches import find_caches
from inspector.tracking.tallies import Tally, tallied

Program = tuple[int, bytes]
"""A client by its index, and what tells its programs apart."""


EmsAnswers = tuple[frozenset[bool], frozenset[bool]]
"""Whether answers had extended master secret: those to clients that offered it, and the others."""

Unnamed = tuple[tuple[int, ...], str]
"""Back ends whose certificates need a name so that all have it, and the name."""


@dataclass(frozen=True, slots=True)
class Options:
    """``vips``: (host, port) that alone are looked at; empty for all. ``machine``: what is known of a client from
    elsewhere. ``logs``: paths of those that whoever extracts reads beside the captures. ``most_services``: that are
    judged; None for ``bounds.SERVICES``.
    """

    generation: Generation = "current"
    vips: tuple[tuple[str, int], ...] = ()
    machine: Machine | None = None
    logs: tuple[str, ...] = ()
    most_services: int | None = None


@dataclass(slots=True)
class Case:
    """``judgements`` are parallel to ``observed``, ``going_on`` too: 1 where a connection went on although Java's rule
    says abort, as ``judgement.goes_on`` tells.
    """

    facts: Facts
    options: Options
    observed: Sequence[Observed]
    columns: ConnectionColumns
    going_on: IntegerColumn
    services: list[ServiceGroup]
    clients: list[ClientGroup]
    backends: list[BackendGroup]
    sessions: Sequence[LedgerSession]
    certificates: Certificates
    judgements: list[Judgement]
    signs: dict[tuple[Program, bytes], Signs]
    balancer: Balanced
    manners: dict[Program, Manner] = field(default_factory=dict)
    known_caches: array[int] | None = None
    """What ``caches`` says, once it was asked for."""
    known_issuing: bytearray | None = None
    """What ``issuing`` says, once it was asked for."""
    went_on: dict[int, int] = field(default_factory=dict)
    """For each session cache the first connection that went on where Java's rule says abort."""
    logged: logged.Joined = field(default_factory=logged.Joined)
    ticket_keys: dict[bytes, bool] = field(default_factory=dict)
    """Names of ticket keys that several TLS 1.3 identities begin with, and whether any of these was resumed."""
    identities: dict[tuple[bytes, bytes], Step | None] = field(default_factory=dict)
    has_refused: bool = False
    """Whether any certificate is one that Java cannot parse."""
    ems_answered: dict[int, EmsAnswers] = field(default_factory=dict)
    """Of each back end that was asked about: as ``prediction.ems_answers`` says."""
    unclear: dict[bytes, int] = field(default_factory=dict)
    """How often a client, by address, gave up as Java does where too little was captured to say on what."""
    carriers: list[Carrier] = field(default_factory=list)
    """What frames of each capture that were not opened may carry."""
    pools: list[list[BackendGroup]] = field(default_factory=list)
    """The back ends of each service."""
    unnamed: dict[int, int] = field(default_factory=dict)
    """Of each service, connections that count elsewhere and may be to it (``tracking.unnamed``)."""
    service_clients: list[list[ClientGroup]] = field(default_factory=list)
    """The clients of each service."""
    known_members: dict[int, ObservedSelection] = field(default_factory=dict)
    """What ``members`` says, once it was asked for."""
    known_tallies: dict[int, list[Tally]] = field(default_factory=dict)
    """What ``tallies`` says, once it was asked for."""
    known_tallies_at: dict[int, dict[int, list[Tally]]] = field(default_factory=dict)
    """The same by service and back end, once these were asked for."""
    known_aborted_by: dict[int, int] | None = None
    """What ``aborted_by`` says, once it was asked for."""
    known_unnamed: dict[int, Unnamed] = field(default_factory=dict)
    """Of each service that was asked about: as ``prediction.unnamed`` says."""
    border: Border = field(default_factory=Border)
    """Where mistakes of a rule end: they cost what that rule would have found."""

    @property
    def caches(self) -> array[int]:
        """For each connection the first one of its session cache."""
        if self.known_caches is None:
            self.known_caches = find_caches(self.observed)
        return self.known_caches

    @property
    def issuing(self) -> bytearray:
        """For each connection whether it was issued a session with an id or a ticket that can be used."""
        if self.known_issuing is None:
            self.known_issuing = bytearray(len(self.observed))
            for session in self.sessions:
                if session.issuer is not None and session.usable and session.method != "psk":
                    self.known_issuing[session.issuer] = True
        return self.known_issuing

    def step(self, old: bytes, new: bytes) -> Step | None:
        """The identity rule on two certificates by digest; None where one of them cannot be read."""
        return _step(self, old, new)

    def refused(self, observed: Observed) -> ParsedCertificate | None:
        """The certificate of the server's chain that Java cannot parse, where there is one: Java gives up on it before
        it compares anything.
        """
        return self.certificates.first_refused(observed.client_leg.handshake.chain) if self.has_refused else None

    @property
    def extent(self) -> tuple[int, int]:
        """When the captures begin and end, in nanoseconds since the epoch; 0 where they hold nothing."""
        times = [ns for c in self.facts.captures for ns in (c.first_ns, c.last_ns) if ns is not None]
        return min(times, default=0), max(times, default=0)

    @property
    def is_cut(self) -> bool:
        """Whether a snap length cut frames short, and payload with them."""
        return any(capture.clipped and capture.snap_length for capture in self.facts.captures)

    def by_id(self, name: str) -> Observed:
        """The connection of an id. Raises KeyError where there is none."""
        return self.observed[self.columns.index(name)]

    def machine_of(self, observed: Observed) -> Machine | None:
        """What is known of the client's machine from elsewhere, where it is that one."""
        return self._machine_at(observed.client_address)

    def machines_of(self, members: ObservedSelection) -> list[Machine | None]:
        """The same of some connections, of each address once."""
        addresses = dict.fromkeys(map(self.columns.address.__getitem__, members.indices))
        return [self._machine_at(self.columns.addresses[number]) for number in addresses]

    def _machine_at(self, address: bytes) -> Machine | None:
        machine = self.options.machine
        return machine if machine is not None and ip_text(address) in machine.addresses else None

    def may_change(self, observed: Observed) -> bool:
        """Whether the client gave up as Java does, where Java's rule may have spoken, in the first handshake or in a
        renegotiation.
        """
        if any(attempt.broken_off_by == "client" for attempt in observed.renegotiations):
            return True
        if not observed.gave_up or observed.health_check or observed.stack.name in HAS_NO_RULE:
            return False
        alert = observed.fatal_alert
        if alert is not None and alert.from_client and alert.code != BAD_CERTIFICATE:
            return False
        return self.judgements[observed.index].decision.verdict in ("aborts", "possible")

    def program_of(self, observed: Observed) -> Program:
        """The program that made a connection, as far as hellos tell programs of one client apart."""
        return observed.client, observed.program

    def weighed(self, observed: Observed) -> Weighed:
        """What the evidence says of a connection that ended as Java ends it when the certificate changed."""
        judgement, session = self.judgements[observed.index], observed.session
        key = self.program_of(observed)
        before = self.went_on.get(self.caches[observed.index]) if self.went_on else None
        abort = Abort(
            is_logged=self.logged.certain(observed.index, "certificate_change") is not None,
            has_origin=session is not None and judgement.cached_leaf is not None,
            is_issued=observed.entry.known,
            differs=observed.leaf is not None and judgement.identity == "none",
            is_java=observed.stack.name == "jsse",
            code=client_code(observed),
            slow_ns=slow_close(observed),
            went_on_before=before is not None and before < observed.index,
            cloud=judgement.decision.reason if session is None or observed.entry.clouded else None,
            sequence_jump=observed.sequence_jump,
            unclear=self.unclear.get(observed.client_address, 0),
            itself=itself(self.certificates, observed.client_leg.handshake.chain),
            is_contradicted=observed.contradicted or self._is_session_contradicted(observed),
        )
        return weigh(abort, self.signs.get((key, observed.leaf or b"")) or Signs(), self.manners.get(key) or Manner())

    def _is_session_contradicted(self, observed: Observed) -> bool:
        """Whether bytes of the connections that issued or resumed its session came in two versions."""
        session = observed.session
        before = (session.issuer, session.resumed_by) if session is not None else ()
        return any(index is not None and self.observed[index].contradicted for index in before)

    def certificate_name(self, digest: bytes) -> str:
        """A certificate by its common name; by its digest only where it has none, or was not captured."""
        certificate = self.certificates.get(digest)
        return (certificate.common_name if certificate is not None else "") or digest.hex()[:12]

    def log_place(self, log: int, line: int) -> str:
        """``line 16 of puppetserver.log``."""
        return f"line {line} of {self.facts.logs[log].path.rsplit('/', 1)[-1]}"

    def members(self, service: ServiceGroup) -> ObservedSelection:
        """A service's connections without health checks."""
        known = self.known_members.get(service.index)
        if known is None:
            known = self.known_members[service.index] = self.unchecked(service.connections)
        return known

    def tallies(self, service: ServiceGroup) -> list[Tally]:
        """A service's connections, counted by what they have in common."""
        known = self.known_tallies.get(service.index)
        if known is None:
            known = self.known_tallies[service.index] = tallied(self.columns, service.connections)
        return known

    def member_tallies(self, service: ServiceGroup) -> list[Tally]:
        """The same without health checks."""
        return [tally for tally in self.tallies(service) if not tally.health_check]

    def tallies_at(self, backend: BackendGroup) -> list[Tally]:
        """The same of one back end."""
        known = self.known_tallies_at.get(backend.service)
        if known is None:
            known = self.known_tallies_at[backend.service] = {}
            for tally in self.tallies(self.services[backend.service]):
                known.setdefault(tally.backend, []).append(tally)
        return known.get(backend.index, [])

    def unchecked(self, connections: Iterable[int]) -> ObservedSelection:
        """Some connections without health checks."""
        checks = self.columns.health_check
        return ObservedSelection(self.observed, (index for index in connections if not checks[index]))

    @property
    def aborted_by(self) -> dict[int, int]:
        """How many connections of each client that has any were aborted, health checks left out."""
        if self.known_aborted_by is None:
            aborted = self.unchecked(self.everybody.where(lambda shape: shape.traits.outcome == "aborted").indices)
            self.known_aborted_by = Counter(map(self.columns.client.__getitem__, aborted.indices))
        return self.known_aborted_by

    @property
    def everybody(self) -> ObservedSelection:
        """All connections, health checks too."""
        return ObservedSelection(self.observed, range(len(self.observed)))

    def going_on_among(self, connections: Iterable[int]) -> ObservedSelection:
        """Those of them that went on although Java's rule says abort."""
        return ObservedSelection(self.observed, (index for index in connections if self.going_on[index]))

    def label(self, observed: Observed) -> str:
        """The letter of the back end that answered, or ``?``."""
        return self.backends[observed.backend].label if observed.backend >= 0 else "?"


def _step(case: Case, old: bytes, new: bytes) -> Step | None:
    if old == new:
        return "same_der"
    if (old, new) not in case.identities:
        first, second = case.certificates.get(old), case.certificates.get(new)
        case.identities[old, new] = (
            equivalence(first.identity, second.identity, case.options.generation) if first and second else None
        )
    return case.identities[old, new]


def frame(reference: int) -> FrameRef | None:
    """A frame reference as the document writes it."""
    return (reference >> FRAME_BITS, reference & FRAME_NUMBER) if reference else None


def frames(*references: int) -> list[FrameRef]:
    """Those that are known, each once, in order."""
    return [(r >> FRAME_BITS, r & FRAME_NUMBER) for r in sorted(set(references)) if r]
