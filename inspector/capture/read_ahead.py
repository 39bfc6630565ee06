"""A byte stream that is read, and unpacked where it is compressed, by a thread of its own, while what came before it is
worked on.

Two buffers take turns: from one the frames are taken, into the other the thread reads. What is left of the one, less
than a frame, is put in front of what stands in the other, where room is kept for it. Reading and unpacking do not hold
the interpreter, so they cost no time where there is a second core.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from inspector.capture.blocks import PADDING, ByteSource, Damaged, Readable

ROOM_BYTES = 1 << 18
"""In front of what is read ahead."""


class ReadAheadSource(ByteSource):
    """As ``ByteSource``."""

    def __init__(self, stream: Readable, report: Callable[[], None] | None = None) -> None:
        """``report``: called by who takes what was read, whenever there is more of it."""
        super().__init__(stream)
        self._report = report
        self._begin = 0
        """Where what is valid begins in the buffer."""
        self._ahead = bytearray(0)
        self._ahead_bytes = 0
        self._is_read = True
        self._thread: threading.Thread | None = None
        self._read_on()

    def view(self) -> tuple[bytearray | memoryview, int]:
        """The buffer and the number of bytes that are valid in it."""
        return memoryview(self._buffer)[self._begin :], self._end

    def advance(self, used: int) -> bool:
        """Drop the first ``used`` bytes and take what was read meanwhile; False where nothing more came."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        assert self._is_read, "the thread broke off"
        if self._report is not None:
            self._report()
        rest = memoryview(self._buffer)[self._begin + used : self._begin + self._end]
        count, more = len(rest), self._ahead_bytes
        if not more:
            self._begin, self._end = self._begin + used, count
            return False
        if count <= ROOM_BYTES:
            self._ahead[ROOM_BYTES - count : ROOM_BYTES] = rest
            self._buffer, self._ahead = self._ahead, self._buffer
            self._begin = ROOM_BYTES - count
        else:  # a frame that is larger than a buffer
            with memoryview(self._ahead)[ROOM_BYTES : ROOM_BYTES + more] as read:
                self._buffer, self._begin = bytearray().join((rest, read, bytes(PADDING))), 0
        self._end = count + more
        self._read_on()
        return True

    def _read_on(self) -> None:
        """Begin to read what comes next."""
        self._ahead_bytes = 0
        if self._ended:
            return
        if len(self._ahead) != ROOM_BYTES + self._room + PADDING:
            self._ahead = bytearray(ROOM_BYTES + self._room + PADDING)
        self._is_read = False
        self._thread = threading.Thread(target=self._read, name="reading ahead", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        """In the thread: fill the other buffer."""
        try:
            with memoryview(self._ahead) as whole:
                while self._ahead_bytes < self._room:
                    at = ROOM_BYTES + self._ahead_bytes
                    with whole[at : ROOM_BYTES + self._room] as free:
                        got = self._stream.readinto(free)
                    if not got:
                        self._ended = True
                        break
                    self._ahead_bytes += got
                    self.total += got
        except (Damaged, OSError, MemoryError) as error:
            self.problem, self._ended = str(error), True
        self._is_read = True
