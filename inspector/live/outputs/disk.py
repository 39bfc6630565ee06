"""Files that are written while a capture runs, on a disk that may fill up, go away or be read-only: the capture goes
on, and what was not written is named.
"""

from __future__ import annotations

import os
import stat
from typing import BinaryIO

MODE = 0o600
MIB = 1 << 20
FREE_MIB = 200
"""Below so much free space nothing more is written: the machine is somebody's production host."""


class DiskFull(OSError):
    """Less space is free than must stay free."""


def create(path: str) -> BinaryIO:
    """A new file that only its owner can read; an old one of this name is written over, a link is not followed. Raises
    OSError.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, MODE)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path}: not a regular file")
    os.fchmod(descriptor, MODE)
    os.truncate(descriptor, 0)
    return open(descriptor, "wb", buffering=0)


def replace(written: str, path: str) -> None:
    """Move a file to its place, where nothing or another file stands: no device gives way. Raises OSError."""
    if not gives_way(path):
        raise OSError(f"{path}: not a regular file")
    os.replace(written, path)


def gives_way(path: str) -> bool:
    """Whether a file may be moved there: nothing stands there, or a regular file. Raises OSError."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True


def write_all(out: BinaryIO, data: bytes | memoryview) -> None:
    """Write to an unbuffered file. Raises OSError."""
    left = memoryview(data)
    while left:
        left = left[out.write(left) :]


def require_space(path: str, least_mib: int) -> None:
    """Raises DiskFull where too little space is free for a file, OSError where its directory is gone."""
    system = os.statvfs(os.path.dirname(os.path.abspath(path)))
    free = system.f_bavail * system.f_frsize
    if free < least_mib * MIB:
        raise DiskFull(f"only {free // MIB} MiB are free, {least_mib} MiB must stay free")


def reason(error: OSError) -> str:
    """Why something could not be written, for people."""
    return error.strerror or str(error)
