"""A refilled buffer over a byte stream: what both file formats read their records from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from inspector import bounds

PADDING = 256
LEAST_BYTES = 32
"""By which the format of a stream can be told."""
BURST_BYTES, BURST_SECONDS = 1 << 15, 0.002
"""What each read of a burst gives, and the pause before the next."""


class Damaged(Exception):
    """The stream cannot be read any further; what came before is good."""


class Readable(Protocol):
    """A binary stream; ``readinto`` may return fewer bytes than asked for, and 0 at the end."""

    def readinto(self, buffer: memoryview, /) -> int | None: ...


class ByteSource:
    """One buffer that is filled again and again, so that memory does not grow with the file.

    ``view()`` gives the buffer and how much of it is filled; ``advance(n)`` drops the first n bytes and reads on.
    A batch made from the buffer is valid until the next ``advance``.
    """

    is_live = False
    """Whether more may come although there is nothing now; then readers yield what they have, were it nothing."""

    def __init__(
        self,
        stream: Readable,
        size: int = bounds.BATCH_BYTES,
        *,
        most: int | None = None,
        is_hasty: bool = False,
    ) -> None:
        """``most``: bytes that are read, as if the stream ended behind them. ``is_hasty``: what is there is looked at
        before more comes, else a whole buffer.
        """
        self._stream = stream
        self._buffer = bytearray(size + PADDING)
        self._room = size
        self._most = most
        self._is_hasty = is_hasty
        self._end = 0
        self._ended = False
        self.total = 0
        self.problem: str | None = None
        """Why the stream could not be read to its end."""
        self._fill()

    @property
    def left(self) -> int:
        """Bytes that are in the buffer and not yet dropped."""
        return self._end

    def view(self) -> tuple[bytearray, int]:
        """The buffer and the number of bytes that are valid in it."""
        return self._buffer, self._end

    def advance(self, used: int) -> bool:
        """Drop the first ``used`` bytes and read more; False where nothing more came."""
        rest = self._end - used
        if used == 0 and rest >= self._room:
            self._grow()
        else:
            keep = bytes(self._buffer[used : self._end])
            self._buffer[:rest] = keep
        self._end = rest
        return self._fill() > 0

    def _grow(self) -> None:
        """A record larger than the buffer: take a larger buffer (numpy may still hold the old one)."""
        self._room *= 2
        larger = bytearray(self._room + PADDING)
        larger[: self._end] = self._buffer[: self._end]
        self._buffer = larger

    def _fill(self) -> int:
        before = self._end
        with memoryview(self._buffer) as whole:
            while not self._ended and self._end < self._room:
                if self._most is not None and self.total >= self._most:
                    self._ended = True
                    break
                try:
                    with whole[self._end : self._room] as free:
                        got = self._stream.readinto(free)
                except (Damaged, OSError) as error:
                    self.problem = str(error)
                    got = 0
                if not got:
                    self._ended = True
                    break
                self._end += got
                self.total += got
                if self._is_hasty and self._end >= LEAST_BYTES:
                    break
        return self._end - before


class LiveSource(ByteSource):
    """A pipe that is written while it is read: each ``advance`` takes what is there, and is False only at its end.

    ``pause(seconds)``: let more come. A burst is read as a whole: a batch of many frames costs little more than one of
    few.
    """

    is_live = True

    def __init__(self, stream: Readable, pause: Callable[[float], None], size: int) -> None:
        self._pause = pause
        self._is_begun = False  # what were read now would wait here until more comes
        super().__init__(stream, size=size)
        self._is_begun = True

    def advance(self, used: int) -> bool:
        """Drop the first ``used`` bytes and read."""
        has_more = super().advance(used)
        return has_more or not self._ended

    def _fill(self) -> int:
        before = self._end
        while self._is_begun and not self._ended and self._end < self._room:
            try:
                with memoryview(self._buffer) as whole, whole[self._end : self._room] as free:
                    got = self._stream.readinto(free)
            except OSError as error:
                self.problem = str(error)
                got = 0
            if got:
                self._end += got
                self.total += got
            elif got is not None:
                self._ended = True
            if (got or 0) < BURST_BYTES:
                break
            self._pause(BURST_SECONDS)
        return self._end - before
