"""The sessions of a ledger, in memory or out of core. A session is asked for again within hours, if ever: those that
were issued or asked for last are in memory, the others in a file without a name. That file only grows: whoever is
offered again after so many others is written once more, with all its offers.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import overload

import msgspec

from inspector import bounds
from inspector.facts.spool import PackedSpool
from inspector.tracking.ledger_session import LedgerSession


class LiveSessions(list[LedgerSession]):
    """By number, all in memory."""

    def put_away(self) -> None:
        """They stay."""

    def close(self) -> None:
        """They stay."""


class SpooledSessions(Sequence[LedgerSession]):
    """By number. What is got is kept as it is then changed, until the next ``put_away``; behind ``close`` nothing that
    is changed is kept. Raises UnwritableError where there is no room.
    """

    def __init__(self) -> None:
        self._spool = PackedSpool()
        self._starts = array("Q")
        self._lengths = array("I")
        self._live: dict[int, LedgerSession] = {}
        """By number, whoever was asked for last behind the others."""
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
        if index < 0:
            index += len(self)
        live = self._live.pop(index, None)
        if live is not None:
            self._live[index] = live
            return live
        packed = self._spool.read(self._starts[index], self._lengths[index])
        session = LedgerSession(*_decode(packed))  # in the order of ``astuple``; by name it takes nine times as long
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
        """Those that nobody has asked for longest, where there are many: nobody has one at hand."""
        if len(self._live) > bounds.LIVE_SESSIONS:
            self._write(len(self._live) // 2)

    def close(self) -> None:
        """All of them, for good."""
        self._write(len(self._live))
        self._live = {}  # one from which all was taken is as large as before
        self._is_closed = True

    def _write(self, count: int) -> None:
        for number in list(islice(self._live, count)):
            packed = _encode(msgspec.structs.astuple(self._live.pop(number)))
            self._starts[number] = self._spool.add(packed)
            self._lengths[number] = len(packed)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode
