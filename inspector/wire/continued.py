"""Flows that go on from one part of a story into the next, handed over instead of read again.

Whoever reads a part from the middle follows the flows that begin in it with a SYN, and all that their ends do while
they are known. All other segments belong to flows from before it, or to such as nobody saw begin: they are *handed
over* (``ContinuedFlows``) and followed by whoever read the parts before (``Continued``), who need not read the part
itself. So each segment is followed by one of them.

What a SYN means depends on what its ends did before: a new flow, or one from before whose SYN was sent again. So of the
flows that begin here *copies* are handed over as well, headers alone: each SYN, and what the other side sent until its
own SYN, which may still belong to the flow before. Where it turns out that a SYN was of a flow from before, copies are
all that there is as long as nothing was said; where more was, that flow is *withheld*, and must be read here once more.
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
from inspector.wire import half_open
from inspector.wire.addresses import AddressTable, Key
from inspector.wire.checksums import HEADERS_BYTES
from inspector.wire.grouping import Grouped, mixed
from inspector.wire.interleaving import merged
from inspector.wire.segments import ACK, CONTROL, SYN, SegmentBatch

SIXTEEN = np.uint64(16)
LONG = 1 << 32
"""Numbers from here on mean something in one ``AddressTable`` only."""


class ContinuedPiece(NamedTuple):
    """Of one batch. ``now``: the time of its last segment, of whatever flow. ``segments``: those that were not followed
    yet; ``copies``: of others, which were. None where there are none. ``window``: with which frames of the part it was
    read.
    """

    now: int
    segments: SegmentBatch | None
    copies: SegmentBatch | None = None
    window: int = 0

    def parts(self) -> Iterator[SegmentBatch]:
        """Both, where they are."""
        return (part for part in self.both() if part is not None)

    def both(self) -> tuple[SegmentBatch | None, SegmentBatch | None]:
        """Segments and copies."""
        return self.segments, self.copies


class Continued(Struct):
    """What was kept of a part of a story. ``addresses``: those of its segments that are no IPv4 addresses, by number.
    ``withheld``: uint64, the ends of flows of which copies are not all, the lower first. ``noted_ns``: flows that began
    before that are noted by whoever followed them as such that may be from before. ``is_whole``: nothing had to be left
    out for want of room.
    """

    pieces: list[ContinuedPiece]
    addresses: dict[int, bytes]
    withheld: U64
    noted_ns: int = 0
    is_whole: bool = True

    @property
    def bytes(self) -> int:
        """What it takes, about."""
        return sum(_size(part) for piece in self.pieces for part in piece.parts()) + self.withheld.nbytes

    def all(self, addresses: AddressTable) -> Iterator[SegmentBatch]:
        """All segments that were not followed yet, their ends as ``addresses`` numbers them."""
        return (self.renumbered(segments, addresses) for _, segments, *_ in self.pieces if segments is not None)

    def take(self, ends: U64, others: U64, addresses: AddressTable) -> Continued:
        """Take out the segments of some flows, and get copies of those of others. ``ends``, ``others``: of these flows,
        a row each, the lower first, as ``addresses`` numbers them.
        """
        wanted = _Ends(self._numbered_here(ends, addresses))
        looked_at = _Ends(self._numbered_here(others, addresses))
        chosen: list[ContinuedPiece] = []
        for index, piece in enumerate(self.pieces):
            (segments, left), (copies, left_copies) = (wanted.split(part) for part in piece.both())
            self.pieces[index] = piece._replace(segments=left, copies=left_copies)
            looked = (looked_at.split(part)[0] for part in (left, left_copies)) if len(others) else ()
            shown = [part for part in (copies, *looked) if part is not None]
            chosen.append(piece._replace(segments=segments, copies=_one(shown)))
        return replace(self, pieces=chosen)

    def withheld_from(self, ends: U64, addresses: AddressTable) -> list[Key]:
        """The flows that were withheld, of some and of all of which anything was not followed yet; their ends as
        ``addresses`` numbers them, the lower first. ``ends``: as in ``take``.
        """
        if not len(self.withheld):
            return []
        handed = [np.stack(piece.segments.ends(), axis=1) for piece in self.pieces if piece.segments is not None]
        wanted = _Ends(np.concatenate([self._numbered_here(ends, addresses), *handed]))
        withheld = self.withheld[wanted.hold(self.withheld[:, 0], self.withheld[:, 1])]
        there = np.stack([self._renumbered_ends(withheld[:, lane], addresses) for lane in (0, 1)], axis=1)
        return [(low, high) for low, high in np.sort(there, axis=1).tolist()]

    def references(self, ends: U64, addresses: AddressTable) -> frozenset[int]:
        """Of the segments of some flows that were not followed yet. ``ends``: as in ``take``."""
        wanted = _Ends(self._numbered_here(ends, addresses))
        some = [wanted.split(piece.segments)[0] for piece in self.pieces]
        references = (
            segments.number + frame_reference(segments.capture, 0) for segments in some if segments is not None
        )
        return frozenset(number for numbers in references for number in numbers.tolist())

    def _numbered_here(self, ends: U64, addresses: AddressTable) -> U64:
        """The ends of some flows as they are numbered here, without those of addresses that are not known here."""
        here = ends.copy()
        is_long = here >> SIXTEEN >= LONG
        if is_long.any():
            numbers = {address: number for number, address in self.addresses.items()}
            known = [
                numbers.get(addresses.address(end >> 16), 0) << 16 | end & 0xFFFF for end in here[is_long].tolist()
            ]
            here[is_long] = np.array(known, np.uint64)
        return np.sort(here[(~is_long | (here >> SIXTEEN >= LONG)).all(axis=1)], axis=1)

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


class _Ends:
    """Flows by their ends, a row each, the lower first."""

    def __init__(self, ends: U64) -> None:
        self._mixed = np.unique(mixed(ends[:, 0], ends[:, 1]))
        self._keys = np.unique(half_open.keys(ends[:, 0], ends[:, 1]))

    def hold(self, low: U64, high: U64) -> Rows:
        """Which of some flows are among them."""
        holds: Rows = np.isin(mixed(low, high), self._mixed)
        rows = np.flatnonzero(holds)  # two flows may mix alike
        holds[rows] = np.isin(half_open.keys(low[rows], high[rows]), self._keys)
        return holds

    def split(self, segments: SegmentBatch | None) -> tuple[SegmentBatch | None, SegmentBatch | None]:
        """Segments of these flows, and of others; None for none."""
        if segments is None:
            return None, None
        is_of_these = self.hold(*segments.ends())
        return _some(segments, is_of_these), _some(segments, ~is_of_these)


def _some(segments: SegmentBatch, rows: Rows) -> SegmentBatch | None:
    return segments.select(rows) if rows.any() else None


def _one(parts: list[SegmentBatch]) -> SegmentBatch | None:
    return merged(parts) if parts else None


class FlowStanding(NamedTuple):
    """How the flows of a batch stand before it, a row each. ``is_known``: it is followed already; ``is_opening``: it
    is, and not both of its sides are known to have sent a SYN; ``opener``: which end did then, 0 where that is not
    known; ``is_early``: its SYN may be one that was sent again.
    """

    is_known: Rows
    is_opening: Rows
    opener: U64
    is_early: Rows


class ContinuedFlows:
    """Gathers them, batch by batch."""

    def __init__(self, addresses: AddressTable) -> None:
        self._addresses = addresses
        self._pieces: list[ContinuedPiece] = []
        self._withheld: list[U64] = []
        self.bytes = 0
        """What was kept takes so many, about."""
        self.window = 0
        """How often frames of the part were read."""

    def note(self, grouped: Grouped, standing: FlowStanding) -> Rows:
        """Take a batch; gives which of its flows were handed over, and are not to be followed."""
        is_known, is_early = standing.is_known, standing.is_early
        heads = grouped.heads[:-1]
        begins = ~is_known & (grouped.flags[heads] & (CONTROL | ACK) == SYN)
        says_nothing = begins & (np.add.reduceat(grouped.length, heads) == 0)
        is_handed: Rows = ~is_known & ~begins
        is_withheld = is_early & ~is_handed & ~says_nothing
        if is_withheld.any():
            self._withheld.append(np.stack([grouped.low[is_withheld], grouped.high[is_withheld]], axis=1))
        segments, flow = grouped.segments()
        is_handed_row = is_handed[flow]
        is_copied = (segments.flags & (SYN | ACK) == SYN) | says_nothing[flow]
        is_opening = standing.is_opening | begins
        if is_opening.any():
            opener = np.where(begins, grouped.firsts(), standing.opener)
            is_copied |= is_opening[flow] & (segments.source != opener[flow]) & grouped.before_answers()
        is_copied &= ~is_handed_row
        self._keep(grouped.now, segments, np.flatnonzero(is_handed_row), np.flatnonzero(is_copied))
        return is_handed

    def _keep(self, now: int, segments: SegmentBatch, rows: I64, copied: I64) -> None:
        kept = compact(segments, rows) if len(rows) and self.bytes <= bounds.CONTINUED_BYTES else None
        copies = None
        if len(copied) and self.bytes <= bounds.CONTINUED_BYTES:
            headers = segments.select(copied)
            headers.captured = np.zeros(len(copied), np.int64)
            copies = compact(headers, np.arange(len(copied)))
        self.bytes += len(rows) + len(copied)
        self.bytes += sum(_size(part) for part in (kept, copies) if part is not None)
        self._pieces.append(ContinuedPiece(now, kept, copies, self.window))

    def note_all(self, segments: SegmentBatch, now: int) -> None:
        """Take segments of whatever flow, none of which was followed. ``now``: as in ``ContinuedPiece``."""
        kept = compact(segments, np.arange(len(segments)))
        self.bytes += _size(kept)
        self._pieces.append(ContinuedPiece(now, kept, None, self.window))

    def segments(self, noted_ns: int = 0) -> Continued:
        """All that was kept. ``noted_ns``: as in ``Continued``."""
        numbers: set[int] = set()
        withheld = np.unique(np.concatenate([np.zeros((0, 2), np.uint64), *self._withheld]), axis=0)
        parts = [part for piece in self._pieces for part in piece.parts()]
        for ends in (withheld, *(ends for part in parts for ends in (part.source, part.target))):
            numbers.update(np.unique(ends >> np.uint64(16)).tolist())
        addresses = {number: self._addresses.address(number) for number in numbers if number >= LONG}
        return Continued(self._pieces, addresses, withheld, noted_ns, self.bytes <= bounds.CONTINUED_BYTES)


class ContinuedBorder(NamedTuple):
    """Where one part of a story ends and the next begins, and their times overlap. ``of_tail``: the last segments of
    the one, and what is kept of the next part of the same flows from no later than their end, in the order of time;
    ``others``: what is kept of other flows from then; ``rest``: what is kept of the next part beside both.
    ``is_mixed``: a flow of the tail begins among the first segments of the next part, or these are not in turn.
    """

    of_tail: Continued
    others: Continued
    rest: Continued | None
    is_mixed: bool = False


def border(tail: Continued, behind: Continued | None) -> ContinuedBorder:
    """``behind``: what was kept of the next part, where anything was."""
    nothing = Continued([], {}, tail.withheld[:0])
    last_ns = max((now for now, segments, *_ in tail.pieces if segments is not None), default=None)
    if last_ns is None or behind is None:
        return ContinuedBorder(tail, nothing, behind)
    table = AddressTable()
    ends = list(tail.all(table))
    of_tail = _Ends(np.concatenate([np.stack(segments.ends(), axis=1) for segments in ends]))
    pieces: list[ContinuedPiece] = []
    others: list[ContinuedPiece] = []
    is_mixed = is_behind = False
    for piece in behind.pieces:
        rest: list[SegmentBatch | None] = []
        other: list[SegmentBatch | None] = []
        for part in piece.both():
            is_early = part.time_ns <= last_ns if part is not None else np.zeros(0, np.bool_)
            if part is None or is_behind or not is_early.any():
                is_mixed |= bool(is_early.any())
                other.append(None)
                rest.append(part)
                continue
            early, beside = of_tail.split(behind.renumbered(part.select(is_early), table))
            if early is not None:
                ends.append(early)
                is_mixed |= part is piece.copies or bool((early.flags & (SYN | ACK) == SYN).any())
            other.append(beside)
            rest.append(_some(part, ~is_early))
        is_behind |= piece.now > last_ns
        others.append(ContinuedPiece(min(piece.now, last_ns), other[0], other[1]))
        pieces.append(ContinuedPiece(piece.now, rest[0], rest[1], piece.window))
    addresses = table.long_addresses()
    return ContinuedBorder(
        replace(nothing, pieces=[ContinuedPiece(last_ns, merged(ends))], addresses=addresses),
        replace(behind, pieces=others, addresses=addresses),
        replace(behind, pieces=pieces),
        is_mixed,
    )


def combined(kept: Continued, read: Continued, behind: int) -> Continued:
    """What was kept of a part, and all copies of some of its flows, which were read afterwards. ``behind``: the
    reference of the last frame that was read; copies of those flows that were kept up to it are in ``read`` as well.
    """
    table = AddressTable()
    both: dict[int, tuple[list[int], list[SegmentBatch], list[SegmentBatch]]] = {}
    for piece in read.pieces:
        if piece.segments is not None:
            both.setdefault(piece.window, ([piece.now], [], []))[2].append(read.renumbered(piece.segments, table))
    ends = [np.stack(part.ends(), axis=1) for _, _, copies in both.values() for part in copies]
    of_read = _Ends(np.concatenate([np.zeros((0, 2), np.uint64), *ends]))
    for piece in kept.pieces:
        times, some, others = both.setdefault(piece.window, ([], [], []))
        times.append(piece.now)
        if piece.segments is not None:
            some.append(kept.renumbered(piece.segments, table))
        if piece.copies is not None:
            here = kept.renumbered(piece.copies, table)
            is_read = of_read.hold(*here.ends()) & (here.number + frame_reference(here.capture, 0) <= behind)
            others.append(here.select(~is_read))
    pieces = [
        ContinuedPiece(max(times), _one(segments), _one(copies), window)
        for window, (times, segments, copies) in sorted(both.items())
    ]
    return replace(kept, pieces=pieces, addresses=table.long_addresses(), withheld=kept.withheld[:0])


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
