"""A dictionary of integers by key, out of core: a hash table with open addressing (linear probing), in mapped columns.

Of a key, sixteen bytes of its keyed hash are kept (RFC 7693), by which it is as good as known: among a hundred million
keys two are alike with a probability of 10⁻²³. The hash's own key is drawn anew each time, so that nobody on the wire
chooses where keys lie.
"""

from __future__ import annotations

import os
import struct
from hashlib import blake2b

from inspector.facts.mapped import column

FIRST_SLOTS = 1 << 12
"""So many in the beginning; a power of two."""

HALVES = struct.Struct("=qq")
AT_ONCE = 1 << 16
"""Slots that are moved together to a larger table."""


class MappedNumbers:
    """As a dictionary has them, of integers from 0 to 2³¹ - 2. Raises UnwritableError where there is no room."""

    def __init__(self) -> None:
        self._secret = os.urandom(16)
        self._count = 0
        self._make(FIRST_SLOTS)

    def get(self, key: bytes) -> int | None:
        """None where it is not known."""
        number = self._numbers[self._slot(*self._hashed(key))]
        return number - 1 if number else None

    def __contains__(self, key: bytes | None) -> bool:
        return key is not None and self.get(key) is not None

    def __setitem__(self, key: bytes, number: int) -> None:
        low, high = self._hashed(key)
        self._put(self._slot(low, high), low, high, number)

    def setdefault(self, key: bytes, number: int) -> int:
        """The number that is known; this one, from now on, where none is."""
        low, high = self._hashed(key)
        slot = self._slot(low, high)
        known: int = self._numbers[slot]
        if known:
            return known - 1
        self._put(slot, low, high, number)
        return number

    def _make(self, slots: int) -> None:
        self._mask = slots - 1
        self._lows = column("q", slots, is_mapped=True)
        self._highs = column("q", slots, is_mapped=True)
        self._numbers = column("i", slots, is_mapped=True)
        """One more than the number; 0 where a slot is free."""

    def _hashed(self, key: bytes) -> tuple[int, int]:
        return HALVES.unpack(blake2b(key, digest_size=HALVES.size, key=self._secret).digest())

    def _slot(self, low: int, high: int) -> int:
        """Where it lies, or the free slot where it would."""
        numbers, lows, highs, mask = self._numbers, self._lows, self._highs, self._mask
        slot = low & mask
        while numbers[slot] and (lows[slot] != low or highs[slot] != high):
            slot = slot + 1 & mask
        return slot

    def _put(self, slot: int, low: int, high: int, number: int) -> None:
        if not self._numbers[slot]:
            self._lows[slot], self._highs[slot] = low, high
            self._count += 1
        self._numbers[slot] = number + 1
        if 3 * self._count > 2 * self._mask:
            self._double()

    def _double(self) -> None:
        """Move all to a table of twice as many slots."""
        columns = self._numbers, self._lows, self._highs
        slots = self._mask + 1
        self._make(2 * slots)
        for start in range(0, slots, AT_ONCE):
            for number, low, high in zip(*(each[start : start + AT_ONCE].tolist() for each in columns), strict=True):
                if number:
                    slot = self._slot(low, high)
                    self._numbers[slot], self._lows[slot], self._highs[slot] = number, low, high
