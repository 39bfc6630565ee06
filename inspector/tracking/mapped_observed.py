"""What was observed, out of core: of each connection a row of numbers in a mapped column. What several have in common,
a number points at; what few have stays in memory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar, overload

from inspector.facts import PackedEndpoint
from inspector.tls.extensions import AnswerShape, HelloShape
from inspector.tracking.columns import ConnectionColumns
from inspector.tracking.observed import NO_PARTICULARS, Observed, Particulars, SharedTraits
from inspector.tracking.shown import ShownByServer

ROW = struct.Struct("=7I")
"""The numbers of traits, offer, answer, client's address, server, leaf, and what the server showed."""

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
        self._traits = SharedValues[SharedTraits]()
        self._offers = SharedValues[HelloShape | None]()
        self._answers = SharedValues[AnswerShape | None]()
        self._addresses = SharedValues[bytes]()
        self._servers = SharedValues[PackedEndpoint]()
        self._leaves = SharedValues[bytes | None]()
        self._shown = SharedValues[ShownByServer]()

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
        number, offer, answer, address, server, leaf, shown = ROW.unpack_from(self._rows, index * ROW.size)
        traits = self._traits.values[number]
        return Observed(
            columns=self._columns,
            traits=traits,
            particulars=self._particulars.get(index, NO_PARTICULARS),
            index=index,
            outcome=traits.outcome,
            kind=traits.kind,
            is_tls13=traits.is_tls13,
            offer=self._offers.values[offer],
            answer=self._answers.values[answer],
            client_address=self._addresses.values[address],
            server=self._servers.values[server],
            leaf=self._leaves.values[leaf],
            shown=self._shown.values[shown],
        )

    def __iter__(self) -> Iterator[Observed]:
        return map(self._made, range(self._count))

    def append(self, observed: Observed) -> None:
        """The next one."""
        numbers = (
            self._traits.number(observed.traits),
            self._offers.number(observed.offer),
            self._answers.number(observed.answer),
            self._addresses.number(observed.client_address),
            self._servers.number(observed.server),
            self._leaves.number(observed.leaf),
            self._shown.number(observed.shown),
        )
        ROW.pack_into(self._rows, self._count * ROW.size, *numbers)
        if observed.particulars is not NO_PARTICULARS:
            self._particulars[self._count] = observed.particulars
        self._count += 1
