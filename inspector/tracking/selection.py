"""Some of the connections that were observed, by their indices: numbers take little, and there may be millions."""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TypeVar, overload

from inspector.tracking.observed import Observed

K = TypeVar("K", bound=Hashable)


class ObservedSelection(Sequence[Observed]):
    """Some of ``observed``, in this order. ``indices``: which ones, uint32."""

    def __init__(self, observed: Sequence[Observed], indices: Iterable[int]) -> None:
        self._observed = observed
        self.indices = array("I", indices)

    @classmethod
    def of(cls, observed: Sequence[Observed], some: Iterable[Observed]) -> ObservedSelection:
        """``some`` of ``observed``, in the order of ``some``."""
        return cls(observed, array("I", (one.index for one in some)))

    def append(self, one: Observed) -> None:
        """One more of them."""
        self.indices.append(one.index)

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


def grouped(observed: Sequence[Observed], keyed: Iterable[tuple[K, Observed]]) -> dict[K, ObservedSelection]:
    """Some of ``observed`` by their keys, in the order in which each key first comes."""
    groups: dict[K, ObservedSelection] = {}
    for key, one in keyed:
        group = groups.get(key)
        if group is None:
            group = groups[key] = ObservedSelection(observed, ())
        group.indices.append(one.index)
    return groups
