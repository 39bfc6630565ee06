"""Logs that grow while the capture runs: read on as lines come, followed over rotation, their latest entries remembered."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import BinaryIO

from msgspec import structs

from inspector.errors import UsageError
from inspector.live.latest import Latest
from inspector.logs.entries import LogFacts
from inspector.logs.reading import Sink, Splitter, recognised
from inspector.safe import path_text

BEFORE_BYTES = 16 << 20
"""So much of what a log holds already is read."""

AT_ONCE = 1 << 20
FAILURES, CONNECTIONS, GAVE_UP = 1_000, 5_000, 200


class GrowingLog:
    """One log. Opened before rights are given up; after a rotation it may not be readable any more, which is told."""

    def __init__(self, path: str) -> None:
        """Raises UsageError where it cannot be read."""
        self.facts = LogFacts(path_text(path), "unknown")
        self._path = path
        self._sink: Sink | None = None
        self._splitter = Splitter()
        try:
            self._file = self._opened()
            self._file.seek(max(os.fstat(self._file.fileno()).st_size - BEFORE_BYTES, 0))
        except OSError as error:
            raise UsageError(f"--log {path_text(path)}: {error.strerror or error}") from None

    def _opened(self) -> BinaryIO:
        file = open(self._path, "rb")  # noqa: SIM115 - it stays open
        self._inode = os.fstat(file.fileno()).st_ino
        return file

    def poll(self) -> bool:
        """Read what has come; whether a failure or a connection was among it."""
        before = self._newest()
        try:
            chunk = self._file.read(AT_ONCE)
            if chunk:
                self._take(self._splitter.feed(chunk))
            else:
                self._look_for_rotation()
        except OSError as error:
            self.facts.problem = f"cannot be read any more: {error.strerror or error}"
        del self.facts.failures[:-FAILURES], self.facts.proxied[:-CONNECTIONS]
        return self._newest() != before

    def _newest(self) -> tuple[int, int]:
        """The lines of the latest failure and connection."""
        facts = self.facts
        return facts.failures[-1].line if facts.failures else 0, facts.proxied[-1].line if facts.proxied else 0

    def _take(self, lines: Iterable[tuple[int, bytes]]) -> None:
        for number, line in lines:
            self.facts.lines = number
            if self._sink is None:
                self._sink = recognised(line, self.facts)
            if self._sink is not None:
                self._sink(number, line)

    def _look_for_rotation(self) -> None:
        """Another file by that name, or the same one made empty."""
        status = os.stat(self._path)
        if status.st_ino != self._inode:
            self._file.close()
            self._file = self._opened()
        elif status.st_size < self._file.tell():
            self._file.seek(0)
        else:
            return
        self._take(self._splitter.finish())

    def close(self) -> None:
        """The end."""
        self._file.close()


class GrowingLogs:
    """All logs of a live capture, and the connections that may wait for a line of theirs: a failure is logged a moment after it shows on the wire."""

    def __init__(self, paths: Sequence[str]) -> None:
        """Raises UsageError where one cannot be read."""
        self.logs = [GrowingLog(path) for path in paths]
        self._gave_up: Latest[None] = Latest(GAVE_UP)
        for log in self.logs:
            for _ in range(BEFORE_BYTES // AT_ONCE + 1):
                log.poll()

    def waits(self, connection: str) -> None:
        """A client gave up; a line may follow."""
        self._gave_up.is_other(connection, None)

    def poll(self) -> bool:
        """Read on; whether failures or connections were among what came."""
        news = [log.poll() for log in self.logs]
        return any(news)

    def waiting(self) -> list[str]:
        """The connections that a line may be about."""
        return list(self._gave_up)

    def facts(self) -> list[LogFacts]:
        """What is known of each log, as it is now: another thread may look at it."""
        return [structs.replace(log.facts, failures=list(log.facts.failures), proxied=list(log.facts.proxied)) for log in self.logs]

    def close(self) -> None:
        """The end."""
        for log in self.logs:
            log.close()
