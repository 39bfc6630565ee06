"""Which of many values goes first where there is no room for all (GreedyDual-Size, Cao and Irani, 1997).

By age alone a dozen values, as large as values may be, would push out thousands of ordinary size. So each is given a
credit when it comes, less by the square of the room that it takes, and the one with the least goes. What goes takes as
much of all that are left: large ones go long before small ones, yet nothing stays for ever. Values of ordinary size are
given the same, and go by age.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

ORDINARY_BYTES = (8 << 10) - 1
"""What takes no more is of ordinary size, as a chain of three certificates is, or one with seventy names: a flood of
the smallest values has no advantage.
"""

SHARED_CREDIT = 1 << 64
"""A credit is this divided by the square of what the value weighs, which is told in powers of two."""


class Entry(NamedTuple):
    """``size``: bytes that the value takes. ``weight``: bytes that it is measured by. ``credit``: with what had gone
    before it came.
    """

    size: int
    weight: int
    credit: int


class GreedyDualQueue:
    """Keys of values."""

    def __init__(self) -> None:
        self._of_weight: dict[int, OrderedDict[bytes, Entry]] = {}
        """By powers of two; the one that came last has the most credit, and stands last."""
        self._gone = 0
        """The credit of the last one that went."""

    def add(self, key: bytes, size: int, weight: int) -> None:
        """A key that is not here."""
        power = max(weight, ORDINARY_BYTES).bit_length()
        entry = Entry(size, weight, self._gone + (SHARED_CREDIT >> 2 * power))
        alike = self._of_weight.get(power)
        if alike is None:
            alike = self._of_weight[power] = OrderedDict()
        alike[key] = entry

    def remove(self, key: bytes) -> Entry:
        """Raises KeyError."""
        for alike in self._of_weight.values():
            entry = alike.pop(key, None)
            if entry is not None:
                return entry
        raise KeyError(key)

    def pop(self) -> tuple[bytes, Entry]:
        """Take out the key that goes next; there must be one. Of those with the same credit the heaviest goes."""
        firsts = [(power, next(iter(alike))) for power, alike in self._of_weight.items() if alike]
        if len(firsts) > 1:
            firsts.sort(key=lambda first: (self._of_weight[first[0]][first[1]].credit, -first[0]))
        power, key = firsts[0]
        entry = self._of_weight[power].pop(key)
        self._gone = entry.credit
        return key, entry
