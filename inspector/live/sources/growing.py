"""Logs that grow while the capture runs: read on as lines come, followed over rotation, their latest entries
remembered.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence

from msgspec import structs

from inspector.errors import UsageError
from inspector.errors.logs import LogNoLongerRead, LogProblem, LogRotatedAway, LogWriterGone
from inspector.errors.notice import ForeignText
from inspector.findings.wording import worded
from inspector.live.latest_states import LatestStates
from inspector.live.sources.tail import AT_ONCE, FileTail, Interruption
from inspector.logs.entries import UNKNOWN, LogFacts
from inspector.logs.reading import Entries, Splitter
from inspector.logs.sources import NotALog
from inspector.text.safe import path_text

BEFORE_BYTES = 16 << 20
"""So much of what a log holds already is read."""

CHUNKS = 4
"""So often is read in one poll: the loop must not be kept from its frames."""

FAILURES, CONNECTIONS, GAVE_UP = 1_000, 5_000, 200


class GrowingLog:
    """One log, or a pipe. Opened before rights are given up; after a rotation it may not be readable any more, which is
    told.
    """

    def __init__(self, path: str) -> None:
        """Raises UsageError where it cannot be read."""
        self.facts = LogFacts(path_text(path), UNKNOWN)
        self._entries = Entries(self.facts, near_ns=time.time_ns())
        self._splitter = Splitter(lambda: self._entries.plain is not None)
        self._interruption: Interruption | None = None
        """Why it cannot be followed at the moment; and what that was at the poll before this one."""
        self._interruption_before: Interruption | None = None
        self._announced: Interruption | None = None
        """What of that was told already."""
        try:
            self._tail = FileTail(path, BEFORE_BYTES)
        except NotALog as error:
            raise UsageError(f"--log {path_text(path)}: {worded(error.problem)}") from None
        except OSError as error:
            raise UsageError(f"--log {path_text(path)}: {error.strerror or error}") from None

    def poll(self) -> bool:
        """Read what has come; whether a failure or a connection was among it."""
        before = self._newest()
        for _ in range(CHUNKS):
            data, is_new_file = self._tail.read()
            if is_new_file:
                self._read(self._splitter.finish())
            if not data:
                break
            self._read(self._splitter.feed(data))
        self._interruption_before, self._interruption = self._interruption, self._tail.interruption
        self.facts.problem = _problem_of(self._interruption) or self._entries.mistake
        del self.facts.failures[:-FAILURES], self.facts.proxied[:-CONNECTIONS]
        return self._newest() != before

    def news(self) -> str:
        """What a person should know of it, once; what is over with the next poll is not told."""
        if self._interruption != self._interruption_before or self._interruption == self._announced:
            return ""
        self._announced = self._interruption
        problem = self.facts.problem
        return f"{self.facts.path}: {worded(problem) if problem is not None else 'is read on'}"

    def _newest(self) -> tuple[int, int]:
        """The lines of the latest failure and connection."""
        facts = self.facts
        return facts.failures[-1].line if facts.failures else 0, facts.proxied[-1].line if facts.proxied else 0

    def _read(self, lines: Iterable[tuple[int, bytes]]) -> None:
        for number, line in lines:
            self.facts.lines = number
            with self._entries.border:
                self._entries.line(number, line)

    def close(self) -> None:
        self._tail.close()


def _problem_of(interruption: Interruption | None) -> LogProblem | None:
    """Why a log cannot be followed."""
    if interruption is None:
        return None
    if interruption.refused is not None:
        return interruption.refused
    if interruption.kind == "abandoned":
        return LogWriterGone()
    if interruption.kind == "rotated":
        return LogRotatedAway(ForeignText(interruption.reason), os.geteuid())
    return LogNoLongerRead(ForeignText(interruption.reason))


class GrowingLogs:
    """All logs of a live capture, and the connections that may wait for a line of theirs: a failure is logged a moment
    after it shows on the wire.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        """Raises UsageError where one cannot be read."""
        self.paths = tuple(paths)
        self.logs = [GrowingLog(path) for path in paths]
        self._gave_up: LatestStates[None] = LatestStates(GAVE_UP)
        for log in self.logs:
            opened_ns = time.time_ns()
            for _ in range(BEFORE_BYTES // (AT_ONCE * CHUNKS) + 1):
                log.poll()
            log.facts.old_lines, log.facts.opened_ns = log.facts.lines, opened_ns

    def waits(self, connection: str) -> None:
        """A client gave up; a line may follow."""
        self._gave_up.note(connection, None)

    def poll(self, announce: Callable[[str], None] | None = None) -> bool:
        """Read on; whether failures or connections were among what came. ``announce``: is told, once, what
        cannot be read any more, or is read again.
        """
        news = [log.poll() for log in self.logs]
        for log in self.logs:
            text = log.news()
            if text and announce is not None:
                announce(text)
        return any(news)

    def problems(self) -> list[str]:
        """What is wrong with them."""
        return [f"{log.facts.path}: {worded(log.facts.problem)}" for log in self.logs if log.facts.problem is not None]

    def waiting(self) -> list[str]:
        """The connections that a line may be about."""
        return list(self._gave_up)

    def facts(self) -> list[LogFacts]:
        """What is known of each log, as it is now: another thread may look at it."""
        return [
            structs.replace(log.facts, failures=list(log.facts.failures), proxied=list(log.facts.proxied))
            for log in self.logs
        ]

    def close(self) -> None:
        for log in self.logs:
            log.close()
