"""Connections put together by what is asked of them: as numbers, for there may be millions."""

from __future__ import annotations

from array import array
from typing import TypeVar

K = TypeVar("K")


class IndicesByKey(dict[K, "array[int]"]):
    """Of each key, the indices (uint32) of its connections; a key is there from the first that is asked for on."""

    def __missing__(self, key: K) -> array[int]:
        indices = self[key] = array("I")
        return indices
