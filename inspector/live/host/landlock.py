"""Landlock (landlock(7), Linux 5.13): a process gives up the rights to files and the network that it will not need, for
good, whoever it runs as.

What may be done is a list of directories and files with the accesses that stay; everything else that this kernel can
handle is refused. Files that are open already stay open. A kernel knows more of it with each version of its ABI: what
it does not know stays allowed.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable
from enum import IntFlag

from inspector.system.prctl import no_new_privileges

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
"""System calls, of the same number everywhere."""

ASK_VERSION = 1
PATH_BENEATH = 1


class Access(IntFlag):
    """LANDLOCK_ACCESS_FS_ of linux/landlock.h."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


READ = Access.READ_FILE | Access.READ_DIR
RUN = READ | Access.EXECUTE
WRITE = READ | Access.WRITE_FILE | Access.TRUNCATE | Access.MAKE_REG | Access.REMOVE_FILE
"""Files of a directory: read, written, made, renamed and removed."""

OF_FILES = Access.EXECUTE | Access.WRITE_FILE | Access.READ_FILE | Access.TRUNCATE | Access.IOCTL_DEV
"""What can be allowed of a single file."""

ACCESSES = ((1, 13), (2, 14), (3, 15), (5, 16))
"""Versions of the ABI, and how many accesses to files they handle."""

TCP_SINCE, TCP = 4, 0b11
"""bind(2) and connect(2) of TCP."""

SCOPE_SINCE, ABSTRACT_SOCKETS = 6, 0b01


class _Ruleset(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def version() -> int:
    """The ABI that this kernel offers; 0 where it has none, or it is switched off."""
    abi: int = _libc().syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(ASK_VERSION))
    return max(abi, 0)


def restrict(allowed: Iterable[tuple[str, Access]]) -> int:
    """Give up everything that is not ``allowed``, of this thread and whatever it starts; a path that is not there, or
    may not be looked at, is left out. The version of the ABI that holds: 0 where there is none. Raises OSError.
    """
    abi = version()
    if not abi:
        return 0
    handled = (1 << max(count for since, count in ACCESSES if since <= abi)) - 1
    ruleset = _Ruleset(handled, TCP if abi >= TCP_SINCE else 0, ABSTRACT_SOCKETS if abi >= SCOPE_SINCE else 0)
    size = 8 if abi < TCP_SINCE else 16 if abi < SCOPE_SINCE else 24
    rules = _checked(_libc().syscall(CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(size), ctypes.c_uint32(0)))
    try:
        for path, access in allowed:
            _allow(rules, path, access & handled)
        no_new_privileges()
        _checked(_libc().syscall(RESTRICT_SELF, ctypes.c_int(rules), ctypes.c_uint32(0)))
    finally:
        os.close(rules)
    return abi


def _allow(rules: int, path: str, access: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(parent).st_mode):
            access &= OF_FILES
        rule = _PathBeneath(access, parent)
        _checked(
            _libc().syscall(
                ADD_RULE, ctypes.c_int(rules), ctypes.c_int(PATH_BENEATH), ctypes.byref(rule), ctypes.c_uint32(0)
            )
        )
    finally:
        os.close(parent)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
