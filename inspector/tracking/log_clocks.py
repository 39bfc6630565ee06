"""How far another clock is from the capture's, told by what both wrote down: the offset at which most of their times
fit.

A log without a zone may be off by any quarter of an hour; clocks also differ by seconds. What fits by chance is not
believed: the further an offset is from what clocks usually do, the more has to fit. For each kind of difference (none,
a zone, some seconds beside that, anything) it is counted how many offsets there are to try; times the probability that
at any one of them so many entries fit by chance (Poisson's), this is how many offsets are expected to fit as well. The
kind of which fewest are expected is taken, if that is nearly none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
MILLISECOND_NS = 1_000_000
SECOND_NS = 1_000_000_000
QUARTER_NS = 900 * SECOND_NS
ZONE_QUARTERS = 56
"""Zones reach 14 hours either way."""

SKEW_NS = 10 * SECOND_NS
"""How far clocks that somebody cares for are apart."""

FARTHEST_NS = 26 * 3600 * SECOND_NS
AROUND_NS = (30 * SECOND_NS, 1800 * SECOND_NS, FARTHEST_NS)
"""Around an offset, within which it is counted how often entries and moments meet by chance; the densest counts."""

CHANCE, CHANCE_AGREED = 0.005, 0.05
"""How many offsets that fit as well by chance alone may be expected where one is believed; the second where the clocks
simply agree.
"""

NEARLY_ALL, FEW = 0.95, 10
"""Where clocks agree and nearly all of more than a few entries fit, they are believed although moments lie so densely
that chance would do as well.
"""

MANY = 500
PAIRS = 2_000_000
TRIED = 64


class Offset(NamedTuple):
    """Log clock minus capture clock lies from ``low_ns`` to ``high_ns``. ``matched``: how many entries fit.
    ``is_weak``: it may be chance.

    ``resolution_ns``: of the log's times.
    """

    low_ns: int
    high_ns: int
    matched: int
    is_weak: bool = False
    resolution_ns: int = 0

    @property
    def ns(self) -> int:
        """The middle."""
        return (self.low_ns + self.high_ns) // 2

    @property
    def uncertainty_ns(self) -> int:
        """Half of the range, and not less than the log's own resolution."""
        return max((self.high_ns - self.low_ns + 1) // 2, self.resolution_ns)

    def window(self, ns: int, early_ns: int, late_ns: int) -> tuple[int, int]:
        """From when to when the moment lies of which an entry was written from ``early_ns`` before to ``late_ns``
        behind it.
        """
        return ns - self.high_ns - late_ns, ns - self.low_ns + early_ns


class Times(NamedTuple):
    """Sorted times of entries, and of the moments that they may name, in nanoseconds."""

    log: list[int]
    wire: list[int]


def offsets(
    classes: Sequence[Times], early_ns: int, late_ns: int, has_zone: bool, resolution_ns: int = MILLISECOND_NS
) -> list[Offset]:
    """The best offsets: one as a rule, several where they fit equally well, none where no more fits than would by
    chance.

    An entry is written from ``early_ns`` before to ``late_ns`` behind its moment, where its time is written to the
    millisecond; coarser times (``resolution_ns``) are earlier by as much. Where all entries fit a clock that is off by
    seconds and a zone, although that may be chance, the offset is weak.
    """
    return [
        candidate._replace(resolution_ns=resolution_ns)
        for candidate in _offsets(classes, early(early_ns, resolution_ns), late_ns, has_zone)
    ]


def early(early_ns: int, resolution_ns: int) -> int:
    """How much earlier than its moment an entry may be stamped, where the stamp's rest was cut off."""
    return early_ns + max(resolution_ns - MILLISECOND_NS, 0)


def _offsets(classes: Sequence[Times], early_ns: int, late_ns: int, has_zone: bool) -> list[Offset]:
    differences, share = _differences(classes)
    if not len(differences):
        return []
    width = early_ns + late_ns
    zones = _quarters(differences)
    bases = 1 if has_zone else 2 * ZONE_QUARTERS + 1
    tiers: list[tuple[list[Offset], float]] = []
    """For each kind of difference the best offsets, and how many there are to try."""

    def best(some: I64) -> list[Offset]:
        return _best(classes, some, early_ns, late_ns, is_sample=share < 1)

    near = best(differences[np.abs(differences - (0 if has_zone else zones)) <= SKEW_NS])
    exact = [o for o in near if _holds_base(o, has_zone)]
    tiers.append((exact, bases))
    tiers.append((near, bases * 2 * SKEW_NS / width))
    if has_zone:  # a clock may be set to local time and call it UTC
        shifted = best(differences[np.abs(differences - zones) <= SKEW_NS])
        tiers.append(([o for o in shifted if _holds_base(o, False)], 2 * ZONE_QUARTERS + 1))
        tiers.append((shifted, (2 * ZONE_QUARTERS + 1) * 2 * SKEW_NS / width))
    kept = len(tiers)
    tiers.append((best(differences), 2 * FARTHEST_NS / width))
    judged = [
        (candidates, trials * _by_chance(differences, share, candidates[0], width))
        for candidates, trials in tiers
        if candidates
    ]
    if (
        has_zone
        and exact
        and (
            judged[0][1] < CHANCE_AGREED
            or exact[0].matched >= NEARLY_ALL * _count_within(classes, exact[0], early_ns, late_ns) > FEW
        )
    ):
        return exact[:TRIED]
    candidates, expected = min(judged, key=lambda tier: max(tier[1], 1e-9))
    if expected < CHANCE:
        return candidates[:TRIED]
    total = sum(len(c.log) for c in classes)
    return next(
        (
            [o._replace(is_weak=True) for o in some[:TRIED]]
            for some, _ in tiers[:kept]
            if some and some[0].matched == total
        ),
        [],
    )


def _count_within(classes: Sequence[Times], offset: Offset, early_ns: int, late_ns: int) -> int:
    """How many entries fall into the captured time at an offset."""
    first, last = min(c.wire[0] for c in classes if c.wire), max(c.wire[-1] for c in classes if c.wire)
    return sum(first - early_ns <= ns - offset.ns <= last + late_ns for c in classes for ns in c.log)


def _by_chance(differences: I64, share: float, offset: Offset, width: int) -> float:
    """How likely it is that as many entries fit at one offset by chance (Poisson), by how densely pairs lie around it.
    ``share``: of all pairs, those in
    ``differences``.
    """
    first, last = np.searchsorted(differences, [offset.ns - width, offset.ns + width])
    mean = 0.0
    for around in AROUND_NS:
        low, high = np.searchsorted(differences, [offset.ns - around, offset.ns + around])
        mean = max(mean, (int(high - low) - int(last - first)) * width / (2 * around))
    mean = max(mean, len(differences) * width / (2 * FARTHEST_NS)) / share
    if mean > MANY:
        return 0.5 * math.erfc((offset.matched - mean) / math.sqrt(2 * mean))
    term = math.exp(-mean)
    below = 0.0
    for k in range(offset.matched):
        below += term
        term *= mean / (k + 1)
    return max(1.0 - below, term)


def _differences(classes: Sequence[Times]) -> tuple[I64, float]:
    """Log minus wire of all pairs, or of as many as there is room for; and the share of those."""
    pairs = sum(len(c.log) * len(c.wire) for c in classes)
    differences: list[I64] = []
    room, used = PAIRS, 0
    for log, wire in classes:
        if not log or not wire:
            continue
        most = max(room // len(wire), 1)
        step = -(-len(log) // most)
        some = log[::step]
        difference = (np.array(some, np.int64)[:, None] - np.array(wire, np.int64)[None, :]).ravel()
        differences.append(difference[np.abs(difference) <= FARTHEST_NS])
        used += len(some) * len(wire)
        room = max(room - len(difference), 1)
    return (np.sort(np.concatenate(differences)), used / pairs) if differences else (np.zeros(0, np.int64), 1.0)


def _quarters(differences: I64) -> I64:
    """For each difference the zone's share of it."""
    quarters = np.clip(np.round(differences / QUARTER_NS), -ZONE_QUARTERS, ZONE_QUARTERS)
    return (quarters * QUARTER_NS).astype(np.int64)


def _holds_base(offset: Offset, has_zone: bool) -> bool:
    """Whether the clocks may agree to the millisecond, but for the zone."""
    base = 0 if has_zone else round(offset.ns / QUARTER_NS) * QUARTER_NS
    return offset.low_ns <= base <= offset.high_ns


def _best(classes: Sequence[Times], differences: I64, early_ns: int, late_ns: int, is_sample: bool) -> list[Offset]:
    """The offsets at which most entries find a moment of their own. ``is_sample``: there are more pairs than
    ``differences``.
    """
    if not len(differences):
        return []
    width = early_ns + late_ns
    counts = np.searchsorted(differences, differences + width, "right") - np.arange(len(differences))
    best: list[Offset] = []
    for start in np.argsort(-counts, kind="stable")[: TRIED if is_sample else TRIED * 4].tolist():
        if best and not is_sample and counts[start] < best[0].matched:
            break
        fitted = _fitted(classes, int(differences[start]), width)
        if not len(fitted):
            continue
        offset = Offset(int(fitted.max()) - late_ns, int(fitted.min()) + early_ns, len(fitted))
        if best and offset.matched < best[0].matched:
            continue
        if best and offset.matched > best[0].matched:
            best = []
        if not any(o.low_ns <= offset.high_ns and offset.low_ns <= o.high_ns for o in best):
            best.append(offset)
    return best


def _fitted(classes: Sequence[Times], low: int, width: int) -> I64:
    """Differences from ``low`` to ``low + width``, each entry and each moment once, as many as there can be."""
    fitted: list[int] = []
    for log, wire in classes:
        i = j = 0
        while i < len(log) and j < len(wire):
            difference = log[i] - wire[j]
            if difference < low:
                i += 1
            elif difference > low + width:
                j += 1
            else:
                fitted.append(difference)
                i += 1
                j += 1
    return np.array(fitted, np.int64)
