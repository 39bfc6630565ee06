"""What digests stand for, from memory or from what remembers longer: recalled as far as there is room for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from inspector import bounds


class Recall:
    """Values of one kind by their SHA-256. ``memory``: what one takes, in bytes; ``most``: what all that are known may
    take before no more are recalled.
    """

    def __init__(self, memory: Callable[[bytes], int], most: int) -> None:
        self._memory = memory
        self._most = most
        self._missed: set[bytes] = set()

    @property
    def missed(self) -> int:
        """How many were not recalled, for there was no room."""
        return len(self._missed)

    def find(
        self, digests: Iterable[bytes], known: dict[bytes, bytes], remembered: Callable[[bytes], bytes | None] | None
    ) -> dict[bytes, bytes]:
        """What digests stand for; what is not ``known`` is looked up, and known then."""
        values: dict[bytes, bytes] = {}
        room: int | None = None
        for digest in dict.fromkeys(digests):
            value = known.get(digest)
            if value is None and remembered is not None:
                value = remembered(digest)
                if value is not None:
                    if room is None:
                        room = self._most - sum(map(self._memory, known.values()))
                    room -= self._memory(value)
                    if room < 0:
                        if len(self._missed) < bounds.CACHE:
                            self._missed.add(digest)
                        continue
                    known[digest] = value
            if value is not None:
                values[digest] = value
        return values
