"""Which connections of a live capture are to be judged, and when: those that were given up at once, all others together
once a second, or as soon as they are many.
"""

from __future__ import annotations

from collections.abc import Iterable

from inspector.live.judging import Changed

URGENT_SECONDS = 0.3
"""How often connections that were given up are judged at most."""

TOGETHER_SECONDS = 1.0
TOGETHER = 1_000
"""Connections that are judged without waiting for the second: more at once would keep the loop from its frames."""


class JudgingQueue:
    """``most``: connections that are remembered; of these a quarter at most waits."""

    def __init__(self, most: int) -> None:
        self._together = min(TOGETHER, most // 4)
        self._waiting: Changed = {}
        self._urgent: dict[str, None] = {}
        """Those of them that were given up."""
        self._judged = 0.0

    @property
    def urgent(self) -> Iterable[str]:
        """Those that were given up."""
        return self._urgent

    def add(self, name: str, *, is_new: bool, is_final: bool, gave_up: bool = False) -> None:
        """A connection is to be judged; what is said of one that waits already is said as well."""
        before = self._waiting.get(name, (False, False))
        self._waiting[name] = (before[0] or is_new, before[1] or is_final)
        if gave_up:
            self._urgent[name] = None

    def is_due(self, now: float) -> bool:
        """Whether it is time for all of them, by the monotonic clock."""
        quiet = now - self._judged
        return (
            quiet >= TOGETHER_SECONDS
            or (bool(self._urgent) and quiet >= URGENT_SECONDS)
            or len(self._waiting) >= self._together
        )

    def take_patient(self) -> Changed:
        """Take out those that were not given up where they are many, else none: where the sessions of the others come
        from may be among what is still to come.
        """
        if len(self._waiting) < self._together + len(self._urgent):
            return {}
        return {name: self._waiting.pop(name) for name in list(self._waiting) if name not in self._urgent}

    def take_all(self) -> Changed:
        """Take out all of them."""
        waiting, self._waiting = self._waiting, {}
        return waiting

    def note_judged(self, names: Iterable[str], now: float) -> None:
        """Some are judged now."""
        self._judged = now
        for name in names:
            self._urgent.pop(name, None)
