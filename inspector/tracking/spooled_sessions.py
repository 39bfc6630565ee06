"""The sessions of a ledger out of core. A session is asked for again within hours, if ever: those that were issued or
offered last are in memory, the others in a file without a name, and what they are known by in a database without one.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import overload

import msgspec

from inspector import bounds
from inspector.facts.spool import ConnectionSpool, no_room
from inspector.tracking.ledger_session import LedgerSession

CACHE_KIB = 32 << 10
"""Of the database that are in memory."""


class SpooledSessions(Sequence[LedgerSession]):
    """By number. What is got is kept as it is then changed, until the next ``put_away``; behind ``close`` nothing that
    is changed is kept. Raises UnwritableError where there is no room.
    """

    def __init__(self) -> None:
        self._spool = ConnectionSpool()
        self._starts = array("Q")
        self._lengths = array("I")
        self._live: dict[int, LedgerSession] = {}
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> LedgerSession: ...

    @overload
    def __getitem__(self, index: slice) -> list[LedgerSession]: ...

    def __getitem__(self, index: int | slice) -> LedgerSession | list[LedgerSession]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        live = self._live.get(index)
        if live is not None:
            return live
        packed = self._spool.read(self._starts[index], self._lengths[index])
        session = LedgerSession(**dict(zip(LedgerSession.__struct_fields__, _decode(packed), strict=True)))
        if not self._is_closed:
            self._live[index] = session
        return session

    def __iter__(self) -> Iterator[LedgerSession]:
        return map(self.__getitem__, range(len(self)))

    def append(self, session: LedgerSession) -> None:
        """One more."""
        self._live[len(self._starts)] = session
        self._starts.append(0)
        self._lengths.append(0)

    def put_away(self) -> None:
        """Those that have been in memory longest, where there are many: no one is at hand."""
        if len(self._live) > bounds.LIVE_SESSIONS:
            self._write(len(self._live) // 2)

    def close(self) -> None:
        """All of them, for good."""
        self._write(len(self._live))
        self._is_closed = True

    def _write(self, count: int) -> None:
        for number in list(islice(self._live, count)):
            packed = _encode(msgspec.structs.astuple(self._live.pop(number)))
            self._starts[number] = self._spool.add(packed)
            self._lengths[number] = len(packed)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class SpooledNumbers:
    """The numbers of sessions by key, as a dictionary has them. Raises UnwritableError where there is no room."""

    def __init__(self) -> None:
        # nobody else opens what has no name: there is nothing to lock, and nothing to restore
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{CACHE_KIB}"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute("CREATE TABLE numbers (key BLOB PRIMARY KEY, number INTEGER) WITHOUT ROWID")

    def get(self, key: bytes) -> int | None:
        """None where it is not known."""
        row = self._run("SELECT number FROM numbers WHERE key = ?", key).fetchone()
        return row[0] if row is not None else None

    def __contains__(self, key: bytes | None) -> bool:
        return key is not None and self.get(key) is not None

    def __setitem__(self, key: bytes, number: int) -> None:
        self._run("INSERT OR REPLACE INTO numbers VALUES (?, ?)", key, number)

    def setdefault(self, key: bytes, number: int) -> int:
        """The number that is known; this one, from now on, where none is."""
        if self._run("INSERT OR IGNORE INTO numbers VALUES (?, ?)", key, number).rowcount:
            return number
        return self.get(key) or 0

    def _run(self, statement: str, *values: bytes | int) -> sqlite3.Cursor:
        try:
            return self._database.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise no_room(OSError(str(error))) from None
