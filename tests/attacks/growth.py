"""How an attack grows: one command over it at once, twice and four times its size.

Of three sizes that double the start falls out: where time is a + b·nᵉ, the second step takes 2ᵉ times what the first
one took, whatever ``a`` is.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

from tests.attacks.attack import Attack
from tests.attacks.commands import COMMANDS, Spent

STEPS = (1, 2, 4)
SHORTEST = 0.25
"""Seconds of processor time between two sizes below which they do not tell how an attack grows."""

STEEPEST = 1.15
"""An exponent beyond which an attack grows faster than its size."""


class Growth(NamedTuple):
    """``sizes``: bytes at each step. ``pieces``: of what the attack is made, at each. ``spent``: there."""

    sizes: list[int]
    pieces: list[int]
    spent: list[Spent]

    @property
    def seconds(self) -> list[float]:
        """Of processor time at each step."""
        return [spent.processor for spent in self.spent]

    @property
    def step(self) -> float:
        """Seconds that the last step takes beyond the one before."""
        return self.seconds[-1] - self.seconds[-2]

    @property
    def exponent(self) -> float | None:
        """By which time grows with size; None where it takes too little to tell."""
        first = self.seconds[1] - self.seconds[0]
        if self.step < SHORTEST:
            return None
        grown = math.log((self.sizes[-1] - self.sizes[-2]) / (self.sizes[1] - self.sizes[0]))
        return math.log(self.step / max(first, 0.01)) / grown if grown else None

    @property
    def rate(self) -> float | None:
        """Megabytes per second of processor time, in the last step."""
        return (self.sizes[-1] - self.sizes[-2]) / 1e6 / self.step if self.step >= SHORTEST else None

    @property
    def each(self) -> float | None:
        """Microseconds that a piece takes there."""
        return self.step * 1e6 / (self.pieces[-1] - self.pieces[-2]) if self.step >= SHORTEST else None


def grown(attack: Attack, command: str, scale: float, folder: Path) -> Growth:
    """How a command's time grows with an attack. Where it seems to grow too fast it is measured twice, and what took
    less holds: others use the machine too.
    """
    growth = Growth([], [], [])
    for step in STEPS:
        count = max(int(attack.many * scale * step), attack.few)
        given = attack.make(count)
        growth.sizes.append(given.size)
        growth.pieces.append(count)
        growth.spent.append(COMMANDS[command](given, folder).spent)
    if (growth.exponent or 0) <= STEEPEST:
        return growth
    for place, count in enumerate(growth.pieces):
        again = COMMANDS[command](attack.make(count), folder).spent
        growth.spent[place] = min(again, growth.spent[place], key=lambda spent: spent.processor)
    return growth


def told(number: float | None, form: str = ".1f") -> str:
    return "" if number is None else f"{number:,{form}}"


def growth_row(attack: Attack, command: str, growth: Growth) -> bool:
    """Print it; whether it grows too fast."""
    is_steep = (growth.exponent or 0) > STEEPEST
    print(
        f"| {attack.kind} | {attack.name} | {command} | {growth.pieces[-1]:,} | {growth.sizes[-1] / 1e6:.1f} |"
        f" {' / '.join(f'{seconds:.1f}' for seconds in growth.seconds)} | {told(growth.exponent, '.2f')} |"
        f" {told(growth.rate)} | {told(growth.each)} |"
        f" {' / '.join(f'{spent.megabytes:.0f}' for spent in growth.spent)} | {'steep' if is_steep else ''} |",
        flush=True,
    )
    return is_steep


GROWTH_HEAD = """\
| kind | variant | command | pieces | MB | processor s at 1 / 2 / 4 | exponent | MB/s | µs a piece | peak MB | |
|---|---|---|---|---|---|---|---|---|---|---|"""
