"""Logs that grow while the capture runs: read on as lines come, followed over rotation, their latest entries
remembered.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from typing import BinaryIO

from msgspec import structs

from inspector.errors import UsageError
from inspector.errors.logs import LogNoLongerRead, LogProblem, LogRotatedAway, LogWriterGone
from inspector.errors.notice import ForeignText
from inspector.findings.wording import worded
from inspector.live.lru_set import LruSet
from inspector.logs.entries import LogFacts
from inspector.logs.reading import Entries, Splitter
from inspector.logs.sources import NotALog, refuse
from inspector.text.safe import path_text

BEFORE_BYTES = 16 << 20
"""So much of what a log holds already is read."""

AT_ONCE, CHUNKS = 1 << 20, 4
"""So much is read at once, and so often in one poll: the loop must not be kept from its frames."""

FAILURES, CONNECTIONS, GAVE_UP = 1_000, 5_000, 200


class GrowingLog:
    """One log, or a pipe. Opened before rights are given up; after a rotation it may not be readable any more, which is
    told.
    """

    def __init__(self, path: str) -> None:
        """Raises UsageError where it cannot be read."""
        self.facts = LogFacts(path_text(path), "unknown")
        self._path = path
        self._entries = Entries(self.facts, near_ns=time.time_ns())
        self._splitter = Splitter()
        self._lost: LogProblem | None = None
        """Why it cannot be followed at the moment."""
        self._told: LogProblem | None = None
        self._before: LogProblem | None = None
        """What of that was told already; and what the poll before this one found."""
        self._where = ""
        """Where the file that is read lies, as the kernel says."""
        try:
            self._file = self._opened()
            status = os.fstat(self._file.fileno())
            self._is_pipe = stat.S_ISFIFO(status.st_mode)
            if not self._is_pipe:
                self._file.seek(max(status.st_size - BEFORE_BYTES, 0))
        except NotALog as error:
            raise UsageError(f"--log {path_text(path)}: {worded(error.problem)}") from None
        except OSError as error:
            raise UsageError(f"--log {path_text(path)}: {error.strerror or error}") from None

    def _opened(self) -> BinaryIO:
        refuse(os.stat(self._path).st_mode)
        file = os.fdopen(os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0)
        self._inode = os.fstat(file.fileno()).st_ino
        self._where = self._place(file)
        return file

    @staticmethod
    def _place(file: BinaryIO) -> str:
        try:
            return os.readlink(f"/proc/self/fd/{file.fileno()}")
        except OSError:
            return ""

    def poll(self) -> bool:
        """Read what has come; whether a failure or a connection was among it."""
        before = self._newest()
        lost: LogProblem | None = None
        try:
            for _ in range(CHUNKS):
                chunk = self._file.read(AT_ONCE)
                if chunk:
                    self._take(self._splitter.feed(chunk))
                    continue
                if not self._is_pipe:
                    lost = self._look_for_rotation()
                elif chunk is not None:
                    lost = LogWriterGone()
                break
        except OSError as error:
            lost = LogNoLongerRead(ForeignText(error.strerror or str(error)))
        self._is_lost(lost)
        del self.facts.failures[:-FAILURES], self.facts.proxied[:-CONNECTIONS]
        return self._newest() != before

    def _is_lost(self, lost: LogProblem | None) -> None:
        """Why nothing more can be read, or that it can."""
        self._before = self._lost
        if lost != self._lost:
            if lost is not None or self.facts.problem == self._lost:
                self.facts.problem = lost
            self._lost = lost

    def news(self) -> str:
        """What a person should know of it, once; what is over with the next poll is not told."""
        if self._lost != self._before or self._lost == self._told:
            return ""
        self._told = self._lost
        return f"{self.facts.path}: {worded(self._lost) or 'is read on'}"

    def _newest(self) -> tuple[int, int]:
        """The lines of the latest failure and connection."""
        facts = self.facts
        return facts.failures[-1].line if facts.failures else 0, facts.proxied[-1].line if facts.proxied else 0

    def _take(self, lines: Iterable[tuple[int, bytes]]) -> None:
        for number, line in lines:
            self.facts.lines = number
            self._entries.line(number, line)

    def _look_for_rotation(self) -> LogProblem | None:
        """Another file by that name, or the same one made empty. Why the other one cannot be read, else nothing."""
        if os.fstat(self._file.fileno()).st_size < self._file.tell():
            self._file.seek(0)
            self._take(self._splitter.finish())
            return None
        try:
            if os.stat(self._path).st_ino == self._inode:
                return None
            file = self._opened()
        except PermissionError as error:
            return self._closed(error)
        except OSError as error:
            return LogNoLongerRead(ForeignText(error.strerror or str(error)))
        except NotALog as error:
            return error.problem
        self._file.close()
        self._file = file
        self._take(self._splitter.finish())
        return None

    def _closed(self, error: PermissionError) -> LogRotatedAway | None:
        """A directory or a new file that this user may not read: whether there is another file by that name, the old
        one's own place tells.
        """
        if self._place(self._file) == self._where != "" and os.fstat(self._file.fileno()).st_nlink:
            return None
        return LogRotatedAway(ForeignText(error.strerror or str(error)), os.geteuid())

    def close(self) -> None:
        """The end."""
        self._file.close()


class GrowingLogs:
    """All logs of a live capture, and the connections that may wait for a line of theirs: a failure is logged a moment
    after it shows on the wire.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        """Raises UsageError where one cannot be read."""
        self.logs = [GrowingLog(path) for path in paths]
        self._gave_up: LruSet[None] = LruSet(GAVE_UP)
        for log in self.logs:
            for _ in range(BEFORE_BYTES // (AT_ONCE * CHUNKS) + 1):
                log.poll()

    def waits(self, connection: str) -> None:
        """A client gave up; a line may follow."""
        self._gave_up.is_other(connection, None)

    def poll(self, tell: Callable[[str], None] | None = None) -> bool:
        """Read on; whether failures or connections were among what came. ``tell``: is told, once, what cannot be read
        any more, or is read again.
        """
        news = [log.poll() for log in self.logs]
        for log in self.logs:
            text = log.news()
            if text and tell is not None:
                tell(text)
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
        """The end."""
        for log in self.logs:
            log.close()
