"""Which captures should go by one clock: those of one host, and files of one sequence.

That a host has one clock is certain where somebody said of which host a capture is. A name alone says less: facts may
be extracted on another host than the captures were made on, and ``web-1.pcap`` and ``web-2.pcap`` may be two files of
one rotated set, or of two hosts. A capture program writes one file after the other, so captures that overlap in time
are of one clock by no such name; a longer one, which fewer of them have in common, may still hold.
"""

from __future__ import annotations

from collections.abc import Sequence

from inspector.facts import CaptureFacts

ROTATION_NS = 1_000_000_000
"""So far a file may reach into the next one of its sequence, by frames that come late."""


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
    """Captures of which names alone tell by what clock they go, by the shortest name that their times allow."""
    names = {index: captures[index].clock_names for index in indices}
    apart: list[list[int]] = []
    todo = [(0, [*indices])]
    while todo:
        level, group = todo.pop()
        by_name: dict[tuple[str, ...], list[int]] = {}
        for index in group:
            by_name.setdefault(names[index][min(level, len(names[index]) - 1)], []).append(index)
        for alike in by_name.values():
            if not _overlap([captures[index] for index in alike]):
                apart.append(alike)
            elif all(level + 1 >= len(names[index]) for index in alike):
                apart += ([index] for index in alike)
            else:
                todo.append((level + 1, alike))
    return apart


def _overlap(captures: Sequence[CaptureFacts]) -> bool:
    """Whether some captures overlap in time by more than rotation explains: by more than a second, or than half of the
    shorter one.
    """
    spans = sorted(
        (c.first_ns, c.last_ns - sum(ns for _, ns in c.steps))  # as its clock said, which was set back
        for c in captures
        if c.first_ns is not None and c.last_ns is not None
    )
    if not spans:
        return False
    before = spans[0]
    for span in spans[1:]:
        shorter = min(before[1] - before[0], span[1] - span[0])
        if before[1] - span[0] > min(ROTATION_NS, shorter // 2):
            return True
        before = max(before, span, key=lambda s: s[1])
    return False
