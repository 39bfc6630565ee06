"""How an attack grows: one command over it at once, twice and four times its size, in processor time or, where the
machine is busy, in function calls.

Of three sizes that double the start falls out: where time is a + b·nᵉ, the second step takes 2ᵉ times what the first
one took, whatever ``a`` is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.attacks.attack import Attack
from tests.attacks.commands import COMMANDS, Spent, calls

STEPS = (1, 2, 4)
SHORTEST = 0.25
"""Seconds of processor time between two sizes below which they do not tell how an attack grows."""

FEWEST_CALLS = 20_000
"""The same in function calls."""

STEEPEST = 1.15
"""An exponent beyond which an attack grows faster than its size."""


class Growth(NamedTuple):
    """``sizes``: bytes at each step. ``pieces``: of what the attack is made, at each. ``spent``: there, or nothing
    where ``work`` is function calls and not seconds.
    """

    sizes: list[int]
    pieces: list[int]
    spent: list[Spent]
    work: list[float]

    @property
    def step(self) -> float:
        """What the last step takes beyond the one before."""
        return self.work[-1] - self.work[-2]

    @property
    def is_telling(self) -> bool:
        """Whether it is enough to tell how the attack grows."""
        return self.step >= (SHORTEST if self.spent else FEWEST_CALLS)

    @property
    def exponent(self) -> float | None:
        """By which work grows with size; None where it is too little to tell."""
        grown = math.log((self.sizes[-1] - self.sizes[-2]) / max(self.sizes[1] - self.sizes[0], 1))
        if not self.is_telling or not grown:
            return None
        return math.log(self.step / max(self.work[1] - self.work[0], self.step / 100)) / grown

    @property
    def rate(self) -> float | None:
        """Megabytes per second of processor time, in the last step."""
        return (self.sizes[-1] - self.sizes[-2]) / 1e6 / self.step if self.spent and self.is_telling else None

    @property
    def each(self) -> float | None:
        """What a piece takes there: microseconds, or function calls."""
        of_piece = self.step / (self.pieces[-1] - self.pieces[-2])
        return of_piece * (1e6 if self.spent else 1) if self.is_telling else None


def grown(attack: Attack, command: str, scale: float, folder: Path) -> Growth:
    """How a command's time grows with an attack. Where it seems to grow too fast it is measured twice, and what took
    less holds: others use the machine too.
    """
    growth = Growth([], [], [], [])
    for step in STEPS:
        count = max(int(attack.many * scale * step), attack.few * step)
        given = attack.make(count)
        growth.sizes.append(given.size)
        growth.pieces.append(count)
        growth.spent.append(COMMANDS[command](given, folder).spent)
        growth.work.append(growth.spent[-1].processor)
    if (growth.exponent or 0) > STEEPEST:
        for place, count in enumerate(growth.pieces):
            again = COMMANDS[command](attack.make(count), folder).spent
            growth.spent[place] = min(again, growth.spent[place], key=lambda spent: spent.processor)
            growth.work[place] = growth.spent[place].processor
    return growth


def counted(attack: Attack, command: str, scale: float, folder: Path) -> Growth:
    """How the functions that a command calls grow with an attack."""
    growth = Growth([], [], [], [])
    for step in STEPS:
        count = max(int(attack.many * scale * step), attack.few * step)
        given = attack.make(count)
        growth.sizes.append(given.size)
        growth.pieces.append(count)
        growth.work.append(calls(command, given, folder))
    return growth


def told(number: float | None, form: str = ",.1f") -> str:
    return "" if number is None else f"{number:{form}}"


def growth_row(attack: Attack, command: str, growth: Growth) -> bool:
    """Print it; whether it grows too fast."""
    is_steep = (growth.exponent or 0) > STEEPEST
    work = " / ".join(told(work, ".1f" if growth.spent else ",") for work in growth.work)
    peaks = " / ".join(f"{spent.megabytes:.0f}" for spent in growth.spent)
    print(
        f"| {attack.kind} | {attack.name} | {command} | {growth.pieces[-1]:,} | {growth.sizes[-1] / 1e6:.1f} | {work} |"
        f" {told(growth.exponent, '.2f')} | {told(growth.rate)} | {told(growth.each)} | {peaks} |"
        f" {'steep' if is_steep else ''} |",
        flush=True,
    )
    return is_steep


GROWTH_HEAD = """\
| kind | variant | command | pieces | MB | s or calls at 1 / 2 / 4 | exponent | MB/s | µs or calls a piece | peak MB | |
|---|---|---|---|---|---|---|---|---|---|---|"""
Growing = Callable[[Attack, str, float, Path], Growth]
GROWING: dict[str, Growing] = {"time": grown, "calls": counted}
