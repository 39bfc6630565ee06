"""Bytes of one direction that were not read yet, and where they came from."""

from __future__ import annotations

from bisect import bisect_right
from operator import itemgetter

from inspector.tls.sink import Mark

OFFSET = itemgetter(0)
"""Where a mark's chunk begins."""


class ReceiveBuffer:
    """``data``: the bytes, from ``start`` in the stream on. ``want``: the offset of the byte behind them, which must
    come next. ``position``: where in the stream the record begins that is being read.

    A chunk that is read to its end at once, as most are, is never copied.
    """

    __slots__ = ("_marks", "data", "position", "start", "want")

    def __init__(self) -> None:
        self.data: bytes | bytearray = b""
        self.start = 0
        self.position = 0
        self.want = 0
        self._marks: list[Mark] = []

    @property
    def is_of_several(self) -> bool:
        """Whether they came in more than one chunk."""
        return len(self._marks) > 1

    def add(self, offset: int, chunk: bytes, frame: int, ns: int) -> None:
        """Keep a chunk that holds the byte ``want``; where bytes are kept it must follow them."""
        self.want = offset + len(chunk)
        if not self.data:
            self.data = chunk
            self.start = offset
            self._marks = [(offset, frame, ns)]
            return
        if not isinstance(self.data, bytearray):
            self.data = bytearray(self.data)
        self.data += chunk
        self._marks.append((offset, frame, ns))

    def mark(self, at: int) -> Mark:
        """The chunk that holds the byte at ``at`` in ``data``, where a record begins."""
        self.position = self.start + at
        return self.chunk(at)

    def chunk(self, at: int) -> Mark:
        """The chunk that holds the byte at ``at`` in ``data``."""
        offset = self.start + at
        marks = self._marks
        if len(marks) == 1:
            return marks[0]
        return marks[max(bisect_right(marks, offset, key=OFFSET) - 1, 0)]

    def drop(self, count: int) -> None:
        """Forget the first bytes; of them those that have not come yet are not wanted any more."""
        self.start += count
        if count >= len(self.data):
            self.data = b""
            self.want = self.start
            return
        self.data = self.data[count:]
        marks = self._marks
        while len(marks) > 1 and marks[1][0] <= self.start:
            del marks[0]

    def clear(self) -> None:
        """Forget all bytes; which chunk they came in stays known."""
        self.data = b""
