"""The filter language of ``-Y`` and of the app: ``outcome:aborted backend:B cert~puppetdb1 rtt>5ms -kind:full "text"``.

Terms side by side must all hold; ``or`` and parentheses combine; ``-`` negates. ``field:value`` is equality (case-insensitive, ``*`` matches anything),
``field~value`` containment, ``< <= > >=`` compare numbers with units. A word or "text" alone is looked for in all text fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from inspector.errors import UsageError
from inspector.facts import FRAME_BITS, ConnectionFacts, HandshakeFacts
from inspector.findings.describe import secrets_of
from inspector.findings.judge import Analysis
from inspector.tls.registry import alert_name, cipher_name, version_name
from inspector.tracking.observed import Observed
from inspector.tracking.services import ip_text

Value = str | float | bool | None
Values = tuple[Value, ...]
Getter = Callable[["Names", Observed, ConnectionFacts], Values]
Mask = npt.NDArray[np.bool_]

UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "": 1.0}
TOKEN = re.compile(r'\s*(?:(?P<paren>[()])|(?P<minus>-(?=[\w"(]))|(?P<term>(?P<field>\w+)(?P<op><=|>=|[:~<>])(?P<value>"[^"]*"|[^\s()]+))|(?P<text>"[^"]*"|[^\s()]+))')


UNFINISHED = re.compile(r"(\w+)(?:<=|>=|[:~<>])")


class FilterError(UsageError):
    """``column`` counts from 1."""

    def __init__(self, message: str, expression: str, column: int) -> None:
        super().__init__(f"filter: {message} at column {column}", f"{expression}\n  {' ' * (column - 1)}^")
        self.column = column


class Names:
    """Lookups from places to what people call things, made once an analysis."""

    def __init__(self, analysis: Analysis) -> None:
        case = analysis.case
        self.case = case
        self.labels = [b.label for b in case.backends]
        self.services = [f"{s.name}:{s.port}" for s in case.services]
        self.stacks = [c.stack.name for c in case.clients]
        self.rules: dict[str, Values] = {}
        for finding in analysis.document.findings:
            for connection in finding.connections:
                self.rules[connection] = (*self.rules.get(connection, ()), finding.rule)
        self.certificates: dict[bytes, Values] = {}
        for digest, c in case.certificates.items():
            self.certificates[digest] = (digest.hex(), c.subject, c.issuer, *c.identity.dns_names)


class Field(NamedTuple):
    """``read``: the values of a connection; durations in seconds, sizes in bytes."""

    name: str
    about: str
    read: Getter


def _ems(seen: Observed) -> bool | None:
    return None if seen.answer is None else seen.answer.extended_master_secret


def _session(names: Names, seen: Observed, main: ConnectionFacts) -> Values:
    return tuple([value for h in main.handshakes for value in _sessions(h)])


def _sessions(h: HandshakeFacts) -> Values:
    return (
        h.offered_id.hex() if h.offer is not None else None,
        h.answered_id.hex() if h.answer is not None else None,
        h.offered_ticket.hex() if h.offered_ticket else None,
        *(ticket.hex() for ticket in h.issued_tickets or ((h.issued_ticket,) if h.issued_ticket else ())),
        *(psk.hex() for psk in h.offered_psks),
    )


def _certificates(names: Names, seen: Observed, main: ConnectionFacts) -> Values:
    leaves = ((seen.leaf,) if seen.leaf is not None else ()) + tuple(h.chain[0] for h in main.inside if h.chain)
    return tuple([value for leaf in leaves for value in names.certificates.get(leaf, (leaf.hex(),))])


def _alerts(names: Names, seen: Observed, main: ConnectionFacts) -> Values:
    return tuple([v for a in main.alerts for v in ((alert_name(a.code), str(a.code)) if a.code is not None else ("encrypted",))])


@lru_cache(maxsize=65_536)
def _address(packed: bytes) -> str:
    return ip_text(packed)


def _server_name(seen: Observed) -> str | None:
    offer = seen.offer
    return offer.server_name.decode("utf-8", "backslashreplace") if offer is not None and offer.server_name is not None else None


FIELDS: tuple[Field, ...] = (
    Field("outcome", "established, aborted or incomplete", lambda n, s, m: (s.outcome,)),
    Field("kind", "full, session_id, ticket, resumed or psk", lambda n, s, m: (s.kind,)),
    Field("declined", "yes where an offered session was declined", lambda n, s, m: (s.declined,)),
    Field("backend", "letter of the back end", lambda n, s, m: (n.labels[s.backend] if s.backend >= 0 else None,)),
    Field("service", "name:port of the service", lambda n, s, m: (n.services[s.service],)),
    Field("client", "address of the client", lambda n, s, m: (_address(s.client_address),)),
    Field("server", "address of the server", lambda n, s, m: (_address(s.server.address),)),
    Field("port", "port of either side", lambda n, s, m: (float(m.client.port), float(m.server.port))),
    Field("stack", "TLS implementation of the client: jsse, openssl, go …", lambda n, s, m: (n.stacks[s.client],)),
    Field("version", "TLSv1.2, TLSv1.3 …", lambda n, s, m: (version_name(s.answer.version) if s.answer is not None else None,)),
    Field("cipher", "name of the cipher suite", lambda n, s, m: (cipher_name(s.answer.cipher_suite) if s.answer is not None else None,)),
    Field("sni", "server name that the client asked for", lambda n, s, m: (_server_name(s),)),
    Field("cert", "leaf certificate: SHA-256, subject, issuer or DNS name", _certificates),
    Field("session", "session id, ticket or identity, offered, answered or issued", _session),
    Field("ems", "yes where extended master secret was negotiated", lambda n, s, m: (_ems(s),)),
    Field("jsse", "what Java's rule says: accepts, aborts, possible", lambda n, s, m: (n.case.judgements[s.index].decision.verdict,)),
    Field("row", "row of Java's decision table", lambda n, s, m: (float(n.case.judgements[s.index].decision.row or 0),)),
    Field("alert", "name or code of an alert", _alerts),
    Field("rule", "rule of a finding that names the connection", lambda n, s, m: n.rules.get(s.id, ())),
    Field("ja4", "JA4 of the ClientHello", lambda n, s, m: (s.offer.ja4 if s.offer is not None else None,)),
    Field("rtt", "round trip of the TCP handshake, e.g. rtt>5ms", lambda n, s, m: (m.rtt / 1e9 if m.rtt is not None else None,)),
    Field("bytes", "payload bytes of both sides, e.g. bytes>1MB", lambda n, s, m: (float(m.from_client.bytes + m.from_server.bytes),)),
    Field("gap", "bytes that the capture lacks", lambda n, s, m: (float(m.from_client.gap + m.from_server.gap),)),
    Field("frame", "frame number of the ClientHello", lambda n, s, m: (float(m.handshake.hello_frame & (1 << FRAME_BITS) - 1) if m.handshake.hello_frame else None,)),
    Field("id", "id of the connection", lambda n, s, m: (s.id,)),
    Field("renegotiation", "completed, declined, aborted or open, of each in it", lambda n, s, m: tuple(attempt.state for attempt in s.renegotiations)),
    Field("secrets", "decrypted, or why not all of it was", lambda n, s, m: (secrets_of(m),)),
    Field("health_check", "yes for health checks", lambda n, s, m: (s.health_check,)),
)
BY_NAME = {field.name: field for field in FIELDS}
TEXT_FIELDS = ("service", "client", "server", "sni", "cert", "session", "alert", "id", "version", "cipher")


class Coded:
    """A field of all connections: ``codes`` (int32, one a connection) point into ``values``, each different value once."""

    def __init__(self, codes: npt.NDArray[np.int32], values: list[Values]) -> None:
        self.codes = codes
        self.values = values

    @cached_property
    def texts(self) -> list[str]:
        """Each value as one text to look into, its parts set apart by NUL."""
        return ["\0".join([_text(v) for v in value if v is not None]) for value in self.values]


class Test(Protocol):
    """A condition, asked of one connection or of all at once."""

    def holds(self, names: Names, seen: Observed, main: ConnectionFacts) -> bool:
        """Whether one connection matches."""

    def select(self, columns: Mapping[str, Coded]) -> Mask:
        """For each connection of some columns whether it matches."""


@dataclass(frozen=True, slots=True)
class _Match:
    field: Field
    test: Callable[[Values], bool]

    def holds(self, names: Names, seen: Observed, main: ConnectionFacts) -> bool:
        return self.test(self.field.read(names, seen, main))

    def select(self, columns: Mapping[str, Coded]) -> Mask:
        column, test = columns[self.field.name], self.test
        return np.array([test(v) for v in column.values], np.bool_)[column.codes] if column.values else np.zeros(len(column.codes), np.bool_)


@dataclass(frozen=True, slots=True)
class _Contains:
    field: Field
    wanted: str

    def holds(self, names: Names, seen: Observed, main: ConnectionFacts) -> bool:
        return any(self.wanted in _text(v) for v in self.field.read(names, seen, main) if v is not None)

    def select(self, columns: Mapping[str, Coded]) -> Mask:
        column, wanted = columns[self.field.name], self.wanted
        if not column.values or "\0" in wanted:
            return np.zeros(len(column.codes), np.bool_)
        return np.array([text != "" and wanted in text for text in column.texts], np.bool_)[column.codes]


@dataclass(frozen=True, slots=True)
class _Not:
    term: Test

    def holds(self, names: Names, seen: Observed, main: ConnectionFacts) -> bool:
        return not self.term.holds(names, seen, main)

    def select(self, columns: Mapping[str, Coded]) -> Mask:
        return np.logical_not(self.term.select(columns))


@dataclass(frozen=True, slots=True)
class _All:
    terms: tuple[Test, ...]

    def holds(self, names: Names, seen: Observed, main: ConnectionFacts) -> bool:
        return all(t.holds(names, seen, main) for t in self.terms)

    def select(self, columns: Mapping[str, Coded]) -> Mask:
        mask: Mask = np.logical_and.reduce([t.select(columns) for t in self.terms])
        return mask


@dataclass(frozen=True, slots=True)
class _Any:
    terms: tuple[Test, ...]

    def holds(self, names: Names, seen: Observed, main: ConnectionFacts) -> bool:
        return any(t.holds(names, seen, main) for t in self.terms)

    def select(self, columns: Mapping[str, Coded]) -> Mask:
        mask: Mask = np.logical_or.reduce([t.select(columns) for t in self.terms])
        return mask


def compile_filter(expression: str) -> Test:
    """A condition on connections. Raises FilterError with the column of the mistake."""
    parser = _Parser(expression)
    test = parser.alternatives()
    if parser.at < len(parser.tokens):
        raise FilterError("a closing parenthesis without an opening one", expression, parser.column())
    return test


def matching(test: Test, analysis: Analysis) -> Callable[[Observed], bool]:
    """The condition as a question to the connections of one analysis."""
    names = Names(analysis)
    return lambda seen: test.holds(names, seen, seen.main)


class _Parser:
    def __init__(self, expression: str) -> None:
        self.expression = expression
        self.tokens: list[re.Match[str]] = []
        self.at = 0
        position = 0
        while expression[position:].strip():
            match = TOKEN.match(expression, position)
            if match is None:
                raise FilterError("cannot read this", expression, position + 1)
            self.tokens.append(match)
            position = match.end()

    def column(self) -> int:
        if self.at < len(self.tokens):
            match = self.tokens[self.at]
            return match.start(match.lastgroup or 0) + 1 if match.lastgroup else match.start() + 1
        return len(self.expression) + 1

    def peek(self) -> re.Match[str] | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def alternatives(self) -> Test:
        tests: list[Test] = [self.conjunction()]
        while (token := self.peek()) is not None and token["text"] == "or":
            self.at += 1
            tests.append(self.conjunction())
        return tests[0] if len(tests) == 1 else _Any(tuple(tests))

    def conjunction(self) -> Test:
        tests: list[Test] = []
        while (token := self.peek()) is not None and token["paren"] != ")" and token["text"] != "or":
            tests.append(self.term(token))
        if not tests:
            raise FilterError("a term is missing", self.expression, self.column())
        return _All(tuple(tests))

    def term(self, token: re.Match[str]) -> Test:
        self.at += 1
        if token["minus"]:
            following = self.peek()
            if following is None:
                raise FilterError("a term is missing behind -", self.expression, self.column())
            return _Not(self.term(following))
        if token["paren"]:
            inner = self.alternatives()
            if self.peek() is None:
                raise FilterError("a parenthesis is not closed", self.expression, token.start("paren") + 1)
            self.at += 1
            return inner
        if token["text"]:
            if (unfinished := UNFINISHED.fullmatch(token["text"])) and unfinished[1].lower() in BY_NAME:
                raise FilterError(f"a value is missing behind {token['text']}", self.expression, token.end("text") + 1)
            return _contains([BY_NAME[name] for name in TEXT_FIELDS], token["text"].strip('"').lower())
        field = BY_NAME.get(token["field"].lower())
        if field is None:
            known = ", ".join(BY_NAME)
            raise FilterError(f"no field {token['field']} (there are {known})", self.expression, token.start("field") + 1)
        value = token["value"].strip('"')
        if token["op"] == ":":
            return _equals(field, value.lower())
        if token["op"] == "~":
            return _contains([field], value.lower())
        number = re.fullmatch(r"(\d+(?:\.\d+)?)(\D*)", value.lower())
        if number is None or number[2] not in UNITS:
            raise FilterError(f"{value} is no number with a unit such as 5ms or 1MB", self.expression, token.start("value") + 1)
        return _compares(field, token["op"], float(number[1]) * UNITS[number[2]])


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}" if value < 1e6 else f"{value:.0f}"
    return (value or "none").lower() if value is not None else "none"


SAME = {"true": "yes", "false": "no", "null": "none"}
NOTHING: Values = (None,)


def _equals(field: Field, wanted: str) -> Test:
    wanted = SAME.get(wanted, wanted)
    if "*" in wanted:
        return _Match(field, lambda values: any(fnmatchcase(_text(v), wanted) for v in values))
    return _Match(field, lambda values: any(_text(v) == wanted for v in values or NOTHING))


def _contains(fields: list[Field], wanted: str) -> Test:
    tests = [_Contains(field, wanted) for field in fields]
    return tests[0] if len(tests) == 1 else _Any(tuple(tests))


def _compares(field: Field, operator: str, bound: float) -> Test:
    compare: Callable[[float], bool] = {
        "<": lambda v: v < bound,
        "<=": lambda v: v <= bound,
        ">": lambda v: v > bound,
        ">=": lambda v: v >= bound,
    }[operator]
    return _Match(field, lambda values: any(isinstance(v, float) and compare(v) for v in values))
