"""Something worked out in a copy of this process (fork(2)), so that the capture goes on meanwhile. Only for a process
with one thread.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import time
from collections.abc import Callable
from typing import Any

NICE = 10
PIECE_BYTES = 1 << 16


class Aside:
    """``began``: seconds of the clock that only counts."""

    def __init__(self, work: Callable[[], Any]) -> None:
        """Begin. Raises OSError where there can be no further process."""
        self.began = time.monotonic()
        self._data = bytearray()
        self._descriptor, out = os.pipe()
        self._process = os.fork()
        if not self._process:
            _work(work, out)
        os.close(out)
        os.set_blocking(self._descriptor, False)

    def result(self) -> Any:
        """What was worked out; None while it is not. A copy that failed gives an empty list."""
        try:
            while piece := os.read(self._descriptor, PIECE_BYTES):
                self._data += piece
        except BlockingIOError:
            return None
        self._end()
        return pickle.loads(self._data) if self._data else []

    def drop(self) -> None:
        """Nobody wants it any more."""
        with contextlib.suppress(OSError):
            os.kill(self._process, signal.SIGKILL)
        self._end()

    def _end(self) -> None:
        os.close(self._descriptor)
        with contextlib.suppress(OSError):
            os.waitpid(self._process, 0)


def _work(work: Callable[[], Any], out: int) -> None:
    """In the copy: it leaves without a look at anything that it shares with the first."""
    status = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.nice(NICE)
        with open(out, "wb") as target:
            target.write(pickle.dumps(work()))
        status = 0
    finally:
        os._exit(status)
