"""What is known of each of the names that were noted last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class LatestStates(Generic[T]):
    """Up to ``most`` names with the state of each; the one that was not noted for longest goes first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._states: OrderedDict[str, T] = OrderedDict()

    def __contains__(self, name: str) -> bool:
        return name in self._states

    def __iter__(self) -> Iterator[str]:
        return iter(self._states)

    def note(self, name: str, state: T) -> bool:
        """It is in this state from now on; whether that is news: it was not known, or in another one."""
        is_news = name not in self._states or self._states.pop(name) != state
        self._states[name] = state
        if len(self._states) > self._most:
            self._states.popitem(last=False)
        return is_news

    def drop(self, name: str) -> None:
        """Forget it, if it is known."""
        self._states.pop(name, None)
