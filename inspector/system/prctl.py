"""What a process asks the kernel of itself (prctl(2))."""

from __future__ import annotations

import ctypes
import os

NO_NEW_PRIVS = 38
_libc = ctypes.CDLL(None, use_errno=True)
"""Looked up once: a copy of a process with threads must not wait for the lock of whoever loads."""


def prctl(option: int, *arguments: object) -> int:
    """What the kernel answers. Arguments that are not given are 0. Raises OSError where it says no."""
    answer: int = _libc.prctl(option, *arguments, *[0] * (4 - len(arguments)))
    if answer < 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}: {os.strerror(ctypes.get_errno())}")
    return answer


def no_new_privileges() -> None:
    """No program that is started can have more rights, for good. Raises OSError."""
    prctl(NO_NEW_PRIVS, 1)
