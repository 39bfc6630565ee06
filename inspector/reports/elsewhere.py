"""Part of an output written by another core: a copy of this process writes it into memory while this one writes what
comes before.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from typing import BinaryIO

Writer = Callable[[BinaryIO], object]


class Elsewhere:
    """Begins to write at once. The copy shares this process's memory, so it suits outputs that are large beside what
    they are made from.
    """

    def __init__(self, write: Writer) -> None:
        self._write = write
        self._file = os.fdopen(os.memfd_create("inspector"), "w+b")
        self._child = os.fork()
        if not self._child:
            self._be_the_copy()

    @staticmethod
    def is_possible() -> bool:
        """Whether this system can copy a process and has more than one core for it."""
        return hasattr(os, "fork") and hasattr(os, "memfd_create") and len(os.sched_getaffinity(0)) > 1

    def _be_the_copy(self) -> None:
        status = 1
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self._write(self._file)
            self._file.flush()
            status = 0
        finally:
            os._exit(status)

    def append_to(self, out: BinaryIO, skip: int = 0) -> None:
        """Wait for what was written elsewhere and append it, but for its first bytes; where the copy failed, it is
        written here.
        """
        _, status = os.waitpid(self._child, 0)
        with self._file:
            if status:
                self._file.seek(0)
                self._file.truncate()
                self._write(self._file)
            self._send(out, skip)

    def _send(self, out: BinaryIO, skip: int) -> None:
        """To ``out``, in the kernel where that can."""
        end = self._file.seek(0, os.SEEK_END)
        try:
            out.flush()
            target = out.fileno()
            while skip < end:
                skip += os.sendfile(target, self._file.fileno(), skip, end - skip)
        except OSError:  # no file of the kernel's, or one that does not take this
            self._file.seek(skip)
            shutil.copyfileobj(self._file, out, 1 << 20)
