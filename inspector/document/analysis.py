"""The analysis document as types: what ``analyze -T json`` writes, what the library returns, what the JSON Schema is
made from.

Times are RFC 3339 UTC with nine decimals; hashes and ids lower-case hex; unknown is None, never a guess. Frame
references are
``[index in captures, frame number from 1]``. Contract names are kept; additions only.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from inspector.document.connection import Connection
from inspector.document.handshake import FrameRef
from inspector.document.probed import Probed
from inspector.document.rules import Rule, Severity

SCHEMA = "inspector.analysis/1"

Grade = Literal["observed", "inferred", "not_visible"]
Verdict = Literal["confirmed", "possible", "predicted"]
ServiceState = Literal["confirmed", "exposed", "protected", "not_this", "unknown"]
RemedyKind = Literal["ems", "shared_name", "tls13", "affinity"]


class Generator(Struct, frozen=True):
    name: str
    version: str


class Clock(Struct):
    """How many ns later a clock is than that of the capture ``than``, with its uncertainty and the number of
    connections that tell it. Where that is the capture itself, its frames of servers are later than its frames of
    clients.
    """

    ns: int
    uncertainty: int
    connections: int
    than: int


class Capture(Struct):
    """``tick``: of how many ns stamps are exact, where they are coarse. ``clocks``: what was taken out of the times of
    its connections. ``host``: the name of where it was made, None where nobody said. ``source``: ``probe`` where all
    connections are a probe's own, not users' traffic.
    """

    path: str
    packets: int
    bytes: int
    first: str | None
    last: str | None
    link_types: list[int]
    truncated: bool
    undecoded: int
    drops: int | None
    vantage: Literal["client", "server", "balancer"] | None
    tick: int | None = None
    clocks: list[Clock] = []
    host: str | None = None
    source: Literal["probe"] | None = None


class Unseen(Struct, frozen=True):
    """Something that was not seen and may hold the contrary. ``kind``: as in ``limits``, or ``unfinished``,
    ``not_told``, ``certificate_not_read``, ``lost_records``, ``lost_flows``, ``lost_names``. ``count``: of ``what``.
    """

    kind: str
    what: Literal["captures", "connections"]
    count: int


NOTHING_TO_DO = "nothing"
"""``Assessment.do`` where all is well."""


class Assessment(Struct):
    """``do``: what to do now, in one line. ``unseen``: what weakens it."""

    state: ServiceState
    sentence: str
    because: list[str]
    breaks_if: list[str]
    grade: Grade
    do: str = ""
    unseen: list[Unseen] = []

    @property
    def is_actionable(self) -> bool:
        """There is something to do."""
        return self.do not in ("", NOTHING_TO_DO)


class MatrixCell(Struct):
    """Sessions issued by one back end and offered to another; ``issued_by`` None: before the capture, or not visible;
    ``offered_to`` None: not visible.
    """

    issued_by: str | None
    offered_to: str | None
    resumed: int
    declined: int
    aborted: int


class Impact(Struct):
    """What aborts cost by the client's log. ``aborts``: logged; ``catalogs``: agents that got an error instead;
    ``reports``: lost; ``nodes``: whose.
    """

    aborts: int
    catalogs: int
    reports: int
    nodes: list[str]


class Checker(Struct):
    """Who looks only whether a service is there. ``kind``: ``tls`` where it says hello and closes, ``tcp`` where it
    connects and closes without a byte.
    """

    ip: str
    kind: Literal["tls", "tcp"]
    connections: int


class Counterfactual(Struct, kw_only=True):
    """What a remedy would have done to the recorded connections. ``backends``: those that must change; ``clients``:
    those that must as well. ``prevented`` of the ``of`` connections that were aborted because of the certificate
    change; where none was, of those that left the client ``exposed`` to it. ``not_judged``: of them, those on which the
    rule cannot say. ``new_exposures``: connections that went on, and that the remedy would have made one of these.
    ``basis``: ``simulated`` where what a cache would have held, or who would have answered, had to be assumed.
    ``name``: the DNS name that certificates would share.
    """

    remedy: RemedyKind
    backends: list[str]
    clients: list[str]
    prevented: int
    of: int
    of_what: Literal["aborted", "exposed"]
    not_judged: int
    new_exposures: int
    basis: Literal["judged", "simulated"]
    name: str | None = None

    @property
    def is_sufficient(self) -> bool:
        """None would have been left, and none come."""
        return self.prevented == self.of and not self.new_exposures


class MemberValue(Struct, kw_only=True):
    """What members of a pool have in one attribute. ``backends``: whose it is; empty where that is not visible.
    ``unplaced``: connections that showed it and whose back end is not visible; they are among ``connections``. ``odd``:
    not what most have. ``since``: when it was first seen.
    """

    value: str
    backends: list[str]
    connections: int
    unplaced: int = 0
    odd: bool = False
    since: str | None = None


class ValueChange(Struct):
    """A back end that showed another value before. ``at``: the first connection with this one."""

    backend: str
    at: str
    value: str


class MemberAttribute(Struct, kw_only=True):
    """One attribute of a pool, and what its members have there. ``differs``: they answer equal questions differently,
    or failures go with one of them. ``values``: where it differs the odd ones first. ``finding``: which tells of it.
    """

    attribute: str
    differs: bool
    values: list[MemberValue]
    changes: list[ValueChange] = []
    finding: str | None = None


class Service(Struct, kw_only=True):
    """``health_checks`` and ``established`` are among ``connections``; ``offered_nothing`` counts connections without
    an offer,
    ``offer_unseen`` those whose offer, or what became of it, was not captured. ``named``: by settings.
    ``checkers``: the most frequent first; those of ``tcp`` are among ``other_flows``. ``what_if``: what would have
    helped against the certificate change, best first; empty where no client was hit, or could be. ``attributes``: what
    the members of the pool have in each, those that differ first; empty where there is nothing to hold against another.
    ``probed``: what a probe met, where one asked.
    """

    id: str
    name: str
    port: int
    addresses: list[str]
    connections: int
    other_flows: int
    clients: list[str]
    backends: list[str]
    assessment: Assessment
    health_checks: int
    full: int
    resumed: int
    aborted: int
    other: int
    offered_nothing: int
    matrix: list[MatrixCell]
    named: str | None = None
    impact: Impact | None = None
    offer_unseen: int = 0
    checkers: list[Checker] = []
    what_if: list[Counterfactual] = []
    attributes: list[MemberAttribute] = []
    probed: Probed | None = None


class Client(Struct):
    id: str
    ip: str
    stack: str
    basis: list[str]
    grade: Grade
    connections: int
    aborted: int
    named: str | None = None


class Backend(Struct, kw_only=True):
    """Every connection is one of full, resumed, aborted, other; ``declined`` overlaps with full and aborted.
    ``server``: by the balancer's log.
    """

    id: str
    service: str
    label: str
    basis: list[str]
    leaf: str | None
    connections: int
    full: int
    resumed: int
    declined: int
    aborted: int
    other: int
    ems: bool | Literal["mixed"] | None
    versions: list[str]
    addresses: list[str]
    server: str | None = None
    named: str | None = None


class Certificate(Struct, kw_only=True):
    sha256: str
    subject: str
    issuer: str
    serial: str
    not_before: str | None
    not_after: str | None
    dns_names: list[str]
    ip_addresses: list[str]
    key: str
    signature: str
    self_issued: bool
    problem: str | None = None


class AcceptedAuthorities(Struct):
    """Whose client certificates servers accept, as a CertificateRequest lists them. ``names``: those that can be read,
    of the first ones; ``unreadable``: how many of them cannot; ``more``: how many follow.
    """

    sha256: str
    names: list[str]
    unreadable: int
    more: int


class Use(Struct):
    connection: str
    at: str
    backend: str | None
    result: Literal["resumed", "declined"]


class Session(Struct):
    """``usable``: false where the handshake that issued it was not completed. ``ticket_key``: name of the key that
    sealed it, of TLS 1.3 identities that others in the capture share it with.
    """

    id: str
    method: Literal["session_id", "ticket", "psk"]
    issued_by: str | None
    leaf: str | None
    ems: bool | None
    issued_at: str | None
    usable: bool
    uses: list[Use]
    ticket_key: str | None = None


class UnpairedLine(Struct):
    """A logged failure without a connection."""

    line: int
    at: str
    text: str
    reason: str


class LogFile(Struct):
    """``offset``, ``uncertainty``: nanoseconds, the log's clock minus the capture's. ``failures``: logged; of them
    ``paired`` and ``ambiguous``.
    ``connections``: whose server it names.
    """

    path: str
    form: str
    lines: int
    first: str | None
    last: str | None
    zone: bool
    problem: str | None
    offset: int | None
    uncertainty: int | None
    failures: int
    paired: int
    ambiguous: int
    unpaired: list[UnpairedLine]
    connections: int


class Remedy(Struct, frozen=True):
    audience: str
    text: str
    check: str


class Evidence(Struct, gc=False):
    role: str
    connection: str | None
    frames: list[FrameRef]
    text: str


class About(Struct, gc=False):
    """In what some connections differ from others, mostly because of the member of the pool that they reached.
    ``backend``: its id; None where it is not told which one, or all are alike. ``value``, ``others``: what it has
    there, and what the others have. ``since``: when it was first seen with it; ``changed``: before, it was not so.
    ``affected`` of the ``reached`` connections failed, and ``elsewhere_affected`` of those ``elsewhere``.
    """

    attribute: str
    backend: str | None
    value: str
    others: str
    since: str | None
    affected: int
    reached: int
    elsewhere_affected: int
    elsewhere: int
    changed: bool = False


class Aftermath(Struct, gc=False):
    """What came after an abort. ``state``: ``stuck``, the session was offered again and aborted again;
    ``offered_again``, it was not aborted again; ``recovered``, it was not offered again, and the next connection of the
    same program went well; else ``not_visible``. ``offered``: how often again, of which ``aborted``. ``connection``:
    the next one, by id, ``after_ns``: from the first frame of the aborted connection to its own.
    """

    state: Literal["stuck", "offered_again", "recovered", "not_visible"]
    grade: Grade
    offered: int
    aborted: int
    connection: str | None
    after_ns: int | None


class Finding(Struct, gc=False, kw_only=True):
    """``aftermath``: of an abort, where the session that was offered is known. ``about``: in what the connections
    differ from others; None where that is no matter of difference. ``matter``: what of its rule it is about, the same
    in every analysis: why handshakes failed, in what back ends differ, whose certificate it is. ``what``: the title
    without what is counted or named anew in each analysis.
    """

    id: str
    rule: Rule
    severity: Severity
    verdict: Verdict
    grade: Grade
    title: str
    explanation: str
    remedies: list[Remedy]
    references: list[str]
    service: str | None
    backends: list[str]
    clients: list[str]
    connections: list[str]
    first: str | None
    last: str | None
    count: int
    evidence: list[Evidence]
    about: About | None = None
    matter: str = ""
    what: str = ""
    aftermath: Aftermath | None = None


class Incident(Struct, gc=False):
    """``path``: what the summary says behind the time."""

    id: str
    service: str
    at: str
    connections: list[str]
    findings: list[str]
    summary: str
    path: str = ""


class Limit(Struct):
    kind: str
    text: str
    capture: int | None
    connections: list[str]


class Document(Struct):
    """One analysis. The field names are the contract's."""

    generator: Generator
    captures: list[Capture]
    services: list[Service]
    clients: list[Client]
    backends: list[Backend]
    certificates: list[Certificate]
    sessions: list[Session]
    connections: list[Connection]
    findings: list[Finding]
    incidents: list[Incident]
    limits: list[Limit]
    logs: list[LogFile]
    schema: str = SCHEMA
    authorities: list[AcceptedAuthorities] = []


LISTS = (
    "captures",
    "services",
    "clients",
    "backends",
    "certificates",
    "authorities",
    "sessions",
    "connections",
    "findings",
    "incidents",
    "limits",
    "logs",
)
