"""How far another clock is from the capture's, told by what both wrote down: the offset at which most of their times fit.

A log without a zone may be off by any quarter of an hour; clocks also differ by seconds. What fits by chance is not believed: the further an offset is
from what clocks usually do, the more has to fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
SECOND_NS = 1_000_000_000
QUARTER_NS = 900 * SECOND_NS
ZONE_QUARTERS = 56
"""Zones reach 14 hours either way."""

SKEW_NS = 10 * SECOND_NS
"""How far clocks that somebody cares for are apart."""

FARTHEST_NS = 26 * 3600 * SECOND_NS
STRANGE_AT_LEAST = 3
"""So many must fit at an offset that is neither a zone nor a small skew."""

FIRM_AT_LEAST = 2
PAIRS = 2_000_000
TRIED = 64


class Offset(NamedTuple):
    """Log clock minus capture clock lies from ``low_ns`` to ``high_ns``. ``matched``: how many entries fit. ``is_weak``: it may be chance."""

    low_ns: int
    high_ns: int
    matched: int
    is_weak: bool = False

    @property
    def ns(self) -> int:
        """The middle."""
        return (self.low_ns + self.high_ns) // 2

    @property
    def uncertainty_ns(self) -> int:
        """Half of the range."""
        return (self.high_ns - self.low_ns + 1) // 2


class Times(NamedTuple):
    """Sorted times of entries, and of the moments that they may name, in nanoseconds."""

    log: list[int]
    wire: list[int]


def offsets(classes: Sequence[Times], early_ns: int, late_ns: int, has_zone: bool) -> list[Offset]:
    """The best offsets: one as a rule, several where they fit equally well, none where nothing fits.

    An entry is written from ``early_ns`` before to ``late_ns`` behind its moment.
    """
    differences = _differences(classes)
    if not len(differences):
        return []
    zones = _quarters(differences)
    usual = np.zeros_like(zones) if has_zone else zones
    near = _best(classes, differences[np.abs(differences - usual) <= SKEW_NS], early_ns, late_ns)
    if near and near[0].matched == sum(len(c.log) for c in classes):
        return _firm(near, has_zone)
    far = _best(classes, differences, early_ns, late_ns)
    if far and far[0].matched >= STRANGE_AT_LEAST and (not near or far[0].matched > 2 * near[0].matched):
        return far
    if near or not has_zone:
        return _firm(near, has_zone)
    return _firm(_best(classes, differences[np.abs(differences - zones) <= SKEW_NS], early_ns, late_ns), has_zone=False)


def _firm(found: list[Offset], has_zone: bool) -> list[Offset]:
    """Of offsets that fit equally well, those at which the clocks agree but for the zone; a single entry that fits at another one is weak."""
    exact = [o for o in found if _holds_base(o, has_zone)]
    if exact:
        return exact[:TRIED]
    return [o._replace(is_weak=o.matched < FIRM_AT_LEAST) for o in found[:TRIED]]


def _differences(classes: Sequence[Times]) -> I64:
    found: list[I64] = []
    room = PAIRS
    for log, wire in classes:
        if not log or not wire:
            continue
        most = max(room // len(wire), 1)
        step = -(-len(log) // most)
        some = log[::step]
        difference = (np.array(some, np.int64)[:, None] - np.array(wire, np.int64)[None, :]).ravel()
        found.append(difference[np.abs(difference) <= FARTHEST_NS])
        room = max(room - len(difference), 1)
    return np.sort(np.concatenate(found)) if found else np.zeros(0, np.int64)


def _quarters(differences: I64) -> I64:
    """For each difference the zone's share of it."""
    quarters = np.clip(np.round(differences / QUARTER_NS), -ZONE_QUARTERS, ZONE_QUARTERS)
    return (quarters * QUARTER_NS).astype(np.int64)


def _holds_base(offset: Offset, has_zone: bool) -> bool:
    """Whether the clocks may agree to the millisecond, but for the zone."""
    base = 0 if has_zone else round(offset.ns / QUARTER_NS) * QUARTER_NS
    return offset.low_ns <= base <= offset.high_ns


def _best(classes: Sequence[Times], differences: I64, early_ns: int, late_ns: int) -> list[Offset]:
    """The offsets at which most entries find a moment of their own."""
    if not len(differences):
        return []
    width = early_ns + late_ns
    counts = np.searchsorted(differences, differences + width, "right") - np.arange(len(differences))
    best: list[Offset] = []
    for start in np.argsort(-counts, kind="stable")[: TRIED * 4].tolist():
        if best and counts[start] < best[0].matched:
            break
        fitted = _fitted(classes, int(differences[start]), width)
        if not len(fitted):
            continue
        found = Offset(int(fitted.max()) - late_ns, int(fitted.min()) + early_ns, len(fitted))
        if best and found.matched < best[0].matched:
            continue
        if best and found.matched > best[0].matched:
            best = []
        if not any(o.low_ns <= found.high_ns and found.low_ns <= o.high_ns for o in best):
            best.append(found)
    return best


def _fitted(classes: Sequence[Times], low: int, width: int) -> I64:
    """Differences from ``low`` to ``low + width``, each entry and each moment once, as many as there can be."""
    found: list[int] = []
    for log, wire in classes:
        i = j = 0
        while i < len(log) and j < len(wire):
            difference = log[i] - wire[j]
            if difference < low:
                i += 1
            elif difference > low + width:
                j += 1
            else:
                found.append(difference)
                i += 1
                j += 1
    return np.array(found, np.int64)
