"""What is written of many rows, by several cores where that is worth it: memory does not grow with how many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import BinaryIO, TypeVar

from inspector.system.forked_copy import worthwhile_copies
from inspector.system.forked_pool import ForkedPool, Task

T = TypeVar("T")

CHUNK = 512
"""Rows that are written at once."""

SHARED_FROM = 4_000
"""So many rows are written by several cores: fewer are not worth a process."""


def processes_for(rows: int) -> int:
    """How many processes are worth it for so many rows, this one included."""
    return 1 + worthwhile_copies() if rows >= SHARED_FROM else 1


class PooledRows:
    """What tasks write of many rows. Other cores begin with them where that is worth it, while this one does something
    else; they are let go at the end of the context.
    """

    def __init__(self, tasks: Iterable[Task], rows: int, processes: int | None = None) -> None:
        """``rows``: how many there are in all. ``processes``: how many write, this one included; as many as are worth
        it by default.
        """
        self._pool = ForkedPool(list(tasks), (processes_for(rows) if processes is None else processes) - 1)

    def __enter__(self) -> PooledRows:
        return self

    def __exit__(self, *raised: object) -> None:
        self._pool.close()

    def write_to(self, out: BinaryIO) -> None:
        """All of them, in order."""
        for result in self._pool.results():
            result.append_to(out)


def pooled_lines(rows: Sequence[T], lines: Callable[[T], bytes], processes: int | None = None) -> PooledRows:
    """Rows as lines. ``lines``: of a row. ``processes``: as in ``PooledRows``."""

    def chunk(start: int, out: BinaryIO) -> None:
        out.write(b"".join([lines(row) for row in rows[start : start + CHUNK]]))

    return PooledRows((partial(chunk, start) for start in range(0, len(rows), CHUNK)), len(rows), processes)
