"""Segments that hold other bytes for the same place of a stream: somebody on the way, or damage.

TCP says that such bytes are equal, so a receiver may take either (RFC 9293, section 3.10.7.4); stacks differ, and
whoever wants a watcher to read something else than the receiver does makes use of that (Ptacek and Newsham, "Insertion,
evasion, and denial of service", 1998). Here the first version is read, both are kept, and it is judged which one the
receiver has taken:

* bytes that it had acknowledged when the second version came are those of the first;
* a version with a wrong checksum was dropped, if checksums are right elsewhere in its direction: where a network card
  computes them they are wrong in all that a host captures of itself;
* else it cannot be told.

What is compared: with the last segments of a direction's first bytes, as long as a sender sends anything again, and
with those that wait for an earlier one. That is where handshakes are; data behind them is not looked at. Once both
sides have closed, or one has reset, nothing is taken any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from typing import NamedTuple

from msgspec import Struct

from inspector import bounds
from inspector.wire.checksums import HEADERS_BYTES, Checksum, checksum_of

SHOWN_BYTES = 8
"""Of each version."""

UNKNOWN_BOTH = Checksum.UNKNOWN, Checksum.UNKNOWN


class TakenVersion(Enum):
    """Which version a receiver has taken: the first, for it had acknowledged these bytes; the first or second, for the
    checksum of the other is wrong.
    """

    ACKNOWLEDGED = auto()
    FIRST = auto()
    SECOND = auto()
    UNKNOWN = auto()


class KeptSegment(NamedTuple):
    """A segment that was handed on. ``headers``: the bytes before its payload, empty where this is not all of it."""

    offset: int
    payload: bytes
    frame: int
    ns: int
    headers: bytes


class Conflict(Struct):
    """Two versions of some bytes. ``offset``, ``length``: from the first byte that differs to the last. ``frames``: of
    the version that came first, and of the other, which came at ``ns``; ``first``, ``second``: what each begins with
    there; ``checksums``: of the segment of each. ``is_one_byte``: that is all that the second segment holds.
    ``acknowledged``: the receiver had the first one before the second came.
    """

    offset: int
    length: int
    frames: tuple[int, int]
    ns: int
    first: bytes
    second: bytes
    checksums: tuple[Checksum, Checksum]
    is_one_byte: bool
    acknowledged: bool = False


class Overlaps:
    """What one direction's segments are compared with, and the conflicts found."""

    __slots__ = ("_kept", "conflicts", "is_overfull")

    def __init__(self) -> None:
        self._kept: list[KeptSegment] = []
        self.conflicts: list[Conflict] = []
        self.is_overfull = False
        """There were more of them, of which nothing can be said."""

    def keep(self, segment: KeptSegment) -> None:
        """A segment was handed on."""
        self._kept.append(segment)
        if len(self._kept) > bounds.COMPARED_SEGMENTS:
            del self._kept[0]

    @property
    def end(self) -> int:
        """Behind the last byte that is kept."""
        return self._kept[-1].offset + len(self._kept[-1].payload) if self._kept else 0

    def is_old(self, now: int) -> bool:
        """Whether nothing of it is sent again any more."""
        return not self.conflicts and (not self._kept or self._kept[-1].ns < now - bounds.COMPARED_NS)

    def compare(self, segment: KeptSegment, waiting: Iterable[KeptSegment]) -> None:
        """A segment comes. ``waiting``: those that wait beside it for an earlier one, of which none was read."""
        for known in self._kept:
            self._compare(known, segment)
        for known in waiting:
            self._compare(known, segment, is_waiting=True)

    def _compare(self, known: KeptSegment, segment: KeptSegment, is_waiting: bool = False) -> None:
        low = max(known.offset, segment.offset)
        high = min(known.offset + len(known.payload), segment.offset + len(segment.payload))
        if low >= high or known.ns < segment.ns - bounds.COMPARED_NS:
            return
        ours = known.payload[low - known.offset : high - known.offset]
        theirs = segment.payload[low - segment.offset : high - segment.offset]
        if ours == theirs:
            return
        if len(self.conflicts) >= bounds.CONFLICTS:
            self.is_overfull = True
            return
        differing = [at for at, (one, other) in enumerate(zip(ours, theirs, strict=True)) if one != other]
        at, behind = differing[0], differing[-1] + 1
        self.conflicts.append(
            Conflict(
                offset=low + at,
                length=behind - at,
                frames=(known.frame, segment.frame),
                ns=segment.ns,
                first=ours[at : min(behind, at + SHOWN_BYTES)],
                second=theirs[at : min(behind, at + SHOWN_BYTES)],
                checksums=UNKNOWN_BOTH if is_waiting else (_checksum(known), _checksum(segment)),
                is_one_byte=len(segment.payload) == 1,
            )
        )

    def version_taken(self, conflict: Conflict) -> TakenVersion:
        """Which version the receiver has taken."""
        first, second = conflict.checksums
        if Checksum.WRONG in conflict.checksums and self._are_right_elsewhere(conflict):
            if second is Checksum.RIGHT:
                return TakenVersion.UNKNOWN if conflict.acknowledged else TakenVersion.SECOND
            if first is Checksum.RIGHT:
                return TakenVersion.FIRST
            return TakenVersion.UNKNOWN
        return TakenVersion.ACKNOWLEDGED if conflict.acknowledged else TakenVersion.UNKNOWN

    def _are_right_elsewhere(self, conflict: Conflict) -> bool:
        """Whether checksums of the direction's other segments are right, as far as they are kept."""
        sums = {
            _checksum(known)
            for known in self._kept
            if known.frame not in conflict.frames and known.ns >= conflict.ns - bounds.COMPARED_NS
        }
        return Checksum.RIGHT in sums and Checksum.WRONG not in sums


def _checksum(segment: KeptSegment) -> Checksum:
    return checksum_of(segment.headers, segment.payload) if segment.headers else Checksum.UNKNOWN


def kept(offset: int, data: memoryview, start: int, captured: int, frame: int, ns: int) -> KeptSegment:
    """A whole segment. ``start``: where its payload begins in ``data``, with its headers before it."""
    headers = data[max(start - HEADERS_BYTES, 0) : start].tobytes()
    return KeptSegment(offset, data[start : start + captured].tobytes(), frame, ns, headers)
