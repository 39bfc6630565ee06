"""A journal's files as the system sees them, before SQLite does.

A journal may lie where others write too. A link in its place would have this process write, or make the files that
SQLite keeps beside it, wherever others want; a pipe would hold it up for good. So all of them are plain files by their
own names, or nothing is opened; directories above may be links. And who connects where is nobody else's business: what
is written is for its owner alone.

A journal that is damaged is not lost, nor does it stop whoever writes: it gets another name, and a new one is begun.
Only what is known to be a journal is moved: its header says so, or the lock that a writer leaves beside it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import stat

from inspector.system.plain_file import KINDS

BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database."""

LOCK = ".lock"
SQLITE = b"SQLite format 3\0"
APPLICATION = 0x496E7370
"""``Insp``: how SQLite files of ours are told from others (PRAGMA application_id)."""

HEADER_BYTES = 100
VERSIONS_AT, FORMAT_AT, APPLICATION_AT = 18, 44, 68
"""Where a header (https://www.sqlite.org/fileformat.html, section 1.3) says which versions may write and read it, of
which format its schema is, and whose it is.
"""

BLOCK_BYTES = 512
"""Of ``st_blocks`` (stat(2))."""

SET_ASIDE = 3
"""So many damaged journals are kept beside a new one: the first ones and the last."""

OURS_ALONE, OF_OTHERS = 0o600, 0o077
OPENING = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK

REFUSED = {**KINDS, stat.S_IFLNK: "a symbolic link, and a journal is opened by its own name"}


class RefusedError(sqlite3.Error):
    """The text says why something is not opened as a journal, and stays as it is."""


class ClaimedError(sqlite3.Error):
    """Another process writes this journal."""


def require_plain(path: str) -> None:
    """Raises RefusedError where a journal, or what SQLite keeps beside it, is there and no plain file; OSError where
    that cannot be told.
    """
    for name in (path, *(path + suffix for suffix in BESIDE)):
        with contextlib.suppress(FileNotFoundError):
            _require_plain(os.lstat(name).st_mode, name if name != path else "")


def _require_plain(mode: int, name: str = "") -> None:
    if not stat.S_ISREG(mode):
        kind = REFUSED.get(stat.S_IFMT(mode), "no file")
        raise RefusedError(f"{name} is {kind}" if name else kind)


def stored_bytes(path: str) -> int:
    """What the disk holds of a journal and its log: of a file with holes, less than it is long. 0 where the file
    system does not say.
    """
    total = 0
    for name in (path, path + BESIDE[0]):
        with contextlib.suppress(OSError):
            total += os.stat(name).st_blocks * BLOCK_BYTES
    return total


def identity(path: str) -> tuple[int, int] | None:
    """Which file bears a name; None where none does."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def named(path: str) -> bytes:
    """The path of a file whose directory is free of links, as the system knows it."""
    folder, name = os.path.split(os.path.abspath(path))
    return os.fsencode(os.path.join(os.path.realpath(folder), name))


class JournalClaim:
    """The right of one process to write a journal, held by a lock in a file of its own.

    ``is_known``: whether what is there is known to be a journal. ``header``: what it begins with; empty where it is
    new.
    """

    def __init__(self, path: str) -> None:
        """The file is made where there is none. Raises ClaimedError, RefusedError or OSError."""
        self.path = path
        require_plain(path)
        os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
        self.header = _header(path)
        is_sqlite = self.header.startswith(SQLITE)
        is_ours = is_sqlite and self.header[APPLICATION_AT : APPLICATION_AT + 4] == APPLICATION.to_bytes(4, "big")
        was_locked = os.path.lexists(path + LOCK)
        if self.header and not is_sqlite and not was_locked:
            raise RefusedError("not a journal of inspector")
        self._lock = _locked(path + LOCK)
        self._made_lock = not was_locked
        self.is_known = was_locked or is_ours

    def keep_from_others(self) -> None:
        """Only the owner may read and write it from now on. Raises RefusedError where that is not for this user to
        say; OSError.
        """
        for name in (self.path, *(self.path + suffix for suffix in (*BESIDE, LOCK))):
            with contextlib.suppress(FileNotFoundError):
                if os.lstat(name).st_mode & OF_OTHERS:
                    _keep_from_others(name)

    def set_aside(self) -> str:
        """Give what is there another name, and make a new file by the old one. The other name. Raises RefusedError or
        OSError.
        """
        self.keep_from_others()
        names = [f"{self.path}.damaged-{number}" for number in range(1, SET_ASIDE + 1)]
        other = next((name for name in names if not os.path.lexists(name)), names[-1])
        os.rename(self.path, other)
        for suffix in BESIDE:  # without the file that it is of, SQLite takes none of them for anything
            if os.path.lexists(self.path + suffix):
                os.rename(self.path + suffix, other + suffix)
            elif os.path.lexists(other + suffix):
                os.unlink(other + suffix)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | OPENING, OURS_ALONE))
        self.header = b""
        return other

    def release(self, *, is_none: bool = False) -> None:
        """Let others write it. ``is_none``: it is no journal, so that no lock of ours stays beside it."""
        if self._lock < 0:
            return
        if is_none and self._made_lock:
            with contextlib.suppress(OSError):
                os.unlink(self.path + LOCK)
        os.close(self._lock)
        self._lock = -1


def _header(path: str) -> bytes:
    """The first bytes of a file, which is made where there is none. SQLite gives its other files the mode of this."""
    opened = os.open(path, os.O_RDWR | os.O_CREAT | OPENING, OURS_ALONE)
    try:
        _require_plain(os.fstat(opened).st_mode)
        return os.pread(opened, HEADER_BYTES, 0)
    finally:
        os.close(opened)


def _locked(path: str) -> int:
    """The descriptor of a locked file."""
    with contextlib.suppress(FileNotFoundError):
        _require_plain(os.lstat(path).st_mode, path)
    lock = os.open(path, os.O_RDWR | os.O_CREAT | OPENING, OURS_ALONE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise ClaimedError("another inspector writes this journal") from None
    except OSError:
        os.close(lock)
        raise
    return lock


def _keep_from_others(name: str) -> None:
    opened = os.open(name, os.O_PATH | OPENING)  # to close a descriptor that may read would end SQLite's locks
    try:
        os.chmod(f"/proc/self/fd/{opened}", OURS_ALONE)
    except PermissionError:
        raise RefusedError(f"{name} belongs to somebody else, who lets others read or write it") from None
    finally:
        os.close(opened)
