"""What messages say that come again and again, by their bytes."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from inspector import bounds

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class MessageCache(Generic[K, T]):
    """By what is unique of a message. It is emptied where there are too many, or too many bytes of them."""

    def __init__(self) -> None:
        self._known: dict[K, T] = {}
        self._bytes = 0
        self.get = self._known.get

    def __reduce__(self) -> tuple[type[MessageCache[K, T]], tuple[()]]:
        """In another process it knows none."""
        return MessageCache, ()

    def keep(self, key: K, value: T, size: int) -> T:
        """``size``: bytes that both take, about."""
        self._bytes += size
        if len(self._known) >= bounds.CACHE or self._bytes > bounds.CACHE_BYTES:
            self.clear()
            self._bytes = size
        self._known[key] = value
        return value

    def clear(self) -> None:
        """Know none."""
        self._known.clear()
        self._bytes = 0
