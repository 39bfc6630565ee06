"""What long messages say that come again and again, by their bytes."""

from __future__ import annotations

from typing import Generic, TypeVar

from inspector import bounds

T = TypeVar("T")


class MessageCache(Generic[T]):
    """By a message's body and how it is read. It is emptied where there are too many, or too many bytes of them."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, int], T] = {}
        self._bytes = 0
        self.get = self._known.get

    def keep(self, body: bytes, version: int, value: T, size: int) -> T:
        """``size``: bytes of the value, about."""
        self._bytes += len(body) + size
        if len(self._known) >= bounds.CACHE or self._bytes > bounds.CACHE_BYTES:
            self.clear()
            self._bytes = len(body) + size
        self._known[body, version] = value
        return value

    def clear(self) -> None:
        """Know none."""
        self._known.clear()
        self._bytes = 0
