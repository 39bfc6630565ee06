"""Files while they are written: under names of their own among the manifests, each locked by whoever writes it, until
they get the name that counts. What is not locked was left by somebody who was killed.

Several hosts may write to one directory and remove what others left: a file goes only while its lock is held, and
whoever made it looks whether it is still there when the lock is its own (flock(2)).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from inspector.system.plain_file import make_own_folder, open_plain

FILE_MODE = 0o600
"""Who connects where is nobody else's business."""

PARTS = "parts"
NAME = re.compile(r"\.([0-9a-f]{32})\.[0-9a-f]{16}\.\d+\.unfinished")


class UnfinishedFile:
    """A context in which a file is written; ``settle`` gives it its name, and without that it is gone behind it. The
    lock is held until the context ends.
    """

    def __init__(self, root: Path, path: str) -> None:
        """``path``: below the directory, that of the part. Raises OSError."""
        self._target = root / path
        digest = hashlib.blake2b(os.fsencode(path), digest_size=8).hexdigest()
        self._path = root / PARTS / f".{self._target.stem}.{digest}.{secrets.randbelow(1 << 63)}.unfinished"
        make_own_folder(self._path.parent)
        self.file = os.fdopen(_locked(self._path), "w+b")

    def __enter__(self) -> UnfinishedFile:
        return self

    def __exit__(self, *of: object) -> None:
        self._path.unlink(missing_ok=True)
        self.file.close()

    def settle(self) -> None:
        """On the disk first, then by its own name. Raises OSError."""
        self.file.flush()
        os.fsync(self.file.fileno())
        make_own_folder(self._target.parent)
        os.replace(self._path, self._target)
        folder = os.open(self._target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _locked(path: Path) -> int:
    """A new file that nobody takes for left. Raises OSError."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)  # somebody removed it before it was locked


def is_written_now(path: Path) -> bool:
    """Whether somebody holds its lock. Raises OSError."""
    with open_plain(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def left_parts(root: Path) -> Iterator[str]:
    """The names of parts that somebody did not write to their end."""
    for path, part in _unfinished(root):
        with contextlib.suppress(OSError):
            if not is_written_now(path):
                yield part


def remove_left(root: Path) -> None:
    """Remove what nobody writes any more. Raises OSError."""
    for path, _ in _unfinished(root):
        with contextlib.suppress(FileNotFoundError, BlockingIOError), open_plain(path) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)


def _unfinished(root: Path) -> Iterator[tuple[Path, str]]:
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(root / PARTS):
            if match := NAME.fullmatch(name):
                yield root / PARTS / name, match[1]
