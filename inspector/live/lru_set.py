"""A dictionary that remembers its latest entries only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class LruSet(Generic[T]):
    """Up to ``most`` names with what is known of each; the ones that were entered first go first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[str, T] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def is_other(self, name: str, state: T) -> bool:
        """Whether this was not known, or in another state; it is known from now on."""
        if name in self._known and self._known[name] == state:
            return False
        self._known[name] = state
        if len(self._known) > self._most:
            del self._known[next(iter(self._known))]
        return True

    def drop(self, name: str) -> None:
        """Forget it, if it is known."""
        self._known.pop(name, None)
