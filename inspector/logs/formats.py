"""The formats of logs: one list of readers, each in its own file. Nothing else knows them by name."""

from __future__ import annotations

from typing import ClassVar, Literal, Protocol

from inspector.logs.entries import LogFacts
from inspector.logs.haproxy import HaproxyLog
from inspector.logs.haproxy_formats import Clients
from inspector.logs.opened import OpenedLog
from inspector.logs.puppetserver import PuppetServerLog
from inspector.logs.stamps import Stamp


class LogReader(Protocol):
    """Lines in, entries into ``facts`` out, as lines come, so that a growing log can be followed. A line that it takes
    names the log's format, if none before did.
    """

    FORM: ClassVar[str]
    """The name of the format, in facts and documents."""

    GIVES: ClassVar[Literal["failures", "connections"]]
    """What it puts into facts: how that finds connections is the business of ``findings`` and ``tracking``."""

    IS_BY_SOURCE: ClassVar[bool]
    """Whether lines of several programs in one file are read by a reader each, for entries go over several lines."""

    def __init__(self, facts: LogFacts, clients: Clients | None = None, near_ns: int | None = None) -> None:
        """``clients``: addresses and ports whose connections alone are kept; None for all. ``near_ns``: as in
        ``stamps.syslog``.
        """

    @staticmethod
    def is_ours(opened: OpenedLog, clients: Clients | None = None) -> bool:
        """Whether an entry of this format begins with the line."""

    def line(self, number: int, line: bytes, at: Stamp | None = None, source: bytes = b"") -> bool:
        """The next line, without its end; False where it is none of this format. ``at``, ``source``: of its
        envelope.
        """

    def continued(self, line: bytes) -> None:
        """A line that no reader took: perhaps of the entry that was begun last."""


FORMATS: tuple[type[LogReader], ...] = (PuppetServerLog, HaproxyLog)
"""In the order in which they are asked for a line."""


def gives_connections(log: LogFacts) -> bool:
    """Whether the log is of a format that tells of connections, even where it tells of none."""
    return any(log.form == reader.FORM and reader.GIVES == "connections" for reader in FORMATS)
