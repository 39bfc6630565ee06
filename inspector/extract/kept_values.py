"""Long values that connections share, certificates and lists of authorities, by their SHA-256: as many as there is room
for. Of others the digest alone is known.

Whoever floods a capture with values of their own, each shown once, must not push out those of a pool, which come again
and again. So this is a cache of two parts (segmented LRU): what is new stands *on trial* and goes first, the one that
was not met for the longest time before all others; what is met again moves to the *proven* ones, which have half of the
room, and of which the oldest are on trial again where there are too many.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable

from inspector import bounds

STORED_BYTES = 400
"""What a value takes beside its bytes: two objects, and places in tables."""

PROVEN_SHARE = 2
"""All room divided by this is for those that were met again."""

RECALLED_SHARE = 8
"""All bytes divided by this may be recalled at once."""


def stored_memory(value: bytes) -> int:
    """Bytes that a value takes where it is kept."""
    return STORED_BYTES + len(value)


class KeptValues:
    """``values``: those that are kept; changed by nobody else. ``bytes``: what they take."""

    def __init__(self, values: dict[bytes, bytes], most: int, most_bytes: int, memory: Callable[[bytes], int]) -> None:
        """``most``: how many they may be; ``most_bytes``: what they may take; ``memory``: what one takes."""
        self.values = values
        self.bytes = 0
        self._most = most
        self._most_bytes = most_bytes
        self._memory = memory
        self._on_trial: OrderedDict[bytes, int] = OrderedDict()
        """What each takes. The one that was met last stands last, here and among the proven ones."""
        self._proven: OrderedDict[bytes, int] = OrderedDict()
        self._proven_bytes = 0
        self._missed: set[bytes] = set()
        for digest, value in values.items():
            self._enter(digest, value)

    @property
    def missed(self) -> int:
        """How many there was no room for, or none any more; counted as far as ``bounds.CACHE``."""
        return len(self._missed)

    def keep(self, digest: bytes, value: bytes) -> None:
        """Keep one that was met."""
        if digest in self.values:
            self.meet(digest)
            return
        self.values[digest] = value
        self._enter(digest, value)
        while self.bytes > self._most_bytes or len(self.values) > self._most:
            gone = next(iter(self._on_trial or self._proven))
            self._remove(gone)
            self._miss(gone)

    def meet(self, digest: bytes) -> None:
        """One that may be kept was met again."""
        size = self._on_trial.pop(digest, None)
        if size is not None:
            self._proven[digest] = size
            self._proven_bytes += size
            while (
                self._proven_bytes > self._most_bytes // PROVEN_SHARE or len(self._proven) > self._most // PROVEN_SHARE
            ):
                oldest, size = self._proven.popitem(last=False)
                self._on_trial[oldest] = size
                self._proven_bytes -= size
        elif digest in self._proven:
            self._proven.move_to_end(digest)

    def find(self, digests: Iterable[bytes], remembered: Callable[[bytes], bytes | None] | None) -> dict[bytes, bytes]:
        """What digests stand for; what is not known is recalled, where something remembers longer, and known then."""
        found: dict[bytes, bytes] = {}
        room = self._most_bytes // RECALLED_SHARE
        for digest in dict.fromkeys(digests):
            value = self.values.get(digest)
            if value is None and remembered is not None:
                if room <= 0:
                    self._miss(digest)
                    continue
                value = remembered(digest)
                if value is not None:
                    room -= self._memory(value)
                    self.keep(digest, value)
            if value is not None:
                found[digest] = value
        return found

    def retain(self, used: Collection[bytes]) -> list[bytes]:
        """Forget all others; their digests."""
        gone = [digest for digest in self.values if digest not in used]
        for digest in gone:
            self._remove(digest)
        return gone

    def _miss(self, digest: bytes) -> None:
        if len(self._missed) < bounds.CACHE:
            self._missed.add(digest)

    def _enter(self, digest: bytes, value: bytes) -> None:
        size = self._on_trial[digest] = self._memory(value)
        self.bytes += size

    def _remove(self, digest: bytes) -> None:
        del self.values[digest]
        size = self._on_trial.pop(digest, None)
        if size is None:
            size = self._proven.pop(digest)
            self._proven_bytes -= size
        self.bytes -= size
