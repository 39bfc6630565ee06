"""What the app asks of whoever can probe a pool: it knows commands and what became of them, and not how one asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol


class ProbeOutcome(NamedTuple):
    """What is left of a probe. ``path``: of its capture, "" where no server answered; ``account``: what became of its
    connections, in lines.
    """

    path: str
    account: Sequence[str]


class ProposedProbe(Protocol):
    """A probe that was read from a command, and of which nothing is sent before ``run``."""

    @property
    def intention(self) -> Sequence[str]:
        """What it would send, to whom and how fast, and what it would leave, in lines."""

    def run(self, on_begun: Callable[[int, int], None]) -> ProbeOutcome:
        """Ask, to its end or to ``stop``. ``on_begun`` is called with how many connections have begun, of how many.
        Raises InspectorError.
        """

    def stop(self) -> None:
        """Have it end soon, with what is known so far. Any thread may call it, at any time."""


Prober = Callable[[str], ProposedProbe]
"""Reads a command as a shell does. Raises InspectorError where it cannot be run here."""
