"""Which captures should go by one clock: those of one host, and files of one sequence.

That a host has one clock is certain where somebody said of which host a capture is. A name alone says less: facts may
be extracted on another host than the captures were made on, and ``web-1.pcap`` and ``web-2.pcap`` may be two files of
one rotated set, or of two hosts. A capture program writes one file after the other, so captures that overlap in time
are of one clock by no such name, but for a few among many; a longer one, which fewer of them have in common, may still
hold.
"""

from __future__ import annotations

from collections.abc import Sequence

from inspector.facts import CaptureFacts

ROTATION_NS = 1_000_000_000
"""So far a file may reach into the next one of its sequence, by frames that come late."""

MOST_OVERLAPPING = 4
"""One in so many captures may overlap with others, and the rest is a sequence all the same."""


def by_clock(captures: Sequence[CaptureFacts]) -> list[list[int]]:
    """The indices of captures that should go by one clock, together."""
    groups: dict[str, list[int]] = {}
    named: list[int] = []
    for index, capture in enumerate(captures):
        if capture.is_host_known:
            groups.setdefault(capture.host, []).append(index)
        else:
            named.append(index)
    return [*groups.values(), *_by_name(captures, named)]


def _by_name(captures: Sequence[CaptureFacts], indices: Sequence[int]) -> list[list[int]]:
    """Captures of which names alone tell by what clock they go, by the shortest name that their times allow. A few that
    overlap leave the others together: a file that was copied, one that somebody captured beside.
    """
    names = {index: captures[index].clock_names for index in indices}
    apart: list[list[int]] = []
    todo = [(0, [*indices])]
    while todo:
        level, group = todo.pop()
        by_name: dict[tuple[str, ...], list[int]] = {}
        for index in group:
            by_name.setdefault(names[index][min(level, len(names[index]) - 1)], []).append(index)
        for alike in by_name.values():
            overlapping = _overlapping(captures, alike)
            if len(overlapping) * MOST_OVERLAPPING <= len(alike):
                apart.append([index for index in alike if index not in overlapping])
                alike = [index for index in alike if index in overlapping]
            if not alike:
                continue
            if all(level + 1 >= len(names[index]) for index in alike):
                apart += ([index] for index in alike)
            else:
                todo.append((level + 1, alike))
    return apart


def _overlapping(captures: Sequence[CaptureFacts], indices: Sequence[int]) -> set[int]:
    """Which of some captures overlap in time with others by more than rotation explains: by more than a second, or than
    half of the shorter one. Both sides: which of them is the stranger nothing tells.
    """
    spans = sorted(
        (capture.first_ns, capture.last_ns - sum(ns for _, ns in capture.steps), index)  # by its clock, set back
        for index in indices
        if (capture := captures[index]).first_ns is not None and capture.last_ns is not None
    )
    overlapping: set[int] = set()
    before: tuple[int, int, int] | None = None
    for span in spans:
        if before is not None:
            shorter = min(before[1] - before[0], span[1] - span[0])
            if before[1] - span[0] > min(ROTATION_NS, shorter // 2):
                overlapping |= {before[2], span[2]}
        if before is None or span[1] > before[1]:
            before = span
    return overlapping
