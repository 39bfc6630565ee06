"""A file that others write while it is read: what has come since, whatever becomes of the file meanwhile.

Whoever rotates logs renames a file and makes another by its name, or copies it and cuts it to nothing; whoever writes
key logs replaces them. So after everything was read, the name is looked up: another file by it is read from its
beginning, and one that is shorter than what was read begins anew. A file that was cut and has grown beyond that by the
next look cannot be told from one that only grew.

The process may have given up its rights since the file was opened. Where its name cannot be looked up any more, the
kernel's own record of where the open file lies (``/proc/self/fd``) tells whether it was moved away.

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
        try:
            file = self._open()
        except FileNotFoundError:
            if may_be_missing:
                return
            raise
        if not self._is_pipe and last_bytes is not None:
            self._offset = file.seek(max(os.fstat(file.fileno()).st_size - last_bytes, 0))

    def _open(self) -> FileIO:
        refuse(os.stat(self._path).st_mode)
        file = FileIO(os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        status = os.fstat(file.fileno())
        try:
            refuse(status.st_mode)
        except (NotALog, OSError):
            file.close()
            raise
        self.close()
        self._file = file
        self._identity = (status.st_dev, status.st_ino)
        self._is_pipe = stat.S_ISFIFO(status.st_mode)
        self._lies_at = _lies_at(file)
        self._offset = 0
        return file

    def read(self) -> tuple[bytes, bool]:
        """What has come, ``AT_ONCE`` at most, and whether the file began anew behind all that was read before: then
        nothing more comes with this call. Raises nothing: see ``interruption``.
        """
        self.interruption = None
        try:
            file = self._file or self._open()
            data = file.read(AT_ONCE)
            if data:
                self._offset += len(data)
                return data, False
            if data is None:  # a pipe whose writer is silent
                return b"", False
            return b"", self._begins_anew(file)
        except FileNotFoundError as error:
            self.interruption = Interruption("missing", error.strerror or str(error))
        except OSError as error:
            self.interruption = Interruption("unreadable", error.strerror or str(error))
        except NotALog as error:
            self.interruption = Interruption("unreadable", worded(error.problem), error.problem)
        return b"", False

    def _begins_anew(self, file: FileIO) -> bool:
        """At the end of what is there. Raises OSError or NotALog where another file by the name cannot be read."""
        if self._is_pipe:
            with contextlib.suppress(OSError, NotALog):
                if self._follow_name():
                    return True
            self.interruption = Interruption("abandoned")
            return False
        if os.fstat(file.fileno()).st_size < self._offset:
            self._offset = file.seek(0)
            return True
        try:
            return self._follow_name()
        except PermissionError as error:
            if _lies_at(file) != self._lies_at or not self._lies_at or not os.fstat(file.fileno()).st_nlink:
                self.interruption = Interruption("rotated", error.strerror or str(error))
        return False

    def _follow_name(self) -> bool:
        """Open what the name stands for now, if that is another file."""
        status = os.stat(self._path)
        if (status.st_dev, status.st_ino) == self._identity:
            return False
        self._open()
        return True

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
