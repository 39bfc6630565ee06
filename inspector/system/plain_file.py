"""Files that are read whole: settings, manifests, analyses, keys of redaction, configurations. Others may have made
them, or put something else in their place: only a plain file is read, without waiting, and no more of it than such a
file may hold.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path  # an analysis of a capture does not load it

CHUNK_BYTES = 1 << 20
KINDS = {
    stat.S_IFIFO: "a pipe, not a file",
    stat.S_IFSOCK: "a socket, not a file",
    stat.S_IFDIR: "a directory, not a file",
    stat.S_IFCHR: "a device, not a file",
    stat.S_IFBLK: "a device, not a file",
}
"""What stands where a plain file is wanted (stat(2))."""


def open_plain(path: str | os.PathLike[str]) -> BinaryIO:
    """A plain file, opened to be read. Raises OSError: also where it is something else."""
    # a socket cannot be opened at all, and says so; a pipe is opened at once, and looked at
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, KINDS.get(stat.S_IFMT(mode), "no file"))
    return open(descriptor, "rb")


def read_whole(path: str | os.PathLike[str], most_bytes: int) -> bytes:
    """All of a plain file. Raises OSError: also where it is something else, or longer than ``most_bytes``."""
    with open_plain(path) as file:
        data = file.read(most_bytes + 1) if os.fstat(file.fileno()).st_size <= most_bytes else None
    if data is None or len(data) > most_bytes:  # it may grow meanwhile
        raise OSError(errno.EFBIG, f"longer than the {_size(most_bytes)} that are read of such a file")
    return data


def make_own_folder(folder: Path) -> None:
    """The folder and those above it that are missing, for this user alone: ``Path.mkdir`` would leave those above to
    the umask. Raises OSError.
    """
    if not folder.is_dir():
        make_own_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def sha256_of(file: BinaryIO) -> hashlib._Hash:
    """Of all that is left to read of a file. Raises OSError."""
    digest = hashlib.sha256()
    while octets := file.read(CHUNK_BYTES):
        digest.update(octets)
    return digest


def _size(count: int) -> str:
    return f"{count >> 20} MiB" if count >> 20 else f"{count >> 10} KiB"
