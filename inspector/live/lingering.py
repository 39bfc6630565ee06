"""Connections that were completed within one batch of frames, until nothing of them can come any more.

They are in the window and in the journal from the moment at which they were read, so that sessions lead to them; they
are told when they are over. Where a late segment comes, the connection is put anew when it ends, and is none of these
any more.
"""

from __future__ import annotations

from typing import NamedTuple


class LingeringConnection(NamedTuple):
    """``is_new``: nothing was told of it yet."""

    name: str
    is_new: bool


class LingeringConnections:
    """By their packed facts, and by id."""

    def __init__(self) -> None:
        self._connections: dict[bytes, LingeringConnection] = {}
        self._packed: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._packed)

    def add(self, name: str, packed: bytes, *, is_new: bool) -> None:
        """One more. An earlier one of the same id is none of these any more: ids are short, and packets are played
        again.
        """
        earlier = self.drop(name)
        self._connections[packed] = LingeringConnection(name, is_new or (earlier is not None and earlier.is_new))
        self._packed[name] = packed

    def over(self, packed: bytes) -> LingeringConnection | None:
        """Nothing of it can come any more; None where it is none of these."""
        connection = self._connections.pop(packed, None)
        if connection is not None:
            del self._packed[connection.name]
        return connection

    def drop(self, name: str) -> LingeringConnection | None:
        """A late segment came of it; None where it is none of these."""
        packed = self._packed.pop(name, None)
        return self._connections.pop(packed) if packed is not None else None
