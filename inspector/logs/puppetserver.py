"""puppetserver.log of every era: failed TLS connections of its HTTP client, and what became of the requests that they
carried.

2014: ``2014-11-20 22:04:03,392 ERROR [c.p.h.c.SyncHttpClient] Error executing http request``, local time without a
zone. Today:
``2026-11-23T17:10:17.080Z WARN  [qtp1-55] [c.p.h.c.i.PersistentSyncHttpClient] Error executing http request``. The
exception stands on the next line that has no time of its own, perhaps behind ``Caused by:``. What follows on the same
thread says which request it was, and for which node.
"""

from __future__ import annotations

import re
from typing import ClassVar, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from inspector.errors.logs import TooManyFailures
from inspector.logs.entries import UNKNOWN, Failure, Kind, LogFacts
from inspector.logs.haproxy_formats import Clients
from inspector.logs.opened import OpenedLog
from inspector.logs.stamps import ISO, SECOND_NS, Stamp, iso, zoned

LEVEL = rb"(TRACE|DEBUG|INFO|WARN|ERROR|FATAL)"
HEAD = re.compile(rb"^" + ISO + rb"\s+" + LEVEL + rb"\s+(?:\[([^\]\s]*)\]\s+)?\[([^\]]*)\]\s?(.*)$")
"""Time, level, thread where it is there, logger, message."""

ASIDE = rb"(?:[\s|,]*(?:\[[^\]\n]{0,80}\]|\([^)\n]{0,80}\)|\d{1,7}(?=\s)|\d\d:\d\d:\d\d[.,]\d{3}))*"
LOOSE = re.compile(rb"^\[?" + ISO + rb"\]?(" + ASIDE + rb")[\s\[|,(]+" + LEVEL + rb"(?:ING)?\b(.*)$")
LOGGER = re.compile(rb"[\]|)\s]*(?:\d+\s+---\s|\[|\(|[\w.$]+\s*[-:]\s)")
"""Other patterns of logback and its like (Spring's, ``[%thread] %level %logger - %msg``): time, what stands before the
level, level; then a logger's name.
"""

UNTIMED = re.compile(
    rb"^(?:\d\d:\d\d:\d\d[.,]\d{3}\s+)?(?:\[[^\]\s]+\]\s+)?" + LEVEL + rb"\s+(?:\[[^\]]+\]|[a-z][\w.$]+\s+[-:]\s)"
)
"""A pattern without a date, as containers have it, whose collector writes the time."""

BRACKETED = re.compile(r"\[\s*([^\]\s]+)\s*\]")
THREAD = re.compile(r"qtp|pool|thread|async|jruby|main|-\d", re.IGNORECASE)
ALONE = re.compile(rb"(?:qtp|pool-|main$)|.*-\d+$")
"""A name in the only brackets that is a thread's, not a logger's."""

EXCEPTION = re.compile(
    rb"((?:javax\.net\.ssl|j\.n\.s|sun\.security|s\.s|java\.security\.cert|j\.s\.c)\.[\w.$]*Exception|(?:java\.io|j\.i)\.(?:EOF|IO)Exception)(?::\s*(.*))?$"
)
"""Also as JSON encoders shorten them."""

TLS = (b"javax.net.ssl.", b"j.n.s.")
QUARTER_NS = 900 * SECOND_NS
FARTHEST_QUARTERS = 56
LAG_NS = 30 * SECOND_NS
"""A collector writes its time so much later at most, where that shall tell the zone of a time that names none."""

KINDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("certificate_change", re.compile(r"restricted\s*during")),
    ("ems_inconsistent", re.compile(r"Extended Master Secret extension", re.IGNORECASE)),
    ("untrusted", re.compile(r"PKIX path building failed|unable to find valid certification path")),
    (
        "invalid_path",
        re.compile(r"PKIX path validation failed|CertificateExpired|CertificateNotYetValid|NotAfter|NotBefore"),
    ),
    (
        "host_name",
        re.compile(
            r"No (?:subject alternative|name matching)|SSLPeerUnverifiedException|doesn't match any of the subject"
            r" alternative names"
        ),
    ),
    ("alert_received", re.compile(r"Received fatal alert")),
    (
        "no_common_parameters",
        re.compile(
            r"No appropriate protocol|no cipher suites in common|Unsupported or unrecognized SSL message|protocol"
            r" version"
        ),
    ),
    ("peer_vanished", re.compile(r"Remote host (?:terminated|closed)|SSL peer shut down incorrectly|Connection reset")),
)
"""By the exception's text, the first that matches."""

