"""What a log says, as facts. Compact and serialisable.

``ns`` of an entry: nanoseconds since the epoch by the log's own clock; where the log writes no zone (``has_zone``), as
if it wrote UTC. ``resolution_ns``: of the last digit that the log writes; what follows was cut off, so the true time is
up to so much later.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from inspector.errors.logs import LogProblem

Kind = Literal[
    "certificate_change",
    "untrusted",
    "invalid_path",
    "host_name",
    "alert_received",
    "ems_inconsistent",
    "peer_vanished",
    "no_common_parameters",
    "other",
]
"""Why a TLS connection failed, by the exception's text."""

UNKNOWN = "unknown"
"""The format of a log as long as no line named it."""

MILLISECOND_NS = 1_000_000


class Failure(Struct, gc=False):
    """A logged TLS failure. ``text``: first line and exception. ``host``, ``port``, ``request``: of what failed, where
    the log says so. ``node``: for whom. ``form``: in which format the log wrote it.

    ``impact``: ``catalog`` where the agent got an error instead of its catalog, ``report`` where a report was lost,
    else empty.
    """

    line: int
    ns: int
    kind: Kind
    detail: str
    text: str
    thread: str = ""
    host: str = ""
    port: int = 0
    request: str = ""
    node: str = ""
    impact: str = ""
    has_zone: bool = False
    resolution_ns: int = MILLISECOND_NS
    form: str = UNKNOWN

    @property
    def message(self) -> str:
        """What the exception says, without its class."""
        return self.detail.partition(": ")[2] or self.detail

    @property
    def alert(self) -> str:
        """The name of the alert that was received, as Java writes it; empty where none was."""
        return self.detail.rsplit(": ", 1)[-1] if self.kind == "alert_received" else ""

    @property
    def lines(self) -> list[str]:
        """``text`` as it stands in the log: the exception is on a line of its own."""
        return self.text.split(" | ", 1)


class Proxied(Struct, gc=False):
    """A connection that a balancer forwarded. ``server``: its name in the configuration, empty where none was chosen.
    ``backend``: the group it is in. ``form``: in which format the log wrote it.

    ``ns``: when it was accepted; or, where the log does not write that, when the line was written, at the
    connection's end (``is_end``).
    """

    line: int
    ns: int
    client: str
    port: int
    backend: str
    server: str
    address: str
    text: str
    has_zone: bool = False
    resolution_ns: int = MILLISECOND_NS
    is_end: bool = False
    form: str = UNKNOWN


class LogFacts(Struct):
    """One log file. ``has_zone``: whether its times name their zone. ``problem``: why it could not be read, or not in
    full.

    ``untimed``: lines that tell of a failure or a connection, whose time cannot be read. ``others``: lines of clients
    that were not asked for.

    ``old_lines``: so many lines stood in it at ``opened_ns``, before a live capture began.
    """

    path: str
    form: str
    lines: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    has_zone: bool = False
    failures: list[Failure] = field(default_factory=list)
    proxied: list[Proxied] = field(default_factory=list)
    problem: LogProblem | None = None
    untimed: int = 0
    others: int = 0
    old_lines: int = 0
    opened_ns: int = 0

    def note_form(self, form: str) -> None:
        """A line of this format was read: the first one names the log's."""
        if self.form == UNKNOWN:
            self.form = form

    def note_time(self, ns: int, has_zone: bool) -> None:
        """A line of this time was read."""
        self.has_zone = has_zone
        self.first_ns = ns if self.first_ns is None else min(self.first_ns, ns)
        self.last_ns = ns if self.last_ns is None else max(self.last_ns, ns)
