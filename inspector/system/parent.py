"""Processes that end with the one that started them, however that ends: the kernel sees to it (prctl(2))."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from inspector.system.prctl import prctl

PR_SET_PDEATHSIG = 1


def die_with_parent(signal_number: int = signal.SIGKILL) -> None:
    """Have the kernel send a signal when the thread that started this process ends. Forgotten where the user changes,
    and where a program is run that gives rights.
    """
    prctl(PR_SET_PDEATHSIG, signal_number)


def dying_with_this() -> Callable[[], None]:
    """What a child of this process does first, as ``preexec_fn``."""
    parent = os.getpid()

    def prepare() -> None:
        die_with_parent()
        if os.getppid() != parent:  # it ended before
            os._exit(1)

    return prepare
