"""Something worked out by another core: a copy of this process (fork(2)) writes it into memory that both share, while
this one goes on.

The copy sees everything as it was when it began, so nothing is handed over but what it writes; memory that it does not
change is not copied. It is only for a process with one thread, or whose other threads hold no lock that the copy wants:
it would never be let go.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from typing import BinaryIO

from inspector.capture.nameless import nameless_file
from inspector.capture.parent import dying_with_this

Write = Callable[[BinaryIO], object]

COPY_BYTES = 1 << 20


class ForkedJob:
    """``output``: what it has written, to be read once it is over."""

    def __init__(self, write: Write, nice: int = 0) -> None:
        """Begin. ``nice``: how far the copy stands back, as in nice(2). Raises OSError where there can be no further
        process.
        """
        self.output = nameless_file()
        self._status: int | None = None
        prepare = dying_with_this()
        try:
            self._process = os.fork()
        except OSError:
            self.output.close()
            raise
        if not self._process:
            _work(write, self.output, nice, prepare)

    @staticmethod
    def is_worthwhile() -> bool:
        """Whether this system can copy a process, has memory to share and more than one core, and this process has one
        thread.
        """
        can_copy = hasattr(os, "fork") and hasattr(os, "memfd_create") and len(os.sched_getaffinity(0)) > 1
        return can_copy and threading.active_count() == 1

    def is_running(self) -> bool:
        """Whether it is not over yet; does not wait."""
        return self._status is None and not self._wait(os.WNOHANG)

    def has_succeeded(self) -> bool:
        """Wait for the end; whether all was written."""
        while self._status is None:
            self._wait(0)
        return self._status == 0

    def _wait(self, options: int) -> bool:
        try:
            process, status = os.waitpid(self._process, options)
        except ChildProcessError:  # somebody else waited for it: how it ended is not known
            process, status = self._process, -1
        if process:
            self._status = status
        return bool(process)

    def append_to(self, out: BinaryIO, start: int, stop: int) -> None:
        """Append a part of what was written; in the kernel where that can."""
        out.flush()
        try:
            target = out.fileno()
            while start < stop:
                start += os.sendfile(target, self.output.fileno(), start, stop - start)
        except OSError:  # no file of the kernel's, or one that does not take this
            self.output.seek(start)
            while start < stop:
                start += out.write(self.output.read(min(COPY_BYTES, stop - start)))

    def drop(self) -> None:
        """Nobody wants it any more."""
        if self.is_running():
            with contextlib.suppress(OSError):
                os.kill(self._process, signal.SIGKILL)
            self.has_succeeded()
        self.output.close()


def _work(write: Write, output: BinaryIO, nice: int, prepare: Callable[[], None]) -> None:
    """In the copy: it leaves without a look at anything that it shares with the first."""
    status = 1
    try:
        prepare()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.nice(nice)
        write(output)
        output.flush()
        status = 0
    finally:
        os._exit(status)
