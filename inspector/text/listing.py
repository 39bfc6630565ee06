"""Lists within a sentence. Strangers decide how long they are, so that a sentence names some of them and counts the
rest.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice

MOST = 20
"""Members of a list that a sentence names."""


def listed(words: Collection[str], most: int = MOST, separator: str = ", ") -> str:
    """``A, B, C``; of more than ``most`` the first ones: ``A, B and 3 more``."""
    return separator.join(islice(words, most)) + more_than(len(words), most)


def more_than(count: int, most: int = MOST) -> str:
    """What follows the first ``most`` of so many: `` and 3 more``, or nothing."""
    return f" and {count - most:,} more" if count > most else ""
