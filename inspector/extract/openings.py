"""By how much the clocks of captures are apart that hold copies of the same packets, told by the segments that open
connections.

A SYN, a SYN-ACK, a ClientHello and a ServerHello are each named by endpoints and sequence number (RFC 9293, section
3.4). What two captures hold of one name is one packet, unless it was sent again: so their times give the difference of
the clocks, of both directions together as in NTP (RFC 5905, section 8), since on its way from one place to the other a
packet takes its time. Copies are told from captures that merely meet, as rotated files do, where something was sent
again behind the border: copies share most of what both saw, all with one difference, and SYNs and hellos alike or for a
long time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from inspector import bounds
from inspector.capture.frames import I64, U64
from inspector.extract.hello_segments import HELLO_KIND, begins_with_hello
from inspector.tls.types import SERVER_HELLO
from inspector.wire.addresses import AddressTable
from inspector.wire.grouping import MIX_HIGH, MIX_LOW
from inspector.wire.segments import ACK, SYN, SegmentBatch

HELLO = 2
"""Kinds: 0 SYN, 1 SYN-ACK, 2 ClientHello, 3 ServerHello. What servers send is odd."""

SHARED = 2
"""Copies share at least one of so many openings in the time that both cover."""

STEADY = 2
"""The difference is at least so many times what may be wrong in it."""

EVERYTHING = (1 << 64) - 1


class Opened(NamedTuple):
    """The openings of one capture, each once, when it was first captured. ``key``: uint64, ascending. ``ns``: int64.
    ``kind``: int64.
    ``below``: where there were too many, only keys up to this one were kept, so that captures keep the same ones.
    """

    key: U64
    ns: I64
    kind: I64
    below: int = EVERYTHING


class Apart(NamedTuple):
    """One capture's clock is ``late_ns`` later than another's, give or take ``uncertainty_ns``, by so many
    ``connections``.
    """

    late_ns: int
    uncertainty_ns: int
    connections: int


class Openings:
    """Gathers them, batch by batch."""

    def __init__(self, addresses: AddressTable) -> None:
        self._addresses = addresses
        self._parts: dict[int, list[Opened]] = {}
        self._count: dict[int, int] = {}

    def add(self, segments: SegmentBatch) -> None:
        """Take a batch of one capture."""
        is_syn = segments.flags & SYN != 0
        rows = np.flatnonzero(is_syn | begins_with_hello(segments.data, segments.start, segments.captured))
        if not len(rows):
            return
        kind = (segments.flags[rows] & ACK != 0).astype(np.int64)
        hellos = ~is_syn[rows]
        kind[hellos] = HELLO + (segments.data[segments.start[rows[hellos]] + HELLO_KIND] == SERVER_HELLO)
        key = (
            self._end(segments.source[rows]) * MIX_LOW
            ^ self._end(segments.target[rows]) * MIX_HIGH
            ^ (segments.seq[rows] << 2 | kind).astype(np.uint64)
        )
        key = (key ^ key >> np.uint64(29)) * MIX_LOW
        parts = self._parts.setdefault(segments.capture, [])
        parts.append(Opened(key, segments.time_ns[rows], kind))
        self._count[segments.capture] = self._count.get(segments.capture, 0) + len(rows)
        if self._count[segments.capture] > 2 * bounds.OPENINGS:
            self._parts[segments.capture] = [together(parts)]
            self._count[segments.capture] = len(self._parts[segments.capture][0].key)

    def by_capture(self) -> dict[int, Opened]:
        """Those of each capture."""
        return {capture: together(parts) for capture, parts in self._parts.items()}

    def _end(self, ends: U64) -> U64:
        """Endpoints as numbers that any process gives them."""
        numbers = ends >> np.uint64(16)
        is_long = numbers >> np.uint64(32) > 0
        if not is_long.any():
            return ends
        different, inverse = np.unique(numbers[is_long], return_inverse=True)
        digests = [
            hashlib.blake2b(self._addresses.address(number), digest_size=8).digest() for number in different.tolist()
        ]
        numbers = numbers.copy()
        numbers[is_long] = np.frombuffer(b"".join(digests), np.uint64)[inverse]
        mixed: U64 = numbers << np.uint64(16) ^ numbers >> np.uint64(48) ^ ends & np.uint64(0xFFFF)
        return mixed


def together(parts: Iterable[Opened]) -> Opened:
    """Parts of one capture as one."""
    some = list(parts)
    key, ns, kind = (np.concatenate([part[column] for part in some]) for column in (0, 1, 2))
    order = np.lexsort((ns, key))
    order = order[np.append(True, np.diff(key[order]) != 0)]
    below = min(part.below for part in some)
    order = order[: int(np.searchsorted(key[order], np.uint64(below), "right"))]
    if len(order) > bounds.OPENINGS:
        order = order[: bounds.OPENINGS]
        below = int(key[order[-1]])
    return Opened(key[order], ns[order], kind[order], below)


def apart(captures: Mapping[int, Opened]) -> dict[tuple[int, int], Apart]:
    """Which captures hold copies, by pairs, and how much later the clock of the second one is. Not every pair stands
    there, but as many as join them.
    """
    if len(captures) < 2:
        return {}
    index = np.repeat(list(captures), [len(opened.key) for opened in captures.values()]).astype(np.int64)
    key, ns, kind = (np.concatenate([opened[column] for opened in captures.values()]) for column in (0, 1, 2))
    order = np.lexsort((index, key))
    key, ns, kind, index = key[order], ns[order], kind[order], index[order]
    first = np.maximum.accumulate(np.where(np.append(True, np.diff(key) != 0), np.arange(len(key)), 0))
    again = np.flatnonzero(first != np.arange(len(key)))
    if not len(again):
        return {}
    pairs, inverse = np.unique(np.stack([index[first[again]], index[again]]), axis=1, return_inverse=True)
    late = ns[again] - ns[first[again]]
    order = np.argsort(inverse.reshape(-1), kind="stable")
    borders = np.searchsorted(inverse.reshape(-1)[order], np.arange(1, pairs.shape[1]))
    pairs_apart: dict[tuple[int, int], Apart] = {}
    for one, other, rows in zip(pairs[0].tolist(), pairs[1].tolist(), np.split(order, borders), strict=True):
        difference = _difference(late[rows], kind[again[rows]], ns[first[again[rows]]])
        if difference is not None and _are_copies(captures[one], captures[other], difference.late_ns, len(rows)):
            pairs_apart[one, other] = difference
    return pairs_apart


def _difference(late: I64, kind: I64, ns: I64) -> Apart | None:
    """What the openings that two captures share say of their clocks; None where that is not one thing. ``ns``: when the
    first one saw them.
    """
    sides = [late[kind & 1 == side] for side in (0, 1) if (kind & 1 == side).any()]
    middles = [int(np.median(side)) for side in sides]
    total = sum(middles) // len(middles)
    scatter = np.concatenate([side - middle for side, middle in zip(sides, middles, strict=True)])
    low, high = np.percentile(scatter, (5, 95))
    doubt = (max(middles) - min(middles)) // 2 + int(high - low) // 2
    is_either = bool((kind < HELLO).all() or (kind >= HELLO).all())
    if abs(total) < STEADY * doubt or (is_either and int(np.ptp(ns)) <= abs(total)):
        return None  # what was sent again is one or the other, and all of it lies that near to the border
    return Apart(total, doubt, int(np.bincount(kind).max()))


def _are_copies(one: Opened, other: Opened, late: int, shared: int) -> bool:
    """Whether two captures share most of what opened in the time that both cover."""
    if not len(one.ns) or not len(other.ns):
        return False
    theirs = other.ns - late
    begin, end, below = (
        max(one.ns.min(), theirs.min()),
        min(one.ns.max(), theirs.max()),
        np.uint64(min(one.below, other.below)),
    )
    counts = [
        int(np.count_nonzero((ns >= begin) & (ns <= end) & (key <= below)))
        for ns, key in ((one.ns, one.key), (theirs, other.key))
    ]
    return shared * SHARED >= min(counts)
