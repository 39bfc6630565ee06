"""Output in many pieces, made by two cores: this process begins with the first piece, a copy of it (``ForkedJob``) with
the last, until they meet.

So neither waits for the other, whatever else this one has to do before its first piece, and however busy each core is.
A pipe holds one byte for each piece, and whoever is about to make one takes a byte first: the kernel gives each byte to
one of them. What the copy made are the last pieces, as many as this one did not make, from the last one on; their
lengths stand behind them.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Sequence
from typing import BinaryIO

from inspector.reports.forked_job import ForkedJob

Piece = Callable[[], bytes]

MOST_PIECES = 4096
"""As many bytes as every pipe holds."""


class BothEnds:
    """``pieces``: at most ``MOST_PIECES``."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        """Begin with the last piece. Raises OSError where there can be no further process."""
        self._pieces = pieces
        self._permits, filled = os.pipe()
        os.write(filled, bytes(len(pieces)))
        os.close(filled)
        try:
            self._job = ForkedJob(self._write_from_behind)
        except OSError:
            os.close(self._permits)
            raise

    def _write_from_behind(self, output: BinaryIO) -> None:
        """In the copy."""
        lengths = array("q")
        for piece in reversed(self._pieces):
            if not os.read(self._permits, 1):
                break
            lengths.append(output.write(piece()))
        output.write(lengths.tobytes())

    def write_to(self, out: BinaryIO) -> None:
        """Make what is not made yet, and write all of it in order. Raises OSError where it cannot be written."""
        met = 0
        while met < len(self._pieces) and os.read(self._permits, 1):
            out.write(self._pieces[met]())
            met += 1
        if self._job.has_succeeded():
            self._append(out, len(self._pieces) - met)
        else:
            for piece in self._pieces[met:]:
                out.write(piece())

    def drop(self) -> None:
        """Nobody wants it any more, whether it was written or not."""
        os.close(self._permits)
        self._job.drop()

    def _append(self, out: BinaryIO, count: int) -> None:
        """The last pieces, so many, which the copy made from the last one on."""
        lengths = array("q")
        source = self._job.output
        end = source.seek(-count * lengths.itemsize, os.SEEK_END)
        lengths.frombytes(source.read())
        for length in reversed(lengths):
            end -= length
            self._job.append_to(out, end, end + length)