SECOND = len("2026-11-23T17:10:17")
FIRST = frozenset(b"0123456789[TDIWEF")
"""How an entry may begin: time, bracket, level."""

CONTINUING = frozenset(b"/ ")
"""How a line of a stack trace may begin, and nothing else: Ruby's have a path."""

QUIET = re.compile(rb"[.,]\d{3}\S*\s+(?:INFO|DEBUG|TRACE)\s")
LOOKED_AT = 4096
"""So much of a line is searched for an exception."""

BEFORE_WORDS = 200
"""Names may stand between the level and what Puppet says, in patterns that are not its own."""

MOST_FAILURES = 100_000
MOST_THREADS = 4096
TEXT = 600
"""Characters kept of a line."""

NODE = re.compile(r"on node ([^\s'\",;]+)")
ROUTE = re.compile(r"(https?://[^\s,']+)")
EXECUTED = re.compile(r"Failed to execute '([^']*)'")


def _is_head(line: bytes) -> bool:
    return HEAD.match(line) is not None or _loose(line) is not None


def completed(line: bytes, at: Stamp) -> bytes:
    """A line with the time, or with the zone, that it lacks and its collector wrote."""
    match = HEAD.match(line) or LOOSE.match(line)
    if match is None:
        return zoned(at) + b" " + line if UNTIMED.match(line) else line
    if not at.has_zone or match[8] is not None:
        return line
    try:
        apart = iso(match.groups()[:8]).ns - at.ns
    except (ValueError, OverflowError):
        return line
    quarters = round(apart / QUARTER_NS)
    if abs(apart - quarters * QUARTER_NS) > LAG_NS or abs(quarters) > FARTHEST_QUARTERS:
        return line
    end = match.end(7) if match[7] is not None else match.end(6)
    hours, rest = divmod(abs(quarters), 4)
    return line[:end] + f"{'-' if quarters < 0 else '+'}{hours:02d}:{rest * 15:02d}".encode() + line[end:]


