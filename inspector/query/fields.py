"""The fields of the filter language: what each holds of a connection, and which values there are."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Literal, NamedTuple, get_args, get_type_hints

from inspector.document import Connection
from inspector.document.handshake import Handshake, Inside, Jsse
from inspector.facts import FRAME_BITS, ConnectionFacts, HandshakeFacts
from inspector.findings.into_document.connection import secrets_of
from inspector.findings.judge import Analysis
from inspector.tls.cipher_suites import CIPHER_SUITES
from inspector.tls.registry import ALERTS, VERSIONS, alert_name, cipher_name, version_name
from inspector.tracking.observed import Observed
from inspector.tracking.services import ip_text

Value = str | float | bool | None
Values = tuple[Value, ...]
Getter = Callable[["FieldLookup", Observed, ConnectionFacts], Values]
Holds = Literal["text", "number", "duration", "size"]


def _literals(struct: type, name: str) -> tuple[str, ...]:
    """The values that a field of the document may have."""
    literals: list[str] = []
    kinds: list[object] = [get_type_hints(struct)[name]]
    while kinds:
        kind = kinds.pop(0)
        if isinstance(kind, str):
            literals.append(kind)
        kinds += get_args(kind)
    return tuple(literals)


class FieldLookup:
    """Lookups from places to what people call things, made once an analysis."""

    def __init__(self, analysis: Analysis) -> None:
        case = analysis.case
        self.case = case
        self.labels = [b.label for b in case.backends]
        self.services = [f"{s.name}:{s.port}" for s in case.services]
        self.stacks = [c.stack.name for c in case.clients]
        self.hosts = [capture.host or None for capture in case.facts.captures]
        self.has_hosts = any(self.hosts)
        self.rules: dict[str, Values] = {}
        for finding in analysis.document.findings:
            for connection in finding.connections:
                self.rules[connection] = (*self.rules.get(connection, ()), finding.rule)
        self.certificates: dict[bytes, Values] = {}
        for digest, c in case.certificates.items():
            self.certificates[digest] = (digest.hex(), c.subject, c.issuer, *c.identity.dns_names)


class Field(NamedTuple):
    """``read``: the values of a connection; durations in seconds, sizes in bytes. ``values``: all that there are beside
    ``none``, empty where there is no end of them. ``form``: of further ones that have no name.
    """

    name: str
    about: str
    read: Getter
    holds: Holds = "text"
    values: tuple[str, ...] = ()
    form: str = ""


def _ems(observed: Observed) -> bool | None:
    return None if observed.answer is None else observed.answer.extended_master_secret


def _session(names: FieldLookup, observed: Observed, client_leg: ConnectionFacts) -> Values:
    return tuple([value for h in client_leg.handshakes for value in _sessions(h)])


def _sessions(h: HandshakeFacts) -> Values:
    return (
        h.offered_id.hex() if h.offer is not None else None,
        h.answered_id.hex() if h.answer is not None else None,
        h.offered_ticket.hex() if h.offered_ticket else None,
        *(ticket.hex() for ticket in h.issued_tickets or ((h.issued_ticket,) if h.issued_ticket else ())),
        *(psk.hex() for psk in h.offered_psks),
    )


def _certificates(names: FieldLookup, observed: Observed, client_leg: ConnectionFacts) -> Values:
    leaves = ((observed.leaf,) if observed.leaf is not None else ()) + tuple(
        h.chain[0] for h in client_leg.renegotiations if h.chain
    )
    return tuple([value for leaf in leaves for value in names.certificates.get(leaf, (leaf.hex(),))])


def _alerts(names: FieldLookup, observed: Observed, client_leg: ConnectionFacts) -> Values:
    return tuple(
        [
            v
            for a in client_leg.alerts
            for v in ((alert_name(a.code), str(a.code)) if a.code is not None else ("encrypted",))
        ]
    )


@lru_cache(maxsize=65_536)
def _address(packed: bytes) -> str:
    return ip_text(packed)


def _server_name(observed: Observed) -> str | None:
    offer = observed.offer
    return (
        offer.server_name.decode("utf-8", "backslashreplace")
        if offer is not None and offer.server_name is not None
        else None
    )


def _hosts(names: FieldLookup, observed: Observed, client_leg: ConnectionFacts) -> Values:
    """None where nobody said."""
    if not names.has_hosts:
        return (None,)
    return tuple(dict.fromkeys(names.hosts[first >> FRAME_BITS] for first, _ in observed.frame_ranges)) or (None,)


YES_NO = ("yes", "no")
STACKS = ("jsse", "openssl", "boringssl", "gnutls", "nss", "go", "schannel", "probe", "unknown")

FIELDS: tuple[Field, ...] = (
    Field(
        "outcome",
        "established, aborted or incomplete",
        lambda n, s, m: (s.outcome,),
        values=_literals(Connection, "outcome"),
    ),
    Field(
        "kind",
        "full, session_id, ticket, resumed or psk",
        lambda n, s, m: (s.kind,),
        values=_literals(Handshake, "kind"),
    ),
    Field("declined", "yes where an offered session was declined", lambda n, s, m: (s.declined,), values=YES_NO),
    Field("backend", "letter of the back end", lambda n, s, m: (n.labels[s.backend] if s.backend >= 0 else None,)),
    Field("service", "name:port of the service", lambda n, s, m: (n.services[s.service],)),
    Field("client", "address of the client", lambda n, s, m: (_address(s.client_address),)),
    Field("server", "address of the server", lambda n, s, m: (_address(s.server.address),)),
    Field("host", "host on which it was captured, as extract --vantage says", _hosts),
    Field("port", "port of either side", lambda n, s, m: (float(m.client.port), float(m.server.port)), "number"),
    Field(
        "stack",
        "TLS implementation of the client: jsse, openssl, go …",
        lambda n, s, m: (n.stacks[s.client],),
        values=STACKS,
    ),
    Field(
        "version",
        "TLSv1.2, TLSv1.3 …",
        lambda n, s, m: (version_name(s.answer.version) if s.answer is not None else None,),
        values=tuple(VERSIONS.values()),
    ),
    Field(
        "cipher",
        "name of the cipher suite",
        lambda n, s, m: (cipher_name(s.answer.cipher_suite) if s.answer is not None else None,),
        values=(*dict.fromkeys(CIPHER_SUITES.values()), "GREASE"),
        form="0x[0-9a-f]{4}",
    ),
    Field("sni", "server name that the client asked for", lambda n, s, m: (_server_name(s),)),
    Field("cert", "leaf certificate: SHA-256, subject, issuer or DNS name", _certificates),
    Field("session", "session id, ticket or identity, offered, answered or issued", _session),
    Field("ems", "yes where extended master secret was negotiated", lambda n, s, m: (_ems(s),), values=YES_NO),
    Field(
        "jsse",
        "what Java's rule says: accepts, aborts, possible",
        lambda n, s, m: (n.case.judgements[s.index].decision.verdict,),
        values=_literals(Jsse, "verdict"),
    ),
    Field(
        "row",
        "row of Java's decision table",
        lambda n, s, m: (float(n.case.judgements[s.index].decision.row or 0),),
        "number",
    ),
    Field("alert", "name or code of an alert", _alerts, values=(*ALERTS.values(), "encrypted"), form=r"\d+|alert_\d+"),
    Field("rule", "rule of a finding that names the connection", lambda n, s, m: n.rules.get(s.id, ())),
    Field("ja4", "JA4 of the ClientHello", lambda n, s, m: (s.offer.ja4 if s.offer is not None else None,)),
    Field(
        "rtt",
        "round trip of the TCP handshake, e.g. rtt>5ms",
        lambda n, s, m: (m.rtt / 1e9 if m.rtt is not None else None,),
        "duration",
    ),
    Field(
        "bytes",
        "payload bytes of both sides, e.g. bytes>1MB",
        lambda n, s, m: (float(sum(lane.bytes + lane.gap for lane in (m.from_client, m.from_server))),),
        "size",
    ),
    Field(
        "gap_bytes",
        "bytes that the capture lacks",
        lambda n, s, m: (float(m.from_client.gap + m.from_server.gap),),
        "size",
    ),
    Field(
        "frame",
        "frame number of the ClientHello",
        lambda n, s, m: (float(m.handshake.hello_frame & (1 << FRAME_BITS) - 1) if m.handshake.hello_frame else None,),
        "number",
    ),
    Field("id", "id of the connection", lambda n, s, m: (s.id,)),
    Field(
        "renegotiation",
        "completed, declined, aborted or open, of each in it",
        lambda n, s, m: tuple(attempt.state for attempt in s.renegotiations),
        values=_literals(Inside, "state"),
    ),
    Field("secrets", "decrypted, or why not all of it was", lambda n, s, m: (secrets_of(m),)),
    Field("health_check", "yes for health checks", lambda n, s, m: (s.health_check,), values=YES_NO),
)
OTHER_NAMES = {"gap": "gap_bytes"}
"""What fields were called before. In a ladder a gap is the time between two messages."""

BY_NAME = {field.name: field for field in FIELDS}


def field_named(name: str) -> Field | None:
    """The field that somebody calls so, now or before, whatever the case."""
    return BY_NAME.get(OTHER_NAMES.get(name.lower(), name.lower()))


TEXT_FIELDS = ("service", "client", "server", "host", "sni", "cert", "session", "alert", "id", "version", "cipher")
