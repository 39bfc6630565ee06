"""Where a log comes from: a file, or a pipe; anything else is refused by name, so that nobody waits for what never
comes or never ends.
"""

from __future__ import annotations

import os
import select
import stat

from inspector.capture.compression import Prefixed
from inspector.errors.logs import LogIsDevice, LogIsSilent, LogIsSocket

PATIENCE_SECONDS = 30.0
"""So long a pipe may give nothing."""


class NotALog(Exception):
    """What was given can hold no log; ``problem`` says what it is."""

    def __init__(self, problem: LogIsSilent | LogIsDevice | LogIsSocket) -> None:
        super().__init__(problem)
        self.problem = problem


class Bytes(Prefixed):
    """The bytes of a file or pipe. Raises NotALog where a pipe gives nothing for too long."""

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        self._wait()
        return super().readinto(buffer)

    def peek(self) -> bytes:
        self._wait()
        return super().peek()

    def _wait(self) -> None:
        ready = select.poll()
        ready.register(self._raw.fileno(), select.POLLIN)
        if not ready.poll(PATIENCE_SECONDS * 1000):
            raise NotALog(LogIsSilent(round(PATIENCE_SECONDS)))


def opened(path: str) -> Bytes:
    """Raises OSError; NotALog where it is neither file nor pipe."""
    refuse(os.stat(path).st_mode)
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    os.set_blocking(file, True)
    raw = os.fdopen(file, "rb")
    try:
        refuse(os.fstat(file).st_mode)
    except NotALog:
        raw.close()
        raise
    return Bytes(raw)


def refuse(mode: int) -> None:
    """Raises NotALog where something of this mode is neither file nor pipe, IsADirectoryError for a directory."""
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(None, "Is a directory")
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise NotALog(LogIsDevice())
    if stat.S_ISSOCK(mode):
        raise NotALog(LogIsSocket())