class PuppetServerLog:
    """Lines in, failures out."""

    FORM: ClassVar[str] = "puppetserver"
    GIVES: ClassVar[Literal["failures", "connections"]] = "failures"
    IS_BY_SOURCE: ClassVar[bool] = True

    def __init__(self, facts: LogFacts, clients: Clients | None = None, near_ns: int | None = None) -> None:
        self.facts = facts
        self._head: tuple[int, Stamp | None, str, str] | None = None
        """Line, time, thread and text of the last line that begins an entry."""
        self._failure: Failure | None = None
        """What that line turned out to be."""
        self._second = b""
        """The time of the last line to the second: others of that second which are no warnings need no closer look."""
        self._open: dict[str, Failure] = {}
        """By thread: the last failure, whose consequences may follow."""

    @staticmethod
    def is_ours(opened: OpenedLog, clients: Clients | None = None) -> bool:
        """Whether a line begins as puppetserver.log's do."""
        return _is_head(opened.text)

    def line(self, number: int, line: bytes, at: Stamp | None = None, source: bytes = b"") -> bool:
        """The next line, without its end; False where it begins no entry, so that ``continued`` may take it. ``at``: of
        its envelope.
        """
        if at is not None:
            line = completed(line, at)
        if line[:1] == b"\t" or not line:
            return True
        if line[:SECOND] == self._second and QUIET.match(line, SECOND):
            self._failure = self._head = None
            if self.facts.form == UNKNOWN and _is_head(line):
                self.facts.note_form(self.FORM)
            return True
        if line[0] not in FIRST:
            if line[0] not in CONTINUING or self.facts.form != self.FORM:
                return False
            self.continued(line)
            return True
        self._second = line[:SECOND]
        match = HEAD.match(line)
        if match is not None and (match[10] is not None or not ALONE.match(match[11])):
            groups = match.groups()
            level, thread, _, message = groups[8:]
        else:
            parts = _loose(line)
            if parts is None:
                return False
            groups, level, thread, message = parts
        self.facts.note_form(self.FORM)
        self._failure = None
        self._head = None
        try:
            begun = iso(groups[:8]) if groups else None
        except (ValueError, OverflowError):
            begun = None
        if begun is not None:
            self.facts.note_time(begun.ns, begun.has_zone)
        if level not in (b"WARN", b"ERROR", b"FATAL"):
            return True
        name = _text(thread or b"")
        self._head = (number, begun, name, _text(line))
        self._consequence(name, message)
        self.continued(message)
        return True

    def continued(self, line: bytes) -> None:
        """A line of the event that the last head began."""
        if self._head is None or b"xception" not in line:
            return
        match = EXCEPTION.search(line[:LOOKED_AT])
        if match is None:
            return
        detail = _text(match[0])
        kind: Kind = next((kind for kind, pattern in KINDS if pattern.search(detail)), "other")
        known = self._failure
        if known is not None:
            if _rank(kind) < _rank(known.kind):
                known.kind, known.detail = kind, detail
                known.text = f"{self._head[3]} | {detail}"[:TEXT]
            return
        if not match[1].startswith(TLS) and kind == "other":
            return
        number, at, thread, text = self._head
        if at is None:
            self.facts.untimed += 1
            self._head = None
            return
        entry_text = (text if detail in text else f"{text} | {detail}")[:TEXT]
        failure = Failure(
            number,
            at.ns,
            kind,
            detail,
            entry_text,
            thread,
            has_zone=at.has_zone,
            resolution_ns=at.resolution_ns,
            form=self.FORM,
        )
        self._failure = failure
        if len(self.facts.failures) >= MOST_FAILURES:
            self.facts.problem = TooManyFailures(MOST_FAILURES)
            return
        self.facts.failures.append(failure)
        if len(self._open) >= MOST_THREADS:
            self._open.clear()
        self._open[thread] = failure

    def _consequence(self, thread: str, message: bytes) -> None:
        """What followed on the thread of a failure: which request it was, and what it cost."""
        failure = self._open.get(thread)
        prefix = message.find(b"Puppet ", 0, BEFORE_WORDS) if failure is not None else -1
        if failure is None or prefix < 0:
            return
        text = message[prefix:].decode("utf-8", "backslashreplace")
        if text.startswith("Puppet Error connecting to "):
            route = ROUTE.search(text)
            if route is not None:
                _requested(failure, route[1])
            return
        executed = EXECUTED.search(text)
        if executed is not None and not failure.request:
            _requested(failure, executed[1])
        node = NODE.search(text)
        if node is not None:
            failure.node = node[1][:255]
        if text.startswith("Puppet Server Error:"):
            failure.impact = "catalog"
            del self._open[thread]
        elif text.startswith("Puppet Report processor failed:"):
            failure.impact = "report"
            del self._open[thread]


def _loose(line: bytes) -> tuple[tuple[bytes | None, ...], bytes, bytes, bytes] | None:
    """Groups of the time, level, thread and message of a line that is written in another way than Puppet's own; None
    where it begins no entry.
    """
    line = line[:LOOKED_AT]
    match = LOOSE.match(line)
    if match is not None and (LOGGER.match(match[11]) or b"[" in match[9]):
        groups, before, level, behind = match.groups()[:8], match[9], match[10], match[11]
    elif (match := UNTIMED.match(line)) is not None:
        groups, before, level, behind = (), line[: match.start(1)], match[1], line[match.end(1) :]
    else:
        return None
    prefix = behind.find(b"Puppet ")
    names: list[str] = BRACKETED.findall(_text(before)) + BRACKETED.findall(
        _text(behind[: prefix if prefix >= 0 else len(behind)])[:200]
    )
    thread = next((name for name in names if THREAD.search(name)), names[0] if names else "")
    return groups, level, thread.encode("utf-8", "backslashreplace"), behind[prefix:] if prefix >= 0 else behind


def _requested(failure: Failure, route: str) -> None:
    """What a URL or path of PuppetDB's API asks for."""
    try:
        parts = urlsplit(route)
        failure.host, failure.port = (parts.hostname or "")[:255], parts.port or 0
        query = parse_qs(parts.query)
    except ValueError:
        return
    command = query.get("command", [""])[0]
    failure.request = (command or parts.path.rsplit("/", 1)[-1])[:80]
    node = query.get("certname", [""])[0]
    if node and not failure.node:
        failure.node = node[:255]
    elif not failure.node:
        quoted = re.search(r'"certname","([^"]+)"', unquote(parts.query))
        failure.node = quoted[1][:255] if quoted else ""


def _rank(kind: Kind) -> int:
    return next((i for i, (known, _) in enumerate(KINDS) if known == kind), len(KINDS))


def _text(line: bytes) -> str:
    return line[:TEXT].decode("utf-8", "backslashreplace")
