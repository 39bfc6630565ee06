"""An output that is written by a thread, so that making the next piece does not wait for the disk or the pipe."""

from __future__ import annotations

from queue import Queue
from threading import Thread
from typing import BinaryIO

WAITING = 4
"""Pieces that may wait; the maker then waits too."""


class Behind:
    """``write`` keeps its piece and returns; ``close`` waits until all is written. Both raise what went wrong, an OSError."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._pieces: Queue[bytes | memoryview | None] = Queue(WAITING)
        self._problem: OSError | None = None
        self._thread = Thread(target=self._run, name="output", daemon=True)
        self._thread.start()

    def write(self, piece: bytes | memoryview) -> int:
        """Hand a piece on; it must not change afterwards."""
        if self._problem is not None:
            raise self._problem
        self._pieces.put(piece)
        return len(piece)

    def close(self) -> None:
        """Nothing more will come."""
        self._pieces.put(None)
        self._thread.join()
        if self._problem is not None:
            raise self._problem

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            if self._problem is None:
                try:
                    self._out.write(piece)
                except OSError as error:
                    self._problem = error
