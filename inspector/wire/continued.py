"""Flows that go on from one part of a story into the next, handed over instead of read again.

Whoever reads a part from the middle keeps the segments that may belong to flows from before it (``ContinuedFlows``);
whoever read the parts before follows its open flows in these (``Continued``) and need not read the part itself.

A segment belongs to no flow from before where its flow began here, with a SYN: a new one. So what is kept is little:
the segments of all other flows, and every SYN, since it ends the flow that had these endpoints before. A SYN may also
be one that was sent again, of a flow from before. Where nothing but such comes, all of it is kept; where more comes,
that flow is *withheld*: one whose SYN came before the border as well must be read here once more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from inspector import bounds
from inspector.capture.frames import I64, READABLE, U64, Rows
from inspector.capture.references import frame_reference
from inspector.wire.addresses import AddressTable
from inspector.wire.checksums import HEADERS_BYTES
from inspector.wire.interleaving import merged
from inspector.wire.runs import CONTROL, Grouped, Key, mixed
from inspector.wire.segments import ACK, SYN, SegmentBatch

SIXTEEN = np.uint64(16)
LONG = 1 << 32
"""Numbers from here on mean something in one ``AddressTable`` only."""


NO_KEYS: U64 = np.zeros(0, np.uint64)


class ContinuedPiece(NamedTuple):
    """Of one batch. ``now``: the time of its last segment, of whatever flow. ``segments``: None where there are none
    to keep.
    """

    now: int
    segments: SegmentBatch | None


class Continued(Struct):
    """What was kept of a part of a story. ``addresses``: those of its segments that are no IPv4 addresses, by number.
    ``withheld``: uint64, the ends of flows of which not all was kept though their SYN was, the lower first.
    ``is_whole``: nothing had to be left out for want of room.
    """

    pieces: list[ContinuedPiece]
    addresses: dict[int, bytes]
    withheld: U64
    is_whole: bool = True

    @property
    def bytes(self) -> int:
        """What it takes, about."""
        return sum(_size(segments) for _, segments in self.pieces if segments is not None) + self.withheld.nbytes

    def all(self, addresses: AddressTable) -> Iterator[SegmentBatch]:
        """All segments, their ends as ``addresses`` numbers them."""
        return (self.renumbered(segments, addresses) for _, segments in self.pieces if segments is not None)

    def of(self, ends: U64, addresses: AddressTable) -> Iterator[tuple[int, SegmentBatch | None]]:
        """The segments of some flows, batch by batch, each with the time up to which it goes. ``ends``: of these flows,
        a row each, the lower first; they and the ends in the segments are as ``addresses`` numbers them.
        """
        here, _ = self._numbered_here(ends, addresses)
        wanted = np.unique(mixed(here[:, 0], here[:, 1]))
        for now, segments in self.pieces:
            some = segments.select(np.isin(mixed(*segments.ends()), wanted)) if segments is not None else None
            yield now, self.renumbered(some, addresses) if some is not None and len(some) else None

    def withheld_from(self, ends: U64, addresses: AddressTable) -> dict[Key, set[int]]:
        """Which of some flows may have been withheld, and the sequence numbers of the SYNs that were captured."""
        here, rows = self._numbered_here(ends, addresses)
        withheld = mixed(self.withheld[:, 0], self.withheld[:, 1])
        is_withheld = np.isin(mixed(here[:, 0], here[:, 1]), withheld)
        keys = dict(
            zip(map(tuple, here[is_withheld].tolist()), map(tuple, ends[rows[is_withheld]].tolist()), strict=True)
        )
        sequences: dict[Key, set[int]] = {key: set() for key in keys.values()}
        for _, segments in self.pieces:
            if segments is None or not keys:
                continue
            syns = segments.select(segments.flags & SYN != 0)
            for key, seq in zip(map(tuple, np.stack(syns.ends(), axis=1).tolist()), syns.seq.tolist(), strict=True):
                if key in keys:
                    sequences[keys[key]].add(seq)
        return sequences

    def _numbered_here(self, ends: U64, addresses: AddressTable) -> tuple[U64, I64]:
        """The ends of some flows as they are numbered here, and which flows these are: without those of addresses that
        are not known here.
        """
        here = ends.copy()
        is_long = here >> SIXTEEN >= LONG
        if is_long.any():
            numbers = {address: number for number, address in self.addresses.items()}
            known = [
                numbers.get(addresses.address(end >> 16), 0) << 16 | end & 0xFFFF for end in here[is_long].tolist()
            ]
            here[is_long] = np.array(known, np.uint64)
        rows = np.flatnonzero((~is_long | (here >> SIXTEEN >= LONG)).all(axis=1))
        return np.sort(here[rows], axis=1), rows

    def renumbered(self, segments: SegmentBatch, addresses: AddressTable) -> SegmentBatch:
        """Some of its segments with their ends as ``addresses`` numbers them."""
        if not self.addresses:
            return segments
        source, target = (self._renumbered_ends(ends, addresses) for ends in (segments.source, segments.target))
        return replace(segments, source=source, target=target)

    def _renumbered_ends(self, ends: U64, addresses: AddressTable) -> U64:
        different, inverse = np.unique(ends, return_inverse=True)
        numbers = [
            end if end >> 16 < LONG else addresses.number(self.addresses[end >> 16]) << 16 | end & 0xFFFF
            for end in different.tolist()
        ]
        return np.array(numbers, np.uint64)[inverse.reshape(-1)]


class ContinuedFlows:
    """Gathers them, batch by batch."""

    def __init__(self, addresses: AddressTable) -> None:
        self._addresses = addresses
        self._pieces: list[ContinuedPiece] = []
        self._withheld: list[U64] = []
        self.bytes = 0
        """What was kept takes so many, about."""

    def note(self, grouped: Grouped, is_known: Rows, is_early: Rows) -> None:
        """Take a batch. Of each of its flows, ``is_known``: it is followed already and began here with a SYN;
        ``is_early``: its SYN may be one that was sent again.
        """
        heads = grouped.heads[:-1]
        begins = ~is_known & (grouped.flags[heads] & (CONTROL | ACK) == SYN)
        says_nothing = np.add.reduceat(grouped.length, heads) == 0
        is_wanted = ~is_known & (~begins | says_nothing)
        is_withheld = is_early & ~is_wanted
        segments, flow = grouped.segments()
        rows = np.flatnonzero(is_wanted[flow] | (segments.flags & (SYN | ACK) == SYN))
        kept = compact(segments, rows) if len(rows) and self.bytes <= bounds.CONTINUED_BYTES else None
        if len(rows):
            self.bytes += _size(kept) if kept is not None else len(rows)
        if is_withheld.any():
            self._withheld.append(np.stack([grouped.low[is_withheld], grouped.high[is_withheld]], axis=1))
        self._pieces.append(ContinuedPiece(grouped.now, kept))

    def note_all(self, segments: SegmentBatch, now: int) -> None:
        """Take segments of whatever flow. ``now``: as in ``ContinuedPiece``."""
        kept = compact(segments, np.arange(len(segments)))
        self.bytes += _size(kept)
        self._pieces.append(ContinuedPiece(now, kept))

    def segments(self) -> Continued:
        """All that was kept."""
        numbers: set[int] = set()
        withheld = np.unique(np.concatenate([np.zeros((0, 2), np.uint64), *self._withheld]), axis=0)
        for ends in (withheld, *(e for _, s in self._pieces if s is not None for e in (s.source, s.target))):
            numbers.update(np.unique(ends >> np.uint64(16)).tolist())
        addresses = {number: self._addresses.address(number) for number in numbers if number >= LONG}
        return Continued(self._pieces, addresses, withheld, self.bytes <= bounds.CONTINUED_BYTES)


class ContinuedBorder(NamedTuple):
    """Where one part of a story ends and the next begins, and their times overlap. ``tail``: the last segments of the
    one. ``of_tail``: these, and what is kept of the next part of the same flows from no later than their end, in the
    order of time; ``others``: what is kept of other flows from then; ``rest``: what is kept of the next part beside
    both. ``is_opening``: a SYN of a flow of the tail is among the first ones of the next part.
    """

    tail: Continued
    of_tail: Continued
    others: Continued
    rest: Continued | None
    is_opening: bool = False


def border(tail: Continued, behind: Continued | None) -> ContinuedBorder:
    """``behind``: what was kept of the next part, where anything was."""
    nothing = Continued([], {}, tail.withheld)
    last_ns = max((now for now, segments in tail.pieces if segments is not None), default=None)
    if last_ns is None or behind is None:
        return ContinuedBorder(tail, tail, nothing, behind)
    table = AddressTable()
    ends = list(tail.all(table))
    keys = np.unique(mixed(*np.concatenate([np.stack(segments.ends()) for segments in ends], axis=1)))
    pieces: list[ContinuedPiece] = []
    others: list[ContinuedPiece] = []
    is_opening = False
    for now, segments in behind.pieces:
        is_early = segments.time_ns <= last_ns if segments is not None else None
        if segments is None or is_early is None or not is_early.any():
            pieces.append(ContinuedPiece(now, segments))
            continue
        early = behind.renumbered(segments.select(is_early), table)
        is_of_tail = np.isin(mixed(*early.ends()), keys)
        ends.append(early.select(is_of_tail))
        is_opening |= bool((ends[-1].flags & (SYN | ACK) == SYN).any())
        others.append(ContinuedPiece(last_ns, early.select(~is_of_tail)))
        pieces.append(ContinuedPiece(now, segments.select(~is_early)))
    addresses = table.long_addresses()
    return ContinuedBorder(
        tail,
        Continued([ContinuedPiece(last_ns, merged(ends))], addresses, nothing.withheld),
        Continued(others, addresses, nothing.withheld),
        replace(behind, pieces=pieces),
        is_opening,
    )


def combined(kept: Continued, read: Continued, behind: int) -> Continued:
    """What was kept of a part, and what was read of it afterwards. ``behind``: the reference of the last frame that was
    read; what was kept of those flows up to it is in ``read`` as well.
    """
    table = AddressTable()
    both: dict[int, list[SegmentBatch]] = {}
    for now, segments in read.pieces:
        if segments is not None:
            both.setdefault(now, []).append(read.renumbered(segments, table))
    keys = np.unique(np.concatenate([NO_KEYS, *(mixed(*s.ends()) for some in both.values() for s in some)]))
    for now, segments in kept.pieces:
        some = both.setdefault(now, [])
        if segments is not None:
            here = kept.renumbered(segments, table)
            is_read = np.isin(mixed(*here.ends()), keys) & (here.number + frame_reference(here.capture, 0) <= behind)
            some.append(here.select(~is_read))
    pieces = [ContinuedPiece(now, merged(some) if some else None) for now, some in sorted(both.items())]
    return Continued(pieces, table.long_addresses(), kept.withheld[:0])


def compact(segments: SegmentBatch, rows: I64) -> SegmentBatch:
    """Some segments in a buffer of their own, with the headers before them."""
    chosen = segments.select(rows)
    low = np.where(chosen.length > 0, np.maximum(chosen.start - HEADERS_BYTES, 0), chosen.start)
    lengths = chosen.start + chosen.captured - low
    begins = np.cumsum(lengths) - lengths
    places = np.arange(int(lengths.sum())) + np.repeat(low - begins, lengths)
    data = np.concatenate([segments.data[places], np.zeros(READABLE, np.uint8)])
    return replace(chosen, data=data, start=chosen.start - low + begins, stops=Counter())


def _size(segments: SegmentBatch) -> int:
    return len(segments.data) + len(segments) * 10 * 8
