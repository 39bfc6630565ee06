"""Part of an output written by another core: a copy of this process writes it into memory while this one writes what comes before."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Protocol


class Output(Protocol):
    """What bytes can be written to."""

    def write(self, piece: bytes | memoryview, /) -> int: ...


Writer = Callable[[Output], object]


PIECE_BYTES = 1 << 20


class Elsewhere:
    """Begins to write at once. The copy shares this process's memory, so it suits outputs that are large beside what they are made from."""

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

    def append_to(self, out: Output, skip: int = 0) -> None:
        """Wait for what was written elsewhere and append it, but for its first bytes; where the copy failed, it is written here."""
        _, status = os.waitpid(self._child, 0)
        with self._file:
            if status:
                self._file.seek(0)
                self._file.truncate()
                self._write(self._file)
            self._file.seek(skip)
            while piece := self._file.read(PIECE_BYTES):
                out.write(piece)
