"""Copies of this process (fork(2)), which work something out on another core while this one goes on.

A copy sees everything as it was when it began, so nothing is handed over but what it makes; memory that neither changes
is not copied. It is only for a process with one thread, or whose other threads hold no lock that the copy wants: it
would never be let go.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
from collections.abc import Callable

from inspector.system.cores import usable_cores
from inspector.system.memory import copies_with_room
from inspector.system.parent import dying_with_this

MOST_COPIES = 15
"""So many cores beside this process's are kept busy, at most."""


def worthwhile_copies() -> int:
    """How many copies would each have a core of its own, and memory: since objects count who refers to them, a copy may
    come to have as much of its own as this process has. None where this system cannot copy a process or share memory,
    or this process has further threads.
    """
    can_copy = hasattr(os, "fork") and hasattr(os, "memfd_create")
    if not can_copy or threading.active_count() > 1:
        return 0
    return min(usable_cores() - 1, MOST_COPIES, copies_with_room())


class ForkedCopy:
    """A copy at work; it has succeeded where ``work`` came to its end."""

    def __init__(self, work: Callable[[], object], nice: int = 0) -> None:
        """Begin. ``nice``: how far the copy stands back, as in nice(2). Raises OSError where there can be no further
        process.
        """
        self._status: int | None = None
        prepare = dying_with_this()
        self._process = os.fork()
        if not self._process:
            _do(work, nice, prepare)

    def is_running(self) -> bool:
        """Whether it is not over yet; does not wait."""
        return self._status is None and not self._wait(os.WNOHANG)

    def has_succeeded(self) -> bool:
        """Wait for the end; whether all was done."""
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

    def drop(self) -> None:
        """Nobody wants it any more."""
        if self.is_running():
            with contextlib.suppress(OSError):
                os.kill(self._process, signal.SIGKILL)
            self.has_succeeded()


def _do(work: Callable[[], object], nice: int, prepare: Callable[[], None]) -> None:
    """In the copy: it leaves without a look at anything that it shares with the first."""
    status = 1
    try:
        prepare()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        gc.freeze()  # looking for garbage among what is shared would copy all of it
        os.nice(nice)
        work()
        status = 0
    finally:
        os._exit(status)
