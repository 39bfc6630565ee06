"""Some of the connections that were observed, by their indices: numbers take little, and there may be millions."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from inspector.tracking.observed import Observed


class ObservedSelection(Sequence[Observed]):
    """Some of ``observed``, in this order. ``indices``: which ones, uint32."""

    def __init__(self, observed: Sequence[Observed], indices: Iterable[int]) -> None:
        self._observed = observed
        self.indices = indices if isinstance(indices, array) else array("I", indices)

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, index: int) -> Observed: ...

    @overload
    def __getitem__(self, index: slice) -> ObservedSelection: ...

    def __getitem__(self, index: int | slice) -> Observed | ObservedSelection:
        if isinstance(index, slice):
            return ObservedSelection(self._observed, self.indices[index])
        return self._observed[self.indices[index]]

    def __iter__(self) -> Iterator[Observed]:
        return map(self._observed.__getitem__, self.indices)
