"""What a process asks the kernel of itself (prctl(2))."""

from __future__ import annotations

import ctypes
import os

NO_NEW_PRIVS = 38


def prctl(option: int, *arguments: object) -> None:
    """Arguments that are not given are 0. Raises OSError where the kernel says no."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, *arguments, *[0] * (4 - len(arguments))):
        raise OSError(ctypes.get_errno(), f"prctl {option}: {os.strerror(ctypes.get_errno())}")


def no_new_privileges() -> None:
    """No program that is started can have more rights, for good. Raises OSError."""
    prctl(NO_NEW_PRIVS, 1)
