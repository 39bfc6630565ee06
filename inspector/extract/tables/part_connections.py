"""The connections of many parts, read by this process and copies of it (``ForkedPool``): parts are independent of each
other, and a copy knows all else of each.

What a copy has read it hands over as it is kept, one packed connection behind the other; behind them stands how long
each is. It lies in memory, or in a file of the disk where all connections do not fit there, and only of a few parts at
a time.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, MutableSequence, Sequence
from functools import partial
from typing import BinaryIO, NamedTuple, TypeVar

import msgspec

from inspector import bounds
from inspector.capture.files import Progress
from inspector.extract.journal.database import DamagedError
from inspector.extract.tables.parquet import pyarrow
from inspector.extract.tables.part import PartTables
from inspector.facts import Facts
from inspector.facts.spool import PackedSpool, SpooledConnections, no_room, selected, spool_file
from inspector.system.anonymous_files import anonymous_file
from inspector.system.forked_copy import worthwhile_copies
from inspector.system.forked_pool import ForkedPool, TaskResult

SHARED_FROM = 20_000
"""So many connections are read by several cores: fewer are not worth a process."""

PARTS_EACH = 2
"""So many parts for each process are kept at most before they are taken over."""

MOST_LETTERS = 300
"""Of what is wrong with a part."""

TAIL_BYTES = 8
TAKEN_BYTES = 1 << 20
"""So much is taken over at once."""

Input = TypeVar("Input")
Read = TypeVar("Read")


class UnreadPart(NamedTuple):
    """A part that cannot be read, and ``why``. ``has_no_file``: it is not there."""

    why: str
    has_no_file: bool


def attempt(read: Callable[[Input], Read], part: Input) -> Read | UnreadPart:
    """What is read, or why it cannot be."""
    try:
        return read(part)
    except (OSError, ValueError, TypeError, MemoryError, DamagedError, pyarrow().ArrowException) as error:
        why = (str(error) or type(error).__name__)[:MOST_LETTERS]
        return UnreadPart(why.encode(errors="backslashreplace").decode(), isinstance(error, FileNotFoundError))


class PartConnections(NamedTuple):
    """Of a part those that are not read yet, and all else. ``numbers``: what they are to call its captures."""

    tables: PartTables
    facts: Facts
    numbers: Sequence[int]

    def read(self, keep: Callable[[Sequence[bytes]], object]) -> Sequence[int]:
        """As ``PartTables.connections``."""
        return self.tables.connections(self.facts, self.numbers, keep)


class ReadTail(msgspec.Struct, array_like=True):
    """What stands behind the connections of a part. ``order``: in which they belong, by index (int64); ``lengths``: in
    bytes (uint32). ``unread``: why there are none, or not all.
    """

    order: bytes
    lengths: bytes
    unread: UnreadPart | None


def read_connections(
    parts: Sequence[PartConnections], rows: int, processes: int | None, progress: Progress | None = None
) -> Iterator[MutableSequence[bytes] | UnreadPart]:
    """The connections of each part. ``rows``: how many all of them have. ``progress`` is told how many more bytes of
    tables were read, and may raise to stop. Raises UnwritableError.
    """
    if processes is None:
        processes = 1 + worthwhile_copies() if rows >= SHARED_FROM else 1
    is_spooled = rows > bounds.CORE_CONNECTIONS
    spool = PackedSpool() if is_spooled else None

    def some() -> MutableSequence[bytes]:
        return [] if spool is None else SpooledConnections(spool=spool)

    if processes == 1 or len(parts) == 1:
        for part in parts:
            yield attempt(partial(_read_into, some(), progress), part)
        return
    new_file = spool_file if is_spooled else anonymous_file
    tasks = [partial(_hand_over, part) for part in parts]
    try:
        with ForkedPool(tasks, processes - 1, PARTS_EACH * processes, new_file) as pool:
            for part, result in zip(parts, pool.results(), strict=True):
                yield _taken_over(result, some())
                if progress is not None:
                    progress(part.tables.connection_bytes)
    except OSError as error:  # what is wrong with a part is no error
        raise no_room(error) from None


def _read_into(
    connections: MutableSequence[bytes], progress: Progress | None, part: PartConnections
) -> MutableSequence[bytes]:
    if progress is None:
        return selected(connections, part.read(connections.extend))
    size, rows = part.tables.connection_bytes, max(part.tables.connection_rows, 1)

    def keep(some: Sequence[bytes]) -> None:
        connections.extend(some)
        progress(size * len(some) // rows)

    return selected(connections, part.read(keep))


def _hand_over(part: PartConnections, out: BinaryIO) -> None:
    """A task: see ``_taken_over``. Raises UnwritableError."""
    lengths = array("I")

    def keep(some: Sequence[bytes]) -> None:
        lengths.extend(map(len, some))
        try:
            out.writelines(some)
        except OSError as error:
            raise no_room(error) from None

    order = attempt(part.read, keep)
    unread = order if isinstance(order, UnreadPart) else None
    indices = array("q", [] if isinstance(order, UnreadPart) else order)
    tail = msgspec.msgpack.encode(ReadTail(indices.tobytes(), lengths.tobytes(), unread))
    out.write(tail)
    out.write(len(tail).to_bytes(TAIL_BYTES, "little"))


def _taken_over(result: TaskResult, connections: MutableSequence[bytes]) -> MutableSequence[bytes] | UnreadPart:
    """What ``_hand_over`` wrote. ``connections``: where they go."""
    end = result.length - TAIL_BYTES
    size = int.from_bytes(result.read(end, TAIL_BYTES), "little")
    tail = msgspec.msgpack.decode(result.read(end - size, size), type=ReadTail)
    if tail.unread is not None:
        return tail.unread
    lengths, order = array("I", tail.lengths), array("q", tail.order)
    start = first = 0
    while first < len(lengths):
        stop, length = first, 0
        while stop < len(lengths) and (length < TAKEN_BYTES or stop == first):
            length += lengths[stop]
            stop += 1
        data, at = result.read(start, length), 0
        for index in range(first, stop):
            connections.append(data[at : at + lengths[index]])
            at += lengths[index]
        start, first = start + length, stop
    return selected(connections, order)
