"""Pieces of IP datagrams that never become whole, and an abort beside them."""

from __future__ import annotations

from collections.abc import Callable

from tests.attacks.attack import Attack, Given, table
from tests.attacks.raw import recorded
from tests.hostile import FRAGMENTS, UNIT, piece4, piece6

Frames = Callable[[int], list[bytes]]
MORE: dict[str, Frames] = {
    "IPv4, of many pairs": lambda n: [_pair(i, piece4(UNIT, 7, 1 + i % 100)) for i in range(n)],
    "IPv4, of many pairs, the first of each": lambda n: [_pair(i, piece4(UNIT, i, 0)) for i in range(n)],
    "IPv4, all but one of each": lambda n: [piece4(bytes(1_400), i // 45, 1 + i % 45 * 175) for i in range(n)],
    "IPv4, the largest of each": lambda n: [piece4(bytes(1_400), i, 8_000) for i in range(n)],
    "IPv4, from outside in": lambda n: [piece4(UNIT, 7, 4_000 + (i % 8_000) // 2 * (-1) ** i) for i in range(n)],
    "IPv6, backwards": lambda n: [piece6(UNIT, 7, 8_000 - i % 8_000) for i in range(n)],
    "IPv6, every second": lambda n: [piece6(UNIT, i // 4_000, i % 4_000 * 2) for i in range(n)],
    "IPv6, the largest of each": lambda n: [piece6(bytes(1_400), i, 8_000) for i in range(n)],
}


def _pair(number: int, frame: bytes) -> bytes:
    """The frame of IPv4 between two others."""
    ends = (0x0B000000 + number).to_bytes(4, "big") + (0x0C000000 + number // 7).to_bytes(4, "big")
    return frame[:26] + ends + frame[34:]


def flood(make: Frames, count: int) -> Given:
    """As frames, with an abort behind them."""
    return recorded(make(count))


ATTACKS: tuple[Attack, ...] = table("fragments", {**FRAGMENTS, **MORE}, flood, 500, 100_000)
