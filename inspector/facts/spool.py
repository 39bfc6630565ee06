"""Packed connections out of core: in a file that has no name, behind a few columns that stay in memory.

A connection is about a kilobyte packed. Of some hundred thousand that is little; of an estate's tens of millions it is
more than a machine has, though each is looked at seldom and mostly in order. What is asked of all at once stands in
columns: where each lies, and what its prefix says (``Facts.prefix``), so that connections are sorted and sightings
found without reading them. The file only grows: who replaces a connection writes another behind it, so several
selections of the same connections share one file. The system reads ahead and keeps what is looked at often, and the
file goes with the process, however it ends.
"""

from __future__ import annotations

import errno
import os
from array import array
from collections.abc import Iterable, Iterator, MutableSequence, Sequence
from typing import BinaryIO, overload

from inspector.errors import UnwritableError

WRITTEN_BYTES = 1 << 20
"""So much is gathered before it is written."""

READ_BYTES, READ_CONNECTIONS = 1 << 20, 1024
"""So much is read at once, at most, where connections lie one behind the other."""

FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES))
"""What is said of a directory that has no room for more."""

MOST_WASTE = 4
"""Connections that lie further apart than so many times their size are read one by one."""

TIME_BYTES, PREFIX_BYTES = 8, 16
"""Of a prefix: the time first, the end of the client's random behind it."""


class PackedSpool:
    """The file. One thread adds, of one process: a copy of it may read, and add what nobody else asks for, up to
    WRITTEN_BYTES. Any thread may read what was added. Raises UnwritableError where there is no room for it.
    """

    def __init__(self) -> None:
        try:
            self._file = spool_file()
        except OSError as error:
            raise no_room(error) from None
        self._descriptor = self._file.fileno()
        self._process = os.getpid()
        self._end = (0, bytearray())
        """How much is written, and what is gathered behind it: replaced at once, for other threads read meanwhile."""

    def add(self, packed: bytes) -> int:
        """Keep a connection; says where it lies."""
        written, gathered = self._end
        start = written + len(gathered)
        gathered += packed
        if len(gathered) >= WRITTEN_BYTES:
            self._write()
        return start

    def read(self, start: int, length: int) -> bytes:
        """What was kept there. Raises UnwritableError where the disk no longer has it."""
        written, gathered = self._end
        from_file = min(max(written - start, 0), length)
        data = self._read(start, from_file) if from_file else b""
        if from_file == length:
            return data
        return data + bytes(gathered[start + from_file - written : start + length - written])

    def _read(self, start: int, length: int) -> bytes:
        """Of what is written."""
        data = b""
        while len(data) < length:  # once, unless a signal comes between
            try:
                more = os.pread(self._descriptor, length - len(data), start + len(data))
            except OSError as error:
                raise _gone(error.strerror or str(error)) from None
            if not more:
                raise _gone("the file is shorter than it was")
            data = data + more if data else more
        return data

    def _write(self) -> None:
        if os.getpid() != self._process:
            raise RuntimeError("a copy of the process writes where the process itself does")
        at, gathered = self._end
        left = memoryview(bytes(gathered))
        try:
            while left:
                count = os.pwrite(self._descriptor, left, at)
                left, at = left[count:], at + count
        except OSError as error:
            raise no_room(error) from None
        self._end = (at, bytearray())


def _gone(why: str) -> UnwritableError:
    return UnwritableError(f"what did not fit into memory cannot be read again: {why}")


def spool_file() -> BinaryIO:
    """A file for what does not fit into memory: without a name, unbuffered. Raises OSError."""
    from tempfile import TemporaryFile  # which most analyses do not need

    folder = os.environ.get("TMPDIR") or "/var/tmp"
    return TemporaryFile(dir=folder if os.path.isdir(folder) else None, buffering=0)


def no_room(error: OSError) -> UnwritableError:
    """What the person is told of an error in writing there."""
    hint = "name a directory with more of it by TMPDIR" if error.errno in FULL else ""
    return UnwritableError(f"no room for what does not fit into memory: {error.strerror or error}", hint)


