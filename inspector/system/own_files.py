"""Files that this program keeps for itself from one run to the next, and that nobody else may have written.

A folder into which anybody else may write, a link, or what belongs to another user (root with the environment of
somebody else) is left alone. Whatever depends on how the program keeps things is of use to this very program alone.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO

from inspector.text.version import VERSION

OWN_MODE = 0o600
OWN_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""With which such a file is opened: no link is followed, no pipe waited for."""

WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def is_own_folder(folder: Path) -> bool:
    """Whether it is there, no link, and this user's."""
    try:
        state = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(state.st_mode) and is_own(state)


def is_own(state: os.stat_result) -> bool:
    """Whether something is this user's, and nobody else may write to it; so it is where a platform has no users."""
    return not hasattr(os, "geteuid") or (state.st_uid == os.geteuid() and not state.st_mode & WRITABLE_BY_OTHERS)


def open_own(path: Path) -> BinaryIO:
    """Such a file, opened to be read. Raises OSError: also where it is another's, or none."""
    file = os.fdopen(os.open(path, os.O_RDONLY | OWN_FLAGS), "rb")
    state = os.fstat(file.fileno())
    if not (stat.S_ISREG(state.st_mode) and is_own(state)):
        file.close()
        raise OSError(errno.EPERM, "others may have written it")
    return file


def new_own(path: Path) -> BinaryIO:
    """Such a file, made anew. Raises OSError: also where there is one."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | OWN_FLAGS, OWN_MODE), "wb")


def program_digest() -> bytes:
    """What this very program is told by: its version and Python's, its files by name, size and when they were changed.
    Raises OSError.
    """
    files = sorted(Path(__file__).parent.parent.rglob("*.py"))
    digest = hashlib.sha256(f"{VERSION} {sys.version}".encode())
    for path in files:
        state = path.stat()
        digest.update(f"{path.name} {state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.digest()
