"""puppetserver.log of every era: failed TLS connections of its HTTP client, and what became of the requests that they carried.

2014: ``2014-11-20 22:04:03,392 ERROR [c.p.h.c.SyncHttpClient] Error executing http request``, local time without a zone. Today:
``2026-11-23T17:10:17.080Z WARN  [qtp1-55] [c.p.h.c.i.PersistentSyncHttpClient] Error executing http request``. The exception stands on the next line that
has no time of its own, perhaps behind ``Caused by:``. What follows on the same thread says which request it was, and for which node.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote, urlsplit

from inspector.logs.entries import Failure, Kind, LogFacts
from inspector.logs.stamps import ISO, iso

HEAD = re.compile(rb"^" + ISO + rb"\s+(TRACE|DEBUG|INFO|WARN|ERROR|FATAL)\s+(?:\[([^\]\s]*)\]\s+)?\[([^\]]*)\]\s?(.*)$")
"""Time, level, thread where it is there, logger, message."""

EXCEPTION = re.compile(rb"((?:javax\.net\.ssl|sun\.security|java\.security\.cert)\.[\w.$]*Exception|java\.io\.(?:EOF|IO)Exception)(?::\s*(.*))?$")
KINDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("certificate_change", re.compile(r"restricted\s*during")),
    ("ems_inconsistent", re.compile(r"Extended Master Secret extension", re.IGNORECASE)),
    ("untrusted", re.compile(r"PKIX path building failed|unable to find valid certification path")),
    ("invalid_path", re.compile(r"PKIX path validation failed|CertificateExpired|CertificateNotYetValid|NotAfter|NotBefore")),
    ("host_name", re.compile(r"No (?:subject alternative|name matching)|SSLPeerUnverifiedException|doesn't match any of the subject alternative names")),
    ("alert_received", re.compile(r"Received fatal alert")),
    ("no_common_parameters", re.compile(r"No appropriate protocol|no cipher suites in common|Unsupported or unrecognized SSL message|protocol version")),
    ("peer_vanished", re.compile(r"Remote host (?:terminated|closed)|SSL peer shut down incorrectly|Connection reset")),
)
"""By the exception's text, the first that matches."""

SECOND = len("2026-11-23T17:10:17")
QUIET = re.compile(rb"[.,]\d{3}\S*\s+(?:INFO|DEBUG|TRACE)\s")
LOOKED_AT = 4096
"""So much of a line is searched for an exception."""

MOST_FAILURES = 100_000
MOST_THREADS = 4096
TEXT = 600
"""Characters kept of a line."""

NODE = re.compile(r"on node ([^\s'\",;]+)")
ROUTE = re.compile(r"(https?://[^\s,']+)")
EXECUTED = re.compile(r"Failed to execute '([^']*)'")


def is_ours(line: bytes) -> bool:
    """Whether a line begins as puppetserver.log's do."""
    return HEAD.match(line) is not None


class PuppetServerLog:
    """Lines in, failures out. ``facts`` is filled as lines come, so that a growing log can be followed."""

    def __init__(self, facts: LogFacts) -> None:
        self.facts = facts
        self._head: tuple[int, int, str, str] | None = None
        """Line, time, thread and text of the last line with a time of its own."""
        self._failure: Failure | None = None
        """What that line turned out to be."""
        self._second = b""
        """The time of the last line to the second: others of that second which are no warnings need no closer look."""
        self._open: dict[str, Failure] = {}
        """By thread: the last failure, whose consequences may follow."""

    def line(self, number: int, line: bytes) -> None:
        """The next line, without its end."""
        if line[:1] == b"\t" or not line:
            return
        if line[:SECOND] == self._second and QUIET.match(line, SECOND):
            self._failure = self._head = None
            return
        self._second = line[:SECOND]
        match = HEAD.match(line) if line[:1].isdigit() else None
        if match is None:
            self._continued(line)
            return
        self._failure = None
        self._head = None
        try:
            ns, has_zone = iso(match)
        except (ValueError, OverflowError):
            return
        self.facts.reach(ns, has_zone)
        level, thread, _, message = match.groups()[8:]
        if level not in (b"WARN", b"ERROR", b"FATAL"):
            return
        name = _text(thread or b"")
        self._head = (number, ns, name, _text(line))
        self._consequence(name, message)
        self._continued(message)

    def _continued(self, line: bytes) -> None:
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
        if not match[1].startswith(b"javax.net.ssl") and kind == "other":
            return
        number, ns, thread, text = self._head
        failure = Failure(number, ns, kind, detail, (text if detail in text else f"{text} | {detail}")[:TEXT], thread)
        self._failure = failure
        if len(self.facts.failures) >= MOST_FAILURES:
            self.facts.problem = f"more than {MOST_FAILURES:,} failures; the first of them are used"
            return
        self.facts.failures.append(failure)
        if len(self._open) >= MOST_THREADS:
            self._open.clear()
        self._open[thread] = failure

    def _consequence(self, thread: str, message: bytes) -> None:
        """What followed on the thread of a failure: which request it was, and what it cost."""
        failure = self._open.get(thread)
        if failure is None or not message.startswith(b"Puppet "):
            return
        text = message.decode("utf-8", "backslashreplace")
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
