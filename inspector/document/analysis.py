"""The analysis document as types: what ``analyze -T json`` writes, what the library returns, what the JSON Schema is
made from.

Times are RFC 3339 UTC with nine decimals; hashes and ids lower-case hex; unknown is None, never a guess. Frame
references are ``[index in captures, frame number from 1]``. Contract names are kept; additions only.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from inspector.document.connection import Connection
from inspector.document.finding import Finding, Grade, Incident
from inspector.document.service import Service

SCHEMA = "inspector.analysis/1"


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


class Client(Struct):
    """``probed_as``: which Java client a probe stood for, where its captures say it."""

    id: str
    ip: str
    stack: str
    basis: list[str]
    grade: Grade
    connections: int
    aborted: int
    named: str | None = None
    probed_as: str | None = None


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
