"""Which stretches of a sequence must be read otherwise, as their neighbours show: together, where frames that belong
together lie in several of them; with all that stands before them in their file, where that puts their stamps right.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from inspector.fleet.joining import border_between
from inspector.fleet.stretches import INFINITE, CaptureStretch, StretchFacts


class ReadStretch(NamedTuple):
    """A stretch and what was found in it; None where nobody could read it."""

    stretch: CaptureStretch
    facts: StretchFacts | None


class _Neighbour(NamedTuple):
    """``reached``: when the last frame of all before it was captured."""

    read: ReadStretch
    reached: int | None


def to_be_read(read: Sequence[ReadStretch]) -> list[CaptureStretch]:
    """The stretches into which a sequence is to be cut, in the order of time: the same ones where it was read well."""
    stretches = _whole_where_restamped(read)
    if any(stretch is not one.stretch for stretch, one in zip(stretches, read, strict=True)):
        return stretches
    groups: list[list[_Neighbour]] = []
    for neighbour in _with_times(read):
        group = [neighbour]
        while groups and _belong_together(groups[-1], group):
            group = groups.pop() + group
        groups.append(group)
    return [_as_one([member.read.stretch for member in group]) for group in groups]


def _whole_where_restamped(read: Sequence[ReadStretch]) -> list[CaptureStretch]:
    restamped = {
        one.stretch.paths
        for one in read
        if one.facts is not None and any(info.is_restamped for info in one.facts.captures) and one.stretch.is_passing
    }
    return [
        one.stretch._replace(is_passing=False)
        if one.stretch.paths in restamped and one.stretch.is_part
        else one.stretch
        for one in read
    ]


def _with_times(read: Sequence[ReadStretch]) -> Iterable[_Neighbour]:
    reached: int | None = None
    for one in read:
        yield _Neighbour(one, reached)
        end = _times(one.facts)[1] if one.facts is not None else None
        reached = end if reached is None else max(reached, end or reached)


def _belong_together(before: Sequence[_Neighbour], group: Sequence[_Neighbour]) -> bool:
    """Whether frames of some stretches must be read with those of the next ones. The last frames of one can be followed
    among the first of the next, but not among the last of that, which were not followed either.
    """
    earlier, later = before[-1].read, group[0].read
    is_shared = earlier.stretch.paths == later.stretch.paths
    if is_shared and (len(group) > 1 or before[0].read.stretch.paths != later.stretch.paths):
        return True  # whoever reads one half with other files reads the other, too
    one, other = earlier.facts, later.facts
    if one is None or other is None:
        return False
    if one.unfinished & other.unfinished:
        return True
    if is_shared:
        return False
    if one.is_mixed and one.tail is None:
        return True
    begin, end = _times(other)
    if begin is None or end is None:
        return False
    if before[-1].reached is not None and before[-1].reached >= begin:
        return True
    _, reached = _times(one)
    if reached is None or reached < begin:
        return False
    between = border_between(one, other)
    is_in_turn = between is not None and not between.is_mixed and not one.is_mixed
    return not is_in_turn or begin < earlier.stretch.until_ns or reached > end or reached >= later.stretch.until_ns


def _times(facts: StretchFacts) -> tuple[int | None, int | None]:
    """Of the first and of the last frame."""
    firsts = [info.first_ns for info in facts.captures if info.first_ns is not None]
    lasts = [info.last_ns for info in facts.captures if info.last_ns is not None]
    return min(firsts, default=None), max(lasts, default=None)


def _as_one(group: Sequence[CaptureStretch]) -> CaptureStretch:
    if len(group) == 1:
        return group[0]
    paths = tuple(dict.fromkeys(path for stretch in group for path in stretch.paths))
    last = group[-1]
    return group[0]._replace(paths=paths, end=last.end if len(paths) == 1 else INFINITE, until_ns=last.until_ns)
