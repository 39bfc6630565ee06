"""Where in a direction records begin: the first hello, behind a preamble of any kind, and the next record behind a gap.

A *search* is shown what is held, again and again, and says each time what to do: read what begins at some place, wait
for more bytes (``NEED_DATA``), or ``GIVE_UP``. Two beginnings say themselves how long they are, and are tried first: a
ClientHello in SSLv2 framing, and the header of PROXY protocol v2, whose body may hold anything.
"""

from __future__ import annotations

from typing import NamedTuple

from inspector import bounds
from inspector.tls.preamble import (
    GIVE_UP,
    NEED_DATA,
    PREAMBLE_BYTES,
    Buffer,
    NoHello,
    Sentinel,
    find_hello,
    find_record,
    proxy_v2_length,
    sslv2_hello_length,
)
from inspector.tls.receive_buffer import ReceiveBuffer
from inspector.tls.sink import Sink


class HelloAt(NamedTuple):
    """A hello begins behind so many bytes."""

    offset: int


class Sslv2Hello(NamedTuple):
    """A ClientHello in SSLv2 framing is what begins. ``length``: with its two length bytes."""

    length: int


class PassOver(NamedTuple):
    """No hello begins in the first bytes, and they are not needed any more."""

    size: int


class HelloSearch:
    """Looks for the first hello of a direction, chunk by chunk. ``is_start``: nothing was passed over yet. ``is_last``:
    only what is shown first may be one.
    """

    __slots__ = ("_is_headed", "_skipped", "is_start")

    def __init__(self, *, is_last: bool = False) -> None:
        self.is_start = not is_last
        self._is_headed = True
        self._skipped = bounds.SEARCH_BYTES if is_last else 0

    def look(self, buffer: Buffer, start: int) -> HelloAt | Sslv2Hello | PassOver | Sentinel:
        """What the bytes held say. ``start``: the buffer's place in the stream."""
        if self.is_start:
            length = sslv2_hello_length(buffer)
            if length is NEED_DATA or (length is not None and length > len(buffer)):
                return NEED_DATA
            if length is not None:
                return Sslv2Hello(length)
        if self._is_headed:
            header = proxy_v2_length(buffer)
            if header is NEED_DATA:
                return NEED_DATA
            if header is not None:
                return PassOver(header)
        hello = find_hello(buffer, at_start=self.is_start)
        if hello is NEED_DATA:
            return GIVE_UP if start + len(buffer) > bounds.SEARCH_BYTES else NEED_DATA
        if self.is_start and hello != 0 and len(buffer) < PREAMBLE_BYTES:
            return NEED_DATA
        if not isinstance(hello, NoHello):
            return HelloAt(hello)
        self._is_headed = False
        passed = len(buffer) - hello.kept
        self._skipped += passed
        return GIVE_UP if self._skipped > bounds.SEARCH_BYTES else PassOver(passed)


class RecordSearch:
    """Looks through the bytes of one direction. ``searched_bytes``: so many were looked through for a hello in vain."""

    __slots__ = ("_hello_search", "_lane", "_sink", "_skipped", "searched_bytes")

    def __init__(self, lane: int, sink: Sink) -> None:
        self._lane = lane
        self._sink = sink
        self._hello_search: HelloSearch | None = None
        self._skipped = 0
        """Bytes that were looked through for a record."""
        self.searched_bytes = 0

    def hello(self, received: ReceiveBuffer) -> HelloAt | Sslv2Hello | Sentinel:
        """The first hello; what stands before it is forgotten."""
        search = self._hello_search
        if search is None:
            search = self._hello_search = HelloSearch()
        while received.data:
            step = search.look(received.data, received.start)
            if step is NEED_DATA or isinstance(step, Sslv2Hello):
                return step
            if search.is_start and step != HelloAt(0):
                self._sink.preceded(self._lane, bytes(received.data[:PREAMBLE_BYTES]))
            search.is_start = False
            if not isinstance(step, PassOver):
                if step is GIVE_UP:
                    self.searched_bytes = self.searched_bytes or received.want
                return step
            received.drop(step.size)
            if not step.size:
                break
        return NEED_DATA

    def last_hello(self) -> None:
        """Look for a hello once more, at the beginning of what comes next and nowhere else."""
        self._hello_search = HelloSearch(is_last=True)

    def begin_record(self, *, is_seeking: bool) -> None:
        """Look for the next record from here on. ``is_seeking``: no hello was read; where something else was, not for
        long.
        """
        is_no_tls = is_seeking and self._hello_search is not None and not self._hello_search.is_start
        self._skipped = bounds.RESYNC_BYTES - bounds.SEARCH_BYTES if is_no_tls else 0

    def record(self, received: ReceiveBuffer) -> int | Sentinel:
        """The next record: where it begins in what is held."""
        data = bytes(received.data)
        at = find_record(data)
        if at is not None:
            return at
        self._skipped += len(data)
        if self._skipped > bounds.RESYNC_BYTES:
            self.searched_bytes = self.searched_bytes or received.start
            return GIVE_UP
        received.clear()
        return NEED_DATA
