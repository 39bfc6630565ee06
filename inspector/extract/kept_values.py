"""What connections share, by its key: certificates, lists of authorities, shapes of hellos; as many as there is room
for.

Whoever floods a capture with values of their own, each shown once, must not push out those of a pool, which come again
and again, nor those that are of ordinary size and came once. So this is a cache of two parts (segmented LRU): what is
new stands *on trial* and goes first, by age, and large values long before others (``greedy_dual``); what is met again
moves to the *proven* ones, which have half of the room, and of which the oldest are on trial again where there are too
many.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from inspector import bounds
from inspector.extract.greedy_dual import Entry, GreedyDualQueue

T = TypeVar("T")

STORED_BYTES = 500
"""What a value takes beside its bytes: its key, a few objects, and places in tables."""

PROVEN_SHARE = 2
"""All room divided by this is for those that were met again."""

RECALLED_SHARE = 8
"""All bytes divided by this may be recalled for one judgement, and those of what is asked for together."""

RECALLED_AT_ONCE = 10
"""Values that are asked for together."""


def stored_memory(value: bytes) -> int:
    """Bytes that a value takes where it is kept."""
    return STORED_BYTES + len(value)


class KeptValues(dict[bytes, T]):
    """By key. To set a value is to meet it. ``bytes``: what all take."""

    def __init__(self, most: int, most_bytes: int, memory: Callable[[T], int]) -> None:
        """``most``: how many they may be; ``most_bytes``: what they may take; ``memory``: what one takes."""
        super().__init__()
        self.bytes = 0
        self._most = most
        self._most_bytes = most_bytes
        self._memory = memory
        self._on_trial = GreedyDualQueue()
        self._proven: OrderedDict[bytes, Entry] = OrderedDict()
        """The one that was met last stands last."""
        self._proven_bytes = 0
        self._missed: set[bytes] = set()

    @property
    def missed(self) -> int:
        """How many there was no room for, or none any more; counted as far as ``bounds.CACHE``."""
        return len(self._missed)

    def __setitem__(self, key: bytes, value: T) -> None:
        self.meet(key, value)

    def meet(self, key: bytes, value: T, whole: int = 0) -> None:
        """``whole``: bytes of all that came together, of which the value is one. Where they are more than it takes
        itself, it goes as if it took as much: many small ones at once are not more worth than a large one.
        """
        if key in self._proven:
            self._proven.move_to_end(key)
            return
        if key in self:
            self._prove(key)
            return
        super().__setitem__(key, value)
        size = self._memory(value)
        self._on_trial.add(key, size, max(size, whole))
        self.bytes += size
        while self.bytes > self._most_bytes or len(self) > self._most:
            gone, entry = self._on_trial.pop()  # there is one: the proven ones have half of either
            super().__delitem__(gone)
            self.bytes -= entry.size
            self._miss(gone)

    def __reduce__(self) -> tuple[type[dict[bytes, T]], tuple[dict[bytes, T]]]:
        """In another process it is a dictionary as any other."""
        return dict, (dict(self),)

    def __delitem__(self, key: bytes) -> None:
        super().__delitem__(key)
        entry = self._proven.pop(key, None)
        if entry is not None:
            self._proven_bytes -= entry.size
        else:
            entry = self._on_trial.remove(key)
        self.bytes -= entry.size

    def find(
        self, keys: Iterable[bytes], remembered: Callable[[Sequence[bytes]], Mapping[bytes, T]] | None
    ) -> dict[bytes, T]:
        """What keys stand for; what is not known is recalled, where something remembers longer. It is known then where
        there is room: what is only asked for pushes out nothing that was met.
        """
        values: dict[bytes, T] = {}
        unknown: dict[bytes, None] = {}
        for key in keys:  # one by one: they may be as many as all connections have together
            value = self.get(key)
            if value is not None:
                values[key] = value
            elif len(unknown) < bounds.CACHE:
                unknown[key] = None
        missing = list(unknown) if remembered is not None else []
        room = self._most_bytes // RECALLED_SHARE
        for at in range(0, len(missing), RECALLED_AT_ONCE):
            some = missing[at : at + RECALLED_AT_ONCE]
            if remembered is None or room <= 0:
                for key in some:
                    self._miss(key)
                continue
            for key, value in remembered(some).items():
                values[key] = value
                size = self._memory(value)
                room -= size
                if self.bytes + size <= self._most_bytes and len(self) < self._most:
                    self[key] = value
        return values

    def retain(self, used: Iterable[bytes]) -> Collection[bytes]:
        """Forget all others; their keys."""
        gone = set(self)
        gone.difference_update(used)  # one by one, as above
        for key in gone:
            del self[key]
        return gone

    def forget_missed(self) -> None:
        """Count anew those that there was no room for."""
        self._missed.clear()

    def _prove(self, key: bytes) -> None:
        entry = self._proven[key] = self._on_trial.remove(key)
        self._proven_bytes += entry.size
        while self._proven_bytes > self._most_bytes // PROVEN_SHARE or len(self._proven) > self._most // PROVEN_SHARE:
            oldest, entry = self._proven.popitem(last=False)
            self._on_trial.add(oldest, entry.size, entry.weight)
            self._proven_bytes -= entry.size

    def _miss(self, key: bytes) -> None:
        if len(self._missed) < bounds.CACHE:
            self._missed.add(key)
