"""The filter language of ``-Y`` and of the app: ``outcome:aborted backend:B cert~puppetdb1 rtt>5ms -kind:full "text"``.

Terms side by side must all hold; ``or`` and parentheses combine; ``-`` negates. ``field:value`` is equality (case-insensitive, ``*`` matches anything),
``field~value`` containment, ``< <= > >=`` compare numbers with units. A word or "text" alone is looked for in all text fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import NamedTuple

from inspector.document import Certificate, Connection, Document
from inspector.errors import UsageError

Value = str | float | bool | None
Predicate = Callable[[Document, Connection], bool]
Getter = Callable[["Names", Connection], list[Value]]

UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "": 1.0}
TOKEN = re.compile(r'\s*(?:(?P<paren>[()])|(?P<minus>-(?=[\w"(]))|(?P<term>(?P<field>\w+)(?P<op><=|>=|[:~<>])(?P<value>"[^"]*"|[^\s()]+))|(?P<text>"[^"]*"|[^\s()]+))')


class FilterError(UsageError):
    """``column`` counts from 1."""

    def __init__(self, message: str, expression: str, column: int) -> None:
        super().__init__(f"filter: {message} at column {column}", f"{expression}\n  {' ' * (column - 1)}^")
        self.column = column


class Names:
    """Lookups from ids to what people call things, made once a document."""

    def __init__(self, document: Document) -> None:
        self.labels = {b.id: b.label for b in document.backends}
        self.services = {s.id: f"{s.name}:{s.port}" for s in document.services}
        self.stacks = {c.id: c.stack for c in document.clients}
        self.certificates: dict[str, Certificate] = {c.sha256: c for c in document.certificates}
        self.rules: dict[str, list[str]] = {}
        for finding in document.findings:
            for connection in finding.connections:
                self.rules.setdefault(connection, []).append(finding.rule)


class Field(NamedTuple):
    """``read``: the values of a connection; durations in seconds, sizes in bytes."""

    name: str
    about: str
    read: Getter


def _certificates(names: Names, c: Connection) -> list[Value]:
    found: list[Value] = []
    for handshake in c.handshakes:
        for digest in handshake.server_chain[:1]:
            certificate = names.certificates.get(digest)
            found += [digest, *([certificate.subject, certificate.issuer, *certificate.dns_names] if certificate else [])]
    return found


FIELDS: tuple[Field, ...] = (
    Field("outcome", "established, aborted or incomplete", lambda n, c: [c.outcome]),
    Field("kind", "full, session_id, ticket or psk", lambda n, c: [c.handshakes[0].kind]),
    Field("declined", "yes where an offered session was declined", lambda n, c: [c.handshakes[0].declined]),
    Field("backend", "letter of the back end", lambda n, c: [n.labels.get(c.backend or "")]),
    Field("service", "name:port of the service", lambda n, c: [n.services.get(c.service)]),
    Field("client", "address of the client", lambda n, c: [c.client_endpoint.ip]),
    Field("server", "address of the server", lambda n, c: [c.server_endpoint.ip]),
    Field("port", "port of either side", lambda n, c: [float(c.client_endpoint.port), float(c.server_endpoint.port)]),
    Field("stack", "TLS implementation of the client: jsse, openssl, go …", lambda n, c: [n.stacks.get(c.client)]),
    Field("version", "TLSv1.2, TLSv1.3 …", lambda n, c: [c.handshakes[0].version]),
    Field("cipher", "name of the cipher suite", lambda n, c: [c.handshakes[0].cipher.name if c.handshakes[0].cipher else None]),
    Field("sni", "server name that the client asked for", lambda n, c: [c.handshakes[0].server_name]),
    Field("cert", "leaf certificate: SHA-256, subject, issuer or DNS name", _certificates),
    Field(
        "session",
        "session id or ticket, offered or answered",
        lambda n, c: [v for s in [c.handshakes[0].session] for v in (s.offered_id, s.answered_id, s.offered_ticket, s.issued_ticket)],
    ),
    Field("ems", "yes where extended master secret was negotiated", lambda n, c: [c.handshakes[0].ems.negotiated]),
    Field("jsse", "what Java's rule says: accepts, aborts, possible", lambda n, c: [c.handshakes[0].jsse.verdict]),
    Field("row", "row of Java's decision table", lambda n, c: [float(c.handshakes[0].jsse.row or 0)]),
    Field("alert", "name or code of an alert", lambda n, c: [v for a in c.alerts for v in (a.name, str(a.code))]),
    Field("rule", "rule of a finding that names the connection", lambda n, c: list(n.rules.get(c.id, []))),
    Field("ja4", "JA4 of the ClientHello", lambda n, c: [c.handshakes[0].ja4]),
    Field("rtt", "round trip of the TCP handshake, e.g. rtt>5ms", lambda n, c: [c.rtt / 1e9 if c.rtt is not None else None]),
    Field("bytes", "payload bytes of both sides, e.g. bytes>1MB", lambda n, c: [float(c.bytes.client + c.bytes.server)]),
    Field("gap", "bytes that the capture lacks", lambda n, c: [float(c.gap_bytes)]),
    Field("frame", "frame number of the ClientHello", lambda n, c: [float(f[1]) if (f := c.handshakes[0].frames.client_hello) else None]),
    Field("id", "id of the connection", lambda n, c: [c.id]),
    Field("health_check", "yes for health checks", lambda n, c: [c.health_check]),
)
BY_NAME = {field.name: field for field in FIELDS}
TEXT_FIELDS = ("service", "client", "server", "sni", "cert", "session", "alert", "id", "version", "cipher")


def compile_filter(expression: str) -> Predicate:
    """A predicate on connections. Raises FilterError with the column of the mistake."""
    parser = _Parser(expression)
    test = parser.alternatives()
    if parser.at < len(parser.tokens):
        raise FilterError("a closing parenthesis without an opening one", expression, parser.column())
    cache: dict[int, Names] = {}

    def matches(document: Document, connection: Connection) -> bool:
        names = cache.get(id(document))
        if names is None:
            cache.clear()
            names = cache[id(document)] = Names(document)
        return test(names, connection)

    return matches


Test = Callable[[Names, Connection], bool]


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
        tests = [self.conjunction()]
        while (token := self.peek()) is not None and token["text"] == "or":
            self.at += 1
            tests.append(self.conjunction())
        return tests[0] if len(tests) == 1 else lambda n, c: any(t(n, c) for t in tests)

    def conjunction(self) -> Test:
        tests: list[Test] = []
        while (token := self.peek()) is not None and token["paren"] != ")" and token["text"] != "or":
            tests.append(self.term(token))
        if not tests:
            raise FilterError("a term is missing", self.expression, self.column())
        return lambda n, c: all(t(n, c) for t in tests)

    def term(self, token: re.Match[str]) -> Test:
        self.at += 1
        if token["minus"]:
            following = self.peek()
            if following is None:
                raise FilterError("a term is missing behind -", self.expression, self.column())
            inner = self.term(following)
            return lambda n, c: not inner(n, c)
        if token["paren"]:
            inner = self.alternatives()
            if self.peek() is None:
                raise FilterError("a parenthesis is not closed", self.expression, token.start("paren") + 1)
            self.at += 1
            return inner
        if token["text"]:
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


def _equals(field: Field, wanted: str) -> Test:
    wanted = SAME.get(wanted, wanted)
    if "*" in wanted:
        return lambda n, c: any(fnmatchcase(_text(v), wanted) for v in field.read(n, c))
    return lambda n, c: any(_text(v) == wanted for v in field.read(n, c) or [None])


def _contains(fields: list[Field], wanted: str) -> Test:
    return lambda n, c: any(wanted in _text(v) for field in fields for v in field.read(n, c) if v is not None)


def _compares(field: Field, operator: str, bound: float) -> Test:
    compare: Callable[[float], bool] = {
        "<": lambda v: v < bound,
        "<=": lambda v: v <= bound,
        ">": lambda v: v > bound,
        ">=": lambda v: v >= bound,
    }[operator]
    return lambda n, c: any(isinstance(v, float) and compare(v) for v in field.read(n, c))
