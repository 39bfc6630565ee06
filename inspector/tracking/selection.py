"""Some of the connections that were observed, by their indices: numbers take little, and there may be millions."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
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


def grouped(
    observed: Sequence[Observed], some: Iterable[Observed], key: Callable[[Observed], K]
) -> dict[K, ObservedSelection]:
    """``some`` of ``observed`` by what ``key`` says of each, in the order in which each key first comes."""
    groups: dict[K, array[int]] = {}
    for one in some:
        of_one = key(one)
        group = groups.get(of_one)
        if group is None:
            groups[of_one] = array("I", (one.index,))
        else:
            group.append(one.index)
    return {of_group: ObservedSelection(observed, group) for of_group, group in groups.items()}
