"""What was observed, out of core: an ``Observed`` is made of its columns and its shape each time that it is asked for.
What few have stays in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

from inspector.tracking.columns import ConnectionColumns
from inspector.tracking.observed import NO_PARTICULARS, Observed, Particulars, observed_at


class MappedObserved(Sequence[Observed]):
    """By index: each is made anew when it is asked for. Raises UnwritableError where there is no room for them."""

    def __init__(self, columns: ConnectionColumns) -> None:
        self._columns = columns
        self._count = 0
        self._particulars: dict[int, Particulars] = {}

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
        return observed_at(self._columns, index, self._particulars.get(index, NO_PARTICULARS))

    def __iter__(self) -> Iterator[Observed]:
        return map(self._made, range(self._count))

    def append(self, observed: Observed) -> None:
        """The next one."""
        if observed.particulars is not NO_PARTICULARS:
            self._particulars[self._count] = observed.particulars
        self._count += 1
