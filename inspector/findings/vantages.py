"""What was seen twice, and what was wrong with clocks and was taken out: limits that say how one story was made of
several captures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from inspector import document as doc
from inspector.facts import FRAME_BITS, CaptureFacts, ClockOffset
from inspector.findings.case import Case
from inspector.text.times import span
from inspector.tracking.selection import ShapeAnswers
from inspector.tracking.shared_clocks import by_clock

COARSE_NS = 10_000_000
"""From this tick on stamps say so little of what came first that it is named."""

NAMED = 20
"""Connections that a limit names at most."""


def clocks(capture: CaptureFacts) -> list[doc.Clock]:
    """As the document writes them."""
    return [doc.Clock(c.ns, c.uncertainty_ns, c.connections, c.other) for c in capture.clocks]


def limits(case: Case) -> list[doc.Limit]:
    """Clocks and stamps by capture, then what was captured more than once."""
    found_limits: list[doc.Limit] = []
    captures = case.facts.captures
    for index, capture in enumerate(captures):
        if capture.steps:
            (frame, ns), count = capture.steps[0], len(capture.steps)
            times = f"{count} times, first " if count > 1 else ""
            text = (
                f"{capture.path}: the clock was set back {times}by {span(ns)} at frame {frame}; the order of the frames"
                " is believed, and later times are moved on by as much"
            )
            found_limits.append(doc.Limit("time_backwards", text, index, []))
        if capture.tick_ns >= COARSE_NS:
            found_limits.append(
                doc.Limit(
                    "coarse_times",
                    f"{capture.path}: {_stamps(capture)}; the order of the frames in the file is believed",
                    index,
                    [],
                )
            )
    return [*found_limits, *_offsets(captures), *_unaligned(captures), *_duplicates(case)]


def _stamps(capture: CaptureFacts) -> str:
    if capture.first_ns == capture.last_ns:
        return "the frames have no times of their own"
    return f"times are exact to {span(capture.tick_ns)} only"


def _offsets(captures: Sequence[CaptureFacts]) -> list[doc.Limit]:
    """One for all captures that go by one clock."""
    late: dict[object, list[tuple[int, ClockOffset]]] = {}
    clock_of = {index: number for number, group in enumerate(by_clock(captures)) for index in group}
    for index, capture in enumerate(captures):
        for clock in capture.clocks:
            than = "" if clock.other == index else _called(captures, [clock.other])
            late.setdefault((clock_of[index], than, clock[:3]), []).append((index, clock))
    found_limits: list[doc.Limit] = []
    for alike in late.values():
        index, clock = alike[0]
        text = f"{_called(captures, [index for index, _ in alike])}: {_offset(captures, index, clock)}"
        found_limits.append(doc.Limit("clock_offset", text, index, []))
    return found_limits


def _called(captures: Sequence[CaptureFacts], indexes: Sequence[int]) -> str:
    """What some captures that go by one clock are called."""
    if indexes[0] >= len(captures):
        return "another capture"
    first = captures[indexes[0]]
    more = f" and {len(indexes) - 1} more" if len(indexes) > 1 else ""
    return first.host or f"{first.path}{more}"


def _offset(captures: Sequence[CaptureFacts], index: int, clock: ClockOffset) -> str:
    doubt = (
        f"give or take {span(clock.uncertainty_ns)}, by {clock.connections}"
        f" connection{'' if clock.connections == 1 else 's'}"
    )
    amount = f"{span(abs(clock.ns))} {'later' if clock.ns > 0 else 'earlier'}"
    if clock.other == index:
        return f"frames of servers are stamped {amount} than frames of clients ({doubt}): taken out of their times"
    return f"its clock is {amount} than that of {_called(captures, [clock.other])} ({doubt}): taken out of its times"


def _unaligned(captures: Sequence[CaptureFacts]) -> list[doc.Limit]:
    aligned_hosts = {capture.host for capture in captures if capture.packets and not capture.is_unaligned}
    names = sorted({c.path if c.host in aligned_hosts else c.host for c in captures if c.is_unaligned})
    if not names:
        return []
    listed = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    text = (
        f"{listed}: no handshake that was seen elsewhere too tells by how much the clock differs; what came first,"
        " there or elsewhere, is not known"
    )
    return [doc.Limit("clock_unknown", text, None, [])]


def _duplicates(case: Case) -> list[doc.Limit]:
    columns = case.columns
    repeated = ShapeAnswers(lambda shape: shape.traits.is_repeated, columns.shapes)
    several = (
        case.observed[index]
        for index in range(len(columns))
        if columns.second_leg[index] >= 0 or repeated[columns.shape[index]]
    )
    twice = [observed for observed in several if observed.is_repeated or any(leg.sightings for leg in observed.legs)]
    if not twice:
        return []
    where: Counter[int] = Counter()
    for observed in twice:
        frame_ranges = [
            frame_range
            for leg in (observed.client_leg, *observed.legs)
            if leg.sightings
            for frame_range in (*leg.frame_ranges, *leg.sightings)
        ]
        where.update({first >> FRAME_BITS for first, _ in frame_ranges})
    names = [case.facts.captures[index].path for index in sorted(where) if index < len(case.facts.captures)]
    count = len(twice)
    text = (
        f"{count} connection{'s were' if count > 1 else ' was'} captured more than once, in {' and '.join(names)}; each"
        " counts once"
    )
    return [doc.Limit("duplicates", text, None, [observed.id for observed in twice[:NAMED]])]
