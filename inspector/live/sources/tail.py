"""A file that others write while it is read: what has come since, whatever becomes of the file meanwhile.

Whoever rotates logs renames a file and makes another by its name, or copies it and cuts it to nothing; whoever writes
key logs replaces them. So after everything was read, the name is looked up: another file by it is read from its
beginning, once there is something in it, for until then whoever writes may go on with the old one; and one that is
shorter than what was read begins anew, as does one that holds something else where was read last: it was cut, and has
grown since.

The process may have given up its rights since the file was opened. Where its name cannot be looked up any more, the
kernel's own record of where the open file lies (``/proc/self/fd``) tells whether it was moved away.

What was written between the last look and the moment in which a file is copied and cut stands in the copy alone. A
file beside it that holds the same up to where was read, and more, is that copy, and the rest is read there; a copy that
was compressed at once gives nothing.

A pipe has no beginning to go back to; its writer may go, and another may come. Nothing here waits.
"""

from __future__ import annotations

import contextlib
import os
import stat
from io import FileIO
from typing import Literal, NamedTuple

from inspector.errors.logs import LogIsDevice, LogIsSilent, LogIsSocket
from inspector.findings.wording import worded
from inspector.logs.sources import NotALog, refuse

AT_ONCE = 1 << 20
"""So much is read at once."""

SAME = 256
"""Bytes before the place where reading stands by which a copy is known."""


class Interruption(NamedTuple):
    """Why nothing more can be read at the moment. ``missing``: no file bears the name; ``rotated``: another one does,
    which may not be read; ``unreadable``: what the name stands for, or the file itself; ``abandoned``: a pipe without a
    writer. ``reason``: the
    system's, as text for people. ``refused``: what the name stands for, where that is neither file nor pipe.
    """

    kind: Literal["missing", "rotated", "unreadable", "abandoned"]
    reason: str = ""
    refused: LogIsSilent | LogIsDevice | LogIsSocket | None = None


class FileTail:
    """One file or pipe. ``interruption``: of the last ``read``, None where more may come."""

    def __init__(self, path: str, last_bytes: int | None = None, *, may_be_missing: bool = False) -> None:
        """Opened at once, while this process may still read it. ``last_bytes``: so much of what is there already is
        read, else all. Raises OSError or NotALog where it cannot be read.
        """
        self.interruption: Interruption | None = None
        self._path = path
        self._file: FileIO | None = None
        self._offset = 0
        self._latest = b""
        """What was read last, ``SAME`` bytes at most."""
        try:
            file = self._open()
        except FileNotFoundError:
            if may_be_missing:
                return
            raise
        if not self._is_pipe and last_bytes is not None:
            self._offset = file.seek(max(os.fstat(file.fileno()).st_size - last_bytes, 0))

    def _open(self) -> FileIO:
        return self._take(*self._opened())

    def _opened(self) -> tuple[FileIO, os.stat_result]:
        """What the name stands for now. Raises OSError or NotALog."""
        refuse(os.stat(self._path).st_mode)
        file = FileIO(os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        status = os.fstat(file.fileno())
        try:
            refuse(status.st_mode)
        except (NotALog, OSError):
            file.close()
            raise
        return file, status

    def _take(self, file: FileIO, status: os.stat_result) -> FileIO:
        """Read it from now on, from its beginning."""
        self.close()
        self._file = file
        self._identity = (status.st_dev, status.st_ino)
        self._is_pipe = stat.S_ISFIFO(status.st_mode)
        self._lies_at = _lies_at(file)
        self._offset = 0
        self._latest = b""
        return file

    def read(self) -> tuple[bytes, bool]:
        """What has come, ``AT_ONCE`` at most, and whether the file began anew behind all that was read before: then
        nothing more comes with this call. Raises nothing: see ``interruption``.
        """
        self.interruption = None
        try:
            file = self._file or self._open()
            data = file.read(AT_ONCE)
            if data is None:  # a pipe whose writer is silent
                return b"", False
            if not data or not self._is_same(file):
                data = self._rest(file)
                if data is None:
                    return b"", True
            self._offset += len(data)
            self._latest = (self._latest + data[-SAME:])[-SAME:]
            return data, False
        except FileNotFoundError as error:
            self.interruption = Interruption("missing", error.strerror or str(error))
        except OSError as error:
            self.interruption = Interruption("unreadable", error.strerror or str(error))
        except NotALog as error:
            self.interruption = Interruption("unreadable", worded(error.problem), error.problem)
        return b"", False

    def _is_same(self, file: FileIO) -> bool:
        """Whether what was read last still stands where it stood."""
        known = self._latest
        return self._is_pipe or os.pread(file.fileno(), len(known), self._offset - len(known)) == known

    def _rest(self, file: FileIO) -> bytes | None:
        """At the end of what is there: what was written to it meanwhile, or None where the file begins anew. Raises
        OSError or NotALog where another file by the name cannot be read.
        """
        if self._is_pipe:
            with contextlib.suppress(OSError, NotALog):
                if self._follow_name(file) is None:
                    return None
            self.interruption = Interruption("abandoned")
            return b""
        if os.fstat(file.fileno()).st_size < self._offset or not self._is_same(file):
            left = self._left_in_copy()
            if left:
                return left
            self._offset = file.seek(0)
            self._latest = b""
            return None
        try:
            return self._follow_name(file)
        except PermissionError as error:
            if _lies_at(file) != self._lies_at or not self._lies_at or not os.fstat(file.fileno()).st_nlink:
                self.interruption = Interruption("rotated", error.strerror or str(error))
        return b""

    def _follow_name(self, file: FileIO) -> bytes | None:
        """Where the name stands for another file that has something in it, read that, and give None; but first what is
        left in this one, to which nobody writes any more by then.
        """
        status = os.stat(self._path)
        if (status.st_dev, status.st_ino) == self._identity:
            return b""
        other, status = self._opened()
        if stat.S_ISREG(status.st_mode) and not status.st_size:
            other.close()
            return b""
        left = b"" if self._is_pipe else file.read(AT_ONCE)
        if left:
            other.close()
            return left
        self._take(other, status)
        return None

    def _left_in_copy(self) -> bytes:
        """What a copy of this file holds behind what was read; empty where there is none, or nothing is left."""
        folder, name = os.path.split(os.path.abspath(self._path))
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith(name) or entry.name == name or not entry.is_file(follow_symlinks=False):
                    continue
                with contextlib.suppress(OSError), open(entry.path, "rb") as copy:
                    copy.seek(self._offset - len(self._latest))
                    if self._latest and copy.read(len(self._latest)) == self._latest and (left := copy.read(AT_ONCE)):
                        return left
        return b""

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _lies_at(file: FileIO) -> str:
    """The path of an open file as the kernel knows it; ``""`` where it does not say."""
    try:
        return os.readlink(f"/proc/self/fd/{file.fileno()}")
    except OSError:
        return ""
