"""Some of the connections that were observed, by their indices: numbers take little, and there may be millions."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import compress
from typing import TypeVar, overload

from inspector.tracking.columns import ConnectionColumns
from inspector.tracking.indices_by_key import IndicesByKey
from inspector.tracking.observed import Observed
from inspector.tracking.shape import ConnectionShape

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class ObservedSelection(Sequence[Observed]):
    """Some of ``observed``, in this order. ``indices``: which ones; an array and a range are taken as they are."""

    def __init__(self, observed: Sequence[Observed], indices: Iterable[int]) -> None:
        self._observed = observed
        self.indices = indices if isinstance(indices, array | range) else array("I", indices)

    @classmethod
    def of(cls, observed: Sequence[Observed], some: Iterable[Observed]) -> ObservedSelection:
        """``some`` of ``observed``, in the order of ``some``."""
        return cls(observed, array("I", (one.index for one in some)))

    @property
    def columns(self) -> ConnectionColumns:
        """Those of all connections, of which there is one at least."""
        return self._observed[0].columns

    def where(self, holds: Callable[[ConnectionShape], bool]) -> ObservedSelection:
        """Those for whose shapes something holds, which is asked once for each shape."""
        if not self.indices:
            return self
        columns = self.columns
        answers = ShapeAnswers(holds, columns.shapes)
        numbers = map(columns.shape.__getitem__, self.indices)
        return ObservedSelection(self._observed, compress(self.indices, map(answers.__getitem__, numbers)))

    def shapes(self) -> list[ConnectionShape]:
        """Those that they have, each once."""
        if not self.indices:
            return []
        columns = self.columns
        return [columns.shapes[number] for number in dict.fromkeys(map(columns.shape.__getitem__, self.indices))]

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


class ShapeAnswers(dict[int, T]):
    """What a question says of shapes, by their numbers, each once."""

    def __init__(self, question: Callable[[ConnectionShape], T], shapes: Sequence[ConnectionShape]) -> None:
        super().__init__()
        self._question = question
        self._shapes = shapes

    def __missing__(self, number: int) -> T:
        answer = self[number] = self._question(self._shapes[number])
        return answer


def grouped(
    observed: Sequence[Observed], some: Iterable[Observed], key: Callable[[Observed], K]
) -> dict[K, ObservedSelection]:
    """``some`` of ``observed`` by what ``key`` says of each, in the order in which each key first comes."""
    groups = IndicesByKey[K]()
    for one in some:
        groups[key(one)].append(one.index)
    return {of_group: ObservedSelection(observed, group) for of_group, group in groups.items()}
