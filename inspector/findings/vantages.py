"""What was seen twice, and what was wrong with clocks and was taken out: limits that say how one story was made of
several captures.
"""

from __future__ import annotations

from collections import Counter

from inspector import document as doc
from inspector.facts import FRAME_BITS, CaptureFacts, ClockOffset
from inspector.findings.case import Case
from inspector.text.times import span

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
        found_limits += [
            doc.Limit("clock_offset", f"{capture.path}: {_offset(captures, index, clock)}", index, [])
            for clock in capture.clocks
        ]
    return found_limits + _duplicates(case)


def _stamps(capture: CaptureFacts) -> str:
    if capture.first_ns == capture.last_ns:
        return "the frames have no times of their own"
    return f"times are exact to {span(capture.tick_ns)} only"


def _offset(captures: list[CaptureFacts], index: int, clock: ClockOffset) -> str:
    doubt = (
        f"give or take {span(clock.uncertainty_ns)}, by {clock.connections}"
        f" connection{'' if clock.connections == 1 else 's'}"
    )
    amount = f"{span(abs(clock.ns))} {'later' if clock.ns > 0 else 'earlier'}"
    if clock.other == index:
        return f"frames of servers are stamped {amount} than frames of clients ({doubt}): taken out of their times"
    other = captures[clock.other].path if clock.other < len(captures) else "another capture"
    return f"its clock is {amount} than that of {other} ({doubt}): taken out of its times"


def _duplicates(case: Case) -> list[doc.Limit]:
    twice = [
        observed
        for observed in case.observed
        if observed.is_repeated or (observed.packed_legs and any(leg.sightings for leg in observed.legs))
    ]
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