class SpooledConnections(MutableSequence[bytes]):
    """Packed connections in a spool, as a list has them. ``moments``: the times of their ClientHellos, as their
    prefixes have them; ``random_ends``: the last eight bytes of each client random (uint64 in any byte order).
    """

    def __init__(self, connections: Iterable[bytes] = (), spool: PackedSpool | None = None) -> None:
        """``spool``: where they go; one of its own by default."""
        self.spool = spool if spool is not None else PackedSpool()
        self._starts = array("Q")
        self._lengths = array("I")
        self.moments = array("Q")
        self.random_ends = array("Q")
        self.extend(connections)

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> SpooledConnections: ...

    def __getitem__(self, index: int | slice) -> bytes | SpooledConnections:
        if isinstance(index, slice):
            return self.selected(range(*index.indices(len(self))))
        return self.spool.read(self._starts[index], self._lengths[index])

    @overload
    def __setitem__(self, index: int, value: bytes) -> None: ...

    @overload
    def __setitem__(self, index: slice, value: Iterable[bytes]) -> None: ...

    def __setitem__(self, index: int | slice, value: bytes | Iterable[bytes]) -> None:
        new = SpooledConnections((value,) if isinstance(value, bytes) else value, self.spool)
        for mine, theirs in zip(self.columns, new.columns, strict=True):
            if isinstance(index, slice):
                mine[index] = theirs
            else:
                mine[index] = theirs[0]

    def __delitem__(self, index: int | slice) -> None:
        for column in self.columns:
            del column[index]

    def insert(self, index: int, value: bytes) -> None:
        """As a list does."""
        self[index:index] = (value,)

    def append(self, value: bytes) -> None:
        """One more."""
        self._starts.append(self.spool.add(value))
        self._lengths.append(len(value))
        self.moments.append(int.from_bytes(value[:TIME_BYTES], "big"))
        self.random_ends.frombytes(value[TIME_BYTES:PREFIX_BYTES])

    def extend(self, values: Iterable[bytes]) -> None:
        """Some more."""
        if isinstance(values, SpooledConnections) and values.spool is self.spool:
            for mine, theirs in zip(self.columns, values.columns, strict=True):
                mine.extend(theirs)
        else:
            for value in values:
                self.append(value)

    def __iter__(self) -> Iterator[bytes]:
        starts, lengths = self._starts, self._lengths
        at, count = 0, len(self)
        while at < count:
            stop = self._together(at, count)
            begin = starts[at]
            data = self.spool.read(begin, starts[stop - 1] + lengths[stop - 1] - begin)
            for index in range(at, stop):
                start = starts[index] - begin
                yield data[start : start + lengths[index]]
            at = stop

    def _together(self, at: int, count: int) -> int:
        """Up to which one, not included, they are read at once: they lie in order, and not far apart."""
        starts, lengths = self._starts, self._lengths
        begin, end = starts[at], starts[at] + lengths[at]
        together = lengths[at]
        stop = at + 1
        while stop < count and stop - at < READ_CONNECTIONS:
            start, length = starts[stop], lengths[stop]
            together += length
            if start < end or start + length - begin > min(READ_BYTES, MOST_WASTE * together):
                break
            end = start + length
            stop += 1
        return stop

    @property
    def columns(self) -> tuple[array[int], ...]:
        """All that stays in memory of them."""
        return self._starts, self._lengths, self.moments, self.random_ends

    def selected(self, indices: Sequence[int]) -> SpooledConnections:
        """Some of them, in this order; they lie where they are."""
        some = SpooledConnections(spool=self.spool)
        for mine, theirs in zip(some.columns, self.columns, strict=True):
            mine.extend(map(theirs.__getitem__, indices))
        return some


def selected(connections: MutableSequence[bytes], indices: Sequence[int]) -> MutableSequence[bytes]:
    """Some packed connections, in this order, of the same kind of sequence."""
    if isinstance(connections, SpooledConnections):
        return connections.selected(indices)
    return [connections[index] for index in indices]
