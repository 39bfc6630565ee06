"""What was observed, out of core: of each connection its columns and a row of numbers that point at what others have
too. What few have stays in memory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar, overload

from inspector.facts import PackedEndpoint
from inspector.tracking.columns import ConnectionColumns
from inspector.tracking.observed import NO_PARTICULARS, Observed, Particulars

ROW = struct.Struct("=2I")
"""The numbers of the client's address and the server."""

T = TypeVar("T")


class SharedValues(Generic[T]):
    """What connections have in common, each once, by a number; a value is told from others by its identity."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self.values: list[T] = []

    def number(self, value: T) -> int:
        """Of a value, which is kept."""
        number = self._numbers.setdefault(id(value), len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number


class MappedObserved(Sequence[Observed]):
    """By index: each is made anew when it is asked for. Raises UnwritableError where there is no room for them."""

    def __init__(self, columns: ConnectionColumns) -> None:
        self._columns = columns
        self._rows = columns.column("B", ROW.size)
        self._count = 0
        self._particulars: dict[int, Particulars] = {}
        self._addresses = SharedValues[bytes]()
        self._servers = SharedValues[PackedEndpoint]()

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Observed: ...

    @overload
    def __getitem__(self, index: slice) -> list[Observed]: ...

    def __getitem__(self, index: int | slice) -> Observed | list[Observed]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(self._count))]
        if index < 0:
            index += self._count
        if not 0 <= index < self._count:
            raise IndexError(index)
        return self._made(index)

    def _made(self, index: int) -> Observed:
        address, server = ROW.unpack_from(self._rows, index * ROW.size)
        columns = self._columns
        shape = columns.shapes[columns.shape[index]]
        traits = shape.traits
        return Observed(
            columns=columns,
            shape=shape,
            traits=traits,
            particulars=self._particulars.get(index, NO_PARTICULARS),
            index=index,
            outcome=traits.outcome,
            kind=traits.kind,
            is_tls13=traits.is_tls13,
            offer=shape.offer,
            answer=shape.answer,
            client_address=self._addresses.values[address],
            server=self._servers.values[server],
            leaf=shape.leaf,
        )

    def __iter__(self) -> Iterator[Observed]:
        return map(self._made, range(self._count))

    def append(self, observed: Observed) -> None:
        """The next one."""
        numbers = self._addresses.number(observed.client_address), self._servers.number(observed.server)
        ROW.pack_into(self._rows, self._count * ROW.size, *numbers)
        if observed.particulars is not NO_PARTICULARS:
            self._particulars[self._count] = observed.particulars
        self._count += 1
