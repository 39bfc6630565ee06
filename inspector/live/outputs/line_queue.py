"""Lines on their way to whoever reads them, who may stop reading: a pager that waits, a terminal that is held, a
program that hangs. The capture goes on meanwhile. A thread writes; so many bytes wait for it, and lines beyond them are
counted.

The thread takes no lock but its own, which a copy of this process (fork(2)) never touches.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Protocol

from inspector.errors import OutputError

MOST_BYTES = 4 << 20
"""Of lines that wait: at a thousand connections a second, some seconds; on a quiet day, many hours."""

AT_ONCE_BYTES = 1 << 16
PATIENCE_SECONDS = 5.0
"""How long the last words wait for room, which are more than there is room for where services are thousands."""


class RawOutput(Protocol):
    """Where bytes go; writing may take as long as it likes."""

    def write(self, data: bytes, /) -> int | None:
        """How many were taken. Raises OutputError."""


class LineQueue:
    """What ``LinePrinter`` prints on. ``waiting``: lines that were not taken yet."""

    def __init__(self, out: RawOutput, most_bytes: int = MOST_BYTES) -> None:
        self.waiting = 0
        self.error: OutputError | None = None
        """Why nothing can be written any more."""
        self._out = out
        self._most_bytes = most_bytes
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._lost = 0
        self._changed = threading.Condition(threading.Lock())
        threading.Thread(target=self._run, name="lines", daemon=True).start()

    def write(self, line: bytes) -> None:
        """Whole lines; never waits. Raises OutputError where they can no longer be written."""
        with self._changed:
            if self.error is not None:
                raise self.error
            if self._bytes + len(line) > self._most_bytes:
                self._lost += 1
                return
            self._lines.append(line)
            self._bytes += len(line)
            self.waiting += 1

    def flush(self) -> None:
        """What has come so far is written as soon as somebody takes it. Raises OutputError as ``write`` does."""
        with self._changed:
            if self.error is not None:
                raise self.error
            self._changed.notify_all()

    def take_lost(self) -> int:
        """How many lines were lost, once lines are taken again; then they are forgotten."""
        with self._changed:
            if self._bytes > self._most_bytes // 2:
                return 0
            lost, self._lost = self._lost, 0
            return lost

    def make_room(self) -> bool:
        """Wait until half of the room is free; False where nobody takes enough within ``PATIENCE_SECONDS``."""
        with self._changed:
            self._changed.notify_all()
            return self._changed.wait_for(
                lambda: self._bytes <= self._most_bytes // 2 or self.error is not None, PATIENCE_SECONDS
            )

    def drain(self) -> None:
        """Wait until all is written, however long that takes. Raises OutputError."""
        with self._changed:
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self.waiting or self.error is not None)
            if self.error is not None:
                raise self.error

    def _run(self) -> None:
        while self.error is None:
            with self._changed:
                self._changed.wait_for(lambda: self._lines)
                lines, size = [], 0
                while self._lines and size < AT_ONCE_BYTES:
                    lines.append(self._lines.popleft())
                    size += len(lines[-1])
            error = self._written(b"".join(lines))
            with self._changed:
                self._bytes -= size
                self.waiting -= len(lines)
                self.error = error
                self._changed.notify_all()

    def _written(self, data: bytes) -> OutputError | None:
        """Why it was not."""
        left = memoryview(data)
        try:
            while left:
                left = left[self._out.write(left) or 0 :]  # type: ignore[arg-type]
        except OutputError as error:
            return error
        return None
