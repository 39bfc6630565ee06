"""Whether a difference is more than chance: Fisher's exact test for shares, the rank test of Mann and Whitney for
times. Both are one-sided and give the chance that a pool whose members are all alike shows as much.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import comb, erfc, exp, lgamma, sqrt

CHANCE = 0.01
"""Less than that is no chance; divided by how many members and attributes were looked at."""

FEWEST = 5
"""Values at a member of which times are compared."""

EXACT_UP_TO = 400
"""Pairs of values up to which ranks are counted out; above that they are as good as normally distributed."""


def share_by_chance(affected: int, reached: int, elsewhere_affected: int, elsewhere: int) -> float:
    """Fisher's exact test: how likely ``affected`` or more of the ``reached`` are by chance, when so many of all were
    affected.
    """
    total, all_affected = reached + elsewhere, affected + elsewhere_affected
    whole = _log_comb(total, reached)
    return min(
        1.0,
        sum(
            exp(_log_comb(all_affected, k) + _log_comb(total - all_affected, reached - k) - whole)
            for k in range(affected, min(reached, all_affected) + 1)
            if reached - k <= total - all_affected
        ),
    )


def is_more_often(affected: int, reached: int, elsewhere_affected: int, elsewhere: int, *, looks: int = 1) -> bool:
    """Whether a share is higher here than elsewhere, and not by chance. ``looks``: how many are compared so."""
    if not affected or not elsewhere or affected * elsewhere <= elsewhere_affected * reached:
        return False
    return share_by_chance(affected, reached, elsewhere_affected, elsewhere) < CHANCE / max(looks, 1)


def middle(values: Iterable[float]) -> float:
    """The median of some values, at least one."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _log_comb(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def ranks_by_chance(here: Sequence[float], elsewhere: Sequence[float]) -> float:
    """The rank test of Mann and Whitney: how likely it is by chance that values here are above those elsewhere so
    often. Counted out where there are few and none are equal, else by the normal distribution, ties taken into account.
    """
    n, m = len(here), len(elsewhere)
    if not n or not m:
        return 1.0
    pooled = sorted([(value, 0) for value in here] + [(value, 1) for value in elsewhere])
    above = ties = 0.0
    below = start = 0
    while start < len(pooled):
        end = start
        while end < len(pooled) and pooled[end][0] == pooled[start][0]:
            end += 1
        ours = sum(side == 0 for _, side in pooled[start:end])
        theirs = end - start - ours
        above += ours * (below + theirs / 2)
        below += theirs
        ties += (end - start) ** 3 - (end - start)
        start = end
    if not ties and n * m <= EXACT_UP_TO:
        ways = _ways(n, m)
        return sum(ways[int(above) :]) / comb(n + m, n)
    size = n + m
    variance = n * m / 12 * (size + 1 - ties / (size * (size - 1)))
    return erfc((above - n * m / 2 - 0.5) / sqrt(2 * variance)) / 2 if variance > 0 else 1.0


@lru_cache(maxsize=64)
def _ways(n: int, m: int) -> tuple[int, ...]:
    """In how many orders of n values here and m elsewhere there are u pairs in which the one here is above, for each u:
    the Gaussian binomial coefficients, multiplied out factor by factor.
    """
    ways = [1] + [0] * (n * m)
    for i in range(1, n + 1):
        for u in range(n * m, m + i - 1, -1):
            ways[u] -= ways[u - m - i]
        for u in range(i, n * m + 1):
            ways[u] += ways[u - i]
    return tuple(ways)
